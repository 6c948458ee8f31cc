"""What becomes known of spans once the next hop has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.annotation.recurring import Sightings
    from otel_embedder.annotation.work import Work
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.otlp.wire import TraceRequest


class Passed(NamedTuple):
    """A request that the next hop has taken.

    Attributes:
        request: the request; nobody changes it any more.
        works: the spans of it that were to be embedded, in their order; others kept what they had.
            None where all recur.
        embeddings: one for each of these; None is none.
        sightings: those of the spans that recur; without their works where all do.

    """

    request: TraceRequest
    works: Sequence[Work]
    embeddings: Sequence[Embedding | None]
    sightings: Sightings


class Taken(Protocol):
    """Wants to know what the next hop has taken."""

    def passed(self, passed: Passed) -> None:
        """Take note, at once: this is called on the way of the spans. It must not raise."""
        ...

    def passed_in_part(self, *, spans: int) -> None:
        """Take note of so many spans of which the next hop took some; nobody knows which."""
        ...
