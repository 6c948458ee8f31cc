"""Vectors for OpenTelemetry spans, made beside the Collector.

A Collector sends its spans here over OTLP/gRPC. Each span is rendered as a
short text (render), the text is embedded (embedder), the vector is appended
to the span as attributes (annotate), and the spans go on to the next hop
(exporter) before the Collector hears that they arrived (receiver). So no span
is ever lost or changed, and a vector never lies about its origin.
"""

from otel_embedder.embedder import Embedding
from otel_embedder.library import EmbeddingService, SyncEmbeddingService

__all__ = ["Embedding", "EmbeddingService", "SyncEmbeddingService"]

__version__ = "0.1.0"
