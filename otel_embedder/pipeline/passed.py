"""What becomes known of spans once the next hop has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from otel_embedder.fairness import STEP_BYTES, let_go

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.annotation.recurring import Sightings
    from otel_embedder.annotation.work import Work
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.fairness import SharedTurn
    from otel_embedder.otlp.wire import TraceRequest

PIECE = 512  # spans: a step of some 50 us


class Embedded(NamedTuple):
    """Spans of a request that wanted an embedding, and the one that each has got.

    Attributes:
        works: these, in their order.
        embeddings: one for each; None is none.

    """

    works: list[Work]
    embeddings: list[Embedding | None]

    async def of_all(self, works: list[Work], turn: SharedTurn) -> list[Embedding | None]:
        """Give one for each span of the request; None, too, for those that wanted none."""
        if self.works is works:
            return self.embeddings
        found: dict[int, Embedding | None] = {}
        for start in range(0, len(self.works), PIECE):
            piece = slice(start, start + PIECE)
            found.update(zip(map(id, self.works[piece]), self.embeddings[piece], strict=True))
            if turn.is_over(PIECE * STEP_BYTES):
                await turn.let_others()
        of_all: list[Embedding | None] = []
        for start in range(0, len(works), PIECE):
            of_all += map(found.get, map(id, works[start : start + PIECE]))
            if turn.is_over(PIECE * STEP_BYTES):
                await turn.let_others()
        await let_go(self.works, turn)
        return of_all


class Passed(NamedTuple):
    """A request that the next hop has taken.

    Attributes:
        request: the request; nobody changes it any more.
        works: the spans of it that were to be embedded, in their order; others kept what they had.
            None where all recur.
        embeddings: one for each of these; None is none, or that its vector had arrived before.
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
