"""Which spans are given an embedding: one rule for the sidecar and for files."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from otel_embedder.annotation.standing import Standing

if TYPE_CHECKING:
    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.otlp.wire import ScopeSpans


class StandingCounter(Protocol):
    """Counts the spans that keep what they have."""

    def passed_as_is(self, standing: Standing) -> None:
        """Count a span that had an embedding and was left alone."""
        ...


class Target(NamedTuple):
    """A span to annotate.

    Attributes:
        scope: the spans of its scope.
        place: its index there.
        span: its bytes, without attributes of ours that are outdated.
        has_vector: whether it came with a vector, of another model or text.

    """

    scope: ScopeSpans
    place: int
    span: bytes
    has_vector: bool

    def wants(self, embedding: Embedding) -> bool:
        """Tell whether it is better off with an embedding than as it came."""
        # A vector of another model is still true; a stand-in would be noise in its place.
        return embedding.source == "model" or not self.has_vector

    def append(self, attributes: bytes) -> None:
        """Let encoded attributes go behind the span's bytes."""
        self.scope.spans[self.place] = self.span
        self.scope.appended[self.place] = attributes


def find_target(
    scope: ScopeSpans, place: int, annotator: Annotator, counter: StandingCounter
) -> Target | None:
    """Give the span to annotate, or None where it keeps what it has.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    span = scope.spans[place]
    standing = annotator.standing(span)
    if standing is Standing.NONE:
        return Target(scope, place, span, has_vector=False)
    if standing in {Standing.CURRENT, Standing.FOREIGN}:
        counter.passed_as_is(standing)
        return None
    stripped = annotator.stripped(span)
    return Target(scope, place, stripped, has_vector=standing is Standing.OUTDATED)
