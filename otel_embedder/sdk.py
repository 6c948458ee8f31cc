"""Vectors in the process that makes the spans, without a Collector: for OpenTelemetry's SDK.

::

    provider.add_span_processor(EmbeddingSpanProcessor(OTLPSpanExporter()))

The spans that the SDK has ended are embedded in the thread that sends them, so
the application never waits. Needs the extra `otel-embedder[sdk]`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from otel_embedder.annotation.names import Names
from otel_embedder.annotation.settings import DEFAULT_PREFIX
from otel_embedder.annotation.standing import KEPT, Origin, Standing, judge, prefers
from otel_embedder.annotation.vectors import base64_of, packed
from otel_embedder.errors import EmbedderClosedError
from otel_embedder.library.service import EmbeddingService

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.util.types import Attributes, AttributeValue

    from otel_embedder.annotation.settings import Encoding
    from otel_embedder.embedder.embedding import Embedding, Vector
    from otel_embedder.library.sync_service import SyncEmbeddingService

# Of a batch, not of a request as the sidecar's: the SDK's has 512 spans, and texts that were never
# seen take some 5 ms each.
EMBED_TIMEOUT = 3.0


class EmbeddingSpanExporter(SpanExporter):
    """Attaches a vector to each span and hands them to another exporter.

    It waits for the model, so it belongs behind a BatchSpanProcessor, never a
    SimpleSpanProcessor. What is not ready in time gets a stand-in. A span that
    has an embedding already is treated as the sidecar does: somebody else's and a
    current one stay, a stand-in and one of another model or text are renewed.
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
        self._names = Names.with_prefix(prefix)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans on with their vectors."""
        ours = [span for span in spans if not self._is_foreign(span)]
        try:
            embeddings = iter(self._service.embed_all(map(self._stripped, ours)))
        except EmbedderClosedError:
            # No reason to lose them.
            return self._next.export(spans)
        return self._next.export(
            [
                span if self._is_foreign(span) else self._embedded(span, next(embeddings))
                for span in spans
            ]
        )

    def shutdown(self) -> None:
        """Shut the other exporter down, and free the model."""
        self._next.shutdown()
        if self._owns_service:
            self._service.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Let the other exporter send what it holds; this one holds nothing."""
        return self._next.force_flush(timeout_millis)

    def _standing(self, span: ReadableSpan, embedding: Embedding | None = None) -> Standing:
        """Tell what a span has of an embedding, beside a new one."""
        version = self._service.text_version
        origin = Origin("", version)
        if embedding is not None:
            origin = Origin(embedding.model, version, len(embedding.vector))
        return judge(span.attributes or {}, self._names, origin)

    def _is_foreign(self, span: ReadableSpan) -> bool:
        return self._standing(span) is Standing.FOREIGN

    def _stripped(self, span: ReadableSpan) -> ReadableSpan:
        """Give a span without attributes of ours: a text does not speak of its own vector."""
        if self._standing(span) is Standing.NONE:
            return span
        return _Rewritten(span, self._others(span))

    def _others(self, span: ReadableSpan) -> dict[str, AttributeValue]:
        return {
            key: value for key, value in (span.attributes or {}).items() if key not in self._names
        }

    def _embedded(self, span: ReadableSpan, embedding: Embedding) -> ReadableSpan:
        standing = self._standing(span, embedding)
        if standing in KEPT or not prefers(standing, embedding.source):
            return span
        ours = {
            self._names.vector: self._encode(embedding.vector),
            self._names.model_name: embedding.model,
            self._names.source: embedding.source,
            self._names.text_version: self._service.text_version,
        }
        if embedding.text_id is not None:
            ours[self._names.text_id] = embedding.text_id
        return _Rewritten(span, {**self._others(span), **ours})


class _Rewritten(ReadableSpan):
    """A span with other attributes; all else is the span's own."""

    def __init__(self, span: ReadableSpan, attributes: Mapping[str, AttributeValue]) -> None:
        # Its limits and counts of what was dropped are in there, too.
        self.__dict__.update(span.__dict__)
        self._rewritten = MappingProxyType(attributes)

    @property
    def attributes(self) -> Attributes:
        """The other attributes."""
        return self._rewritten


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


ENCODINGS: Mapping[Encoding, Callable[[Vector], AttributeValue]] = {
    "array": _array,
    "bytes": packed,
    "base64": base64_of,
}
