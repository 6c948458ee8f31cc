"""Vectors in the process that makes the spans, without a Collector: for OpenTelemetry's SDK.

::

    provider.add_span_processor(EmbeddingSpanProcessor(OTLPSpanExporter()))

The spans that the SDK has ended are embedded in the thread that sends them, so
the application never waits. Needs the extra `otel-embedder[sdk]`.
"""

from __future__ import annotations

import base64
from types import MappingProxyType
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from otel_embedder.annotation.annotator import Names
from otel_embedder.annotation.settings import DEFAULT_PREFIX
from otel_embedder.errors import EmbedderClosedError
from otel_embedder.library.service import EmbeddingService
from otel_embedder.otlp.attributes import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.util.types import Attributes, AttributeValue

    from otel_embedder.annotation.settings import Encoding
    from otel_embedder.embedder.embedding import Embedding, Vector
    from otel_embedder.library.service import SyncEmbeddingService

# Of a batch, not of a request as the sidecar's: the SDK's has 512 spans, and texts that were never
# seen take some 5 ms each.
EMBED_TIMEOUT = 3.0


class EmbeddingSpanExporter(SpanExporter):
    """Attaches a vector to each span and hands them to another exporter.

    It waits for the model, so it belongs behind a BatchSpanProcessor, never a
    SimpleSpanProcessor. What is not ready in time gets a stand-in. A span that
    has an embedding already passes as it is.
    """

    def __init__(
        self,
        next_: SpanExporter,
        *,
        service: SyncEmbeddingService | None = None,
        encoding: Encoding = "array",
        prefix: str = DEFAULT_PREFIX,
    ) -> None:
        """Wrap an exporter.

        Args:
            next_: where the spans go.
            service: what embeds; None is a service of its own, of the default model, that gives
                the texts of a batch three seconds.
            encoding: of the vector, as the sidecar's setting; array is dear for the OTLP exporter.
            prefix: what the names of the attributes begin with.

        """
        self._next = next_
        self._service = service or EmbeddingService.sync(embed_timeout=EMBED_TIMEOUT)
        self._owns_service = service is None
        self._encode = ENCODINGS[encoding]
        self._names = {name: f"{prefix}{name}" for name in Names._fields}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans on with their vectors."""
        try:
            embeddings = self._service.embed_all(spans)
        except EmbedderClosedError:
            # No reason to lose them.
            return self._next.export(spans)
        return self._next.export([*map(self._embedded, spans, embeddings)])

    def shutdown(self) -> None:
        """Shut the other exporter down, and free the model."""
        self._next.shutdown()
        if self._owns_service:
            self._service.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Let the other exporter send what it holds; this one holds nothing."""
        return self._next.force_flush(timeout_millis)

    def _embedded(self, span: ReadableSpan, embedding: Embedding) -> ReadableSpan:
        if self._names["text_version"] in (span.attributes or {}):
            return span
        more = {
            self._names["vector"]: self._encode(embedding.vector),
            self._names["model_name"]: embedding.model,
            self._names["source"]: embedding.source,
            self._names["text_version"]: self._service.text_version,
        }
        return EmbeddedSpan(span, more)


class EmbeddedSpan(ReadableSpan):
    """A span with more attributes; all else is the span's own."""

    def __init__(self, span: ReadableSpan, more: Mapping[str, AttributeValue]) -> None:
        # Its limits and counts of what was dropped are in there, too.
        self.__dict__.update(span.__dict__)
        self._more = more

    @property
    def attributes(self) -> Attributes:
        """The span's attributes and those added."""
        return MappingProxyType({**(self._attributes or {}), **self._more})


class EmbeddingSpanProcessor(BatchSpanProcessor):
    """Embeds ended spans and hands them to an exporter, in batches, in the background."""

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        service: SyncEmbeddingService | None = None,
        encoding: Encoding = "array",
    ) -> None:
        """Give the spans to an exporter.

        For more options, `BatchSpanProcessor(EmbeddingSpanExporter(...), ...)` is the same.

        Args:
            exporter: where the spans go.
            service: what embeds; None is a service of its own.
            encoding: of the vector.

        """
        super().__init__(EmbeddingSpanExporter(exporter, service=service, encoding=encoding))


def _array(vector: Vector) -> AttributeValue:
    return tuple(map(float, vector))


def _base64(vector: Vector) -> AttributeValue:
    return base64.b64encode(packed(vector)).decode()


ENCODINGS: Mapping[Encoding, Callable[[Vector], AttributeValue]] = {
    "array": _array,
    "bytes": packed,
    "base64": _base64,
}
