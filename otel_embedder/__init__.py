"""Vectors for OpenTelemetry spans, made beside the Collector.

A Collector sends its spans here over OTLP/gRPC. Each span is rendered as a
short text (render), the text is embedded (embedder), the vector is appended
to the span as attributes (annotate), and the spans go on to the next hop
(exporter) before the Collector hears that they arrived (receiver). So no span
is ever lost or changed, and a vector never lies about its origin.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_embedder.embedder.embedding import Embedding, Model
    from otel_embedder.library.service import EmbeddingService
    from otel_embedder.library.sync_service import SyncEmbeddingService
    from otel_embedder.library.trace import Trace, from_otlp, to_otlp
    from otel_embedder.text.options import RenderOptions

__all__ = [
    "Embedding",
    "EmbeddingService",
    "Model",
    "RenderOptions",
    "SyncEmbeddingService",
    "Trace",
    "from_otlp",
    "to_otlp",
]

__version__ = "0.1.0"

# What a program may use, and where it stands. It is loaded when it is asked for: the command line,
# which is in here as well, needs none of it.
_HOMES = {
    "Embedding": "otel_embedder.embedder.embedding",
    "EmbeddingService": "otel_embedder.library.service",
    "Model": "otel_embedder.embedder.embedding",
    "RenderOptions": "otel_embedder.text.options",
    "SyncEmbeddingService": "otel_embedder.library.sync_service",
    "Trace": "otel_embedder.library.trace",
    "from_otlp": "otel_embedder.library.trace",
    "to_otlp": "otel_embedder.library.trace",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
