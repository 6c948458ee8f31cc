"""The spans nearest to a text: no store, one file or some, read once.

What is searched is texts, for spans that read the same have the same vector.
Spans stream by; a text is kept once, with its vector: the one that a span
carries, if it is the one we would make, else the model's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import nlargest
from typing import TYPE_CHECKING

from otel_embedder.annotation.work import spans_of as spans_of_request
from otel_embedder.embedder.bulk import embedded
from otel_embedder.otlp.spans import span_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.text.rendering import Renderer

MAX_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A text, and the spans that have it.

    Attributes:
        cosine: how near it is to what was asked for; 1 is the same.
        spans: how many spans have it.
        text: the text.
        trace_ids: of some of these spans, in hex.

    """

    cosine: float
    spans: int
    text: str
    trace_ids: tuple[str, ...]


@dataclass(slots=True)
class Occurrences:
    """The spans of one text.

    Attributes:
        spans: how many there are.
        trace_ids: of the first of them, in hex, each once.

    """

    spans: int = 0
    trace_ids: list[str] = field(default_factory=list)

    def add(self, trace_id: str) -> None:
        """Count a span of a trace; of which one may be unknown."""
        self.spans += 1
        is_example = len(self.trace_ids) < MAX_EXAMPLES and trace_id not in self.trace_ids
        if is_example and trace_id:
            self.trace_ids.append(trace_id)


class TextIndex:
    """The distinct texts of the spans that it was given, and their vectors."""

    def __init__(
        self, renderer: Renderer, annotator: Annotator, *, dimension: int, errors_only: bool
    ) -> None:
        """Prepare to take spans in.

        Args:
            renderer: what renders them.
            annotator: what knows our attributes.
            dimension: how many numbers a vector has.
            errors_only: whether to leave spans out whose status is not ERROR.

        """
        self._renderer = renderer
        self._annotator = annotator
        self._dimension = dimension
        self._errors_only = errors_only
        self.spans = 0
        self._texts: dict[str, Occurrences] = {}
        self._vectors: dict[str, Vector] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, span: bytes, service: str) -> str:
        """Take an encoded span of a service in; give its text.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        text, is_error = self._renderer.render(self._annotator.stripped(span), service)
        if is_error or not self._errors_only:
            self.spans += 1
            trace_id = span_ids(span).trace_id.hex()
            self._texts.setdefault(text, Occurrences()).add(trace_id)
            self._note_vector(text, span)
        return text

    def _note_vector(self, text: str, span: bytes) -> None:
        if text not in self._vectors:
            vector = self._annotator.vector(span, dimension=self._dimension)
            if vector is not None:
                self._vectors[text] = vector

    def without_vector(self) -> list[str]:
        """Give the texts whose spans brought no vector."""
        return [text for text in self._texts if text not in self._vectors]

    def embed(self, embedder: TextEmbedder, *, window: int) -> Iterator[str]:
        """Embed the texts whose spans brought no vector; give each when it is done.

        Args:
            embedder: what embeds them.
            window: how many are embedded at once.

        Raises:
            EmbeddingError: the model is not there, or failed.

        """
        for text, embedding in embedded(self.without_vector(), embedder, window=window):
            self._vectors[text] = embedding.vector
            yield text

    def nearest(self, text: str, vector: Vector, count: int) -> list[Row]:
        """Give the texts nearest to a text, the nearest first.

        Of several that are equally near the first that came goes first, but this very text
        before all others.

        Args:
            text: the text.
            vector: its vector, of unit length as all are.
            count: how many to give at most.

        """
        cosines = {known: float(other @ vector) for known, other in self._vectors.items()}
        best = nlargest(count, cosines, key=lambda known: (known == text, cosines[known]))
        return [self._row(known, cosines[known]) for known in best]

    def _row(self, text: str, cosine: float) -> Row:
        found = self._texts[text]
        return Row(cosine, found.spans, text, tuple(found.trace_ids))


def spans_of(requests: Iterable[TraceRequest], renderer: Renderer) -> Iterator[tuple[bytes, str]]:
    """Give each span of requests, encoded, with the name of its service.

    Raises:
        google.protobuf.message.DecodeError: a resource is none.

    """
    for request in requests:
        for span, service in spans_of_request(request, renderer):
            yield span.encoded, service


def has_id(span: bytes, span_id: bytes) -> bool:
    """Tell whether an encoded span has this id.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    # To look for the bytes is cheaper than to read every span.
    return span_id in span and span_ids(span).span_id == span_id


def find_spans(
    spans: Iterable[tuple[bytes, str]], span_ids: Iterable[str]
) -> Iterator[tuple[str, bytes, str]]:
    """Give each of these ids in hex with the first span that has it, and that span's service.

    They come when they are found, in the order of the spans; no more is read than that takes.

    Raises:
        google.protobuf.message.DecodeError: something is not a Span.

    """
    missing = {span_id: bytes.fromhex(span_id) for span_id in span_ids}
    for span, service in spans:
        for name in [name for name, span_id in missing.items() if has_id(span, span_id)]:
            del missing[name]
            yield name, span, service
        if not missing:
            return
