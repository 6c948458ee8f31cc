"""The vector on the first span of each text in a window; on the others what leads to it.

A stand-in always travels: it is of its span alone. And a vector has travelled when it has arrived:
until then each request that has its text brings it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.errors import BusyError
from otel_embedder.fairness import STEP_BYTES
from otel_embedder.pipeline.attaching import CONTENT, SPAN, Attaching, Encoded, all_get_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.annotation.first_sight import FirstSights
    from otel_embedder.annotation.work import Work
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.fairness import SharedTurn
    from otel_embedder.otlp.wire import TraceRequest

# So many spans are looked at in a tenth of a millisecond.
PIECE = 512
# To encode a vector takes as long as to attach so many.
VECTOR_BYTES = 4_096


class Brought:
    """The vectors that a request brings, noted when they arrive."""

    def __init__(self, sights: FirstSights) -> None:
        self._sights = sights
        # By the span's identity: one that is sent without its vector is another object.
        self._texts: dict[int, _Carried] = {}

    def add(self, work: Work, text: str, reference: bytes) -> None:
        """Note that a span is to bring the vector of its text, and what will lead to it."""
        self._texts[id(work.span)] = _Carried(text, reference, work.span.added)

    def arrived(self, request: TraceRequest) -> None:
        """Note what has arrived of it, whole."""
        if self._texts:
            self._sights.arrive(self._in(request))

    def _in(self, request: TraceRequest) -> dict[str, bytes]:
        found = {}
        for _, scope in request.scopes():
            for span in scope.spans:
                brought = self._texts.get(id(span))
                # What did not fit was taken off again.
                if brought is not None and brought.added is span.added:
                    found[brought.text] = brought.reference
        return found


class _Carried(NamedTuple):
    """A text's vector on a span: what leads to it, and what was attached."""

    text: str
    reference: bytes
    added: bytes


class AttachingNew(Attaching):
    """Attaches embeddings to the spans of a request: each vector that is due once."""

    def __init__(
        self,
        request: TraceRequest,
        annotator: Annotator,
        grow: Callable[[int], None],
        turn: SharedTurn,
        sights: FirstSights,
    ) -> None:
        """Begin.

        Args:
            request: the spans.
            annotator: encodes embeddings.
            grow: takes memory in bytes, or raises BusyError.
            turn: tells when to let others go first.
            sights: what has arrived.

        """
        super().__init__(request, Encoded(annotator, grow, with_vector=False), turn)
        self._annotator = annotator
        self._grow = grow
        self._sights = sights
        self._brought = Brought(sights)
        self.arrived = self._brought.arrived

    async def refer(self, works: list[Work]) -> list[Work]:
        """Let spans lead to vectors that have arrived; give those whose text's has not."""
        wanting: list[Work] = []
        async with self._turn:
            for start in range(0, len(works), PIECE):
                piece = works[start : start + PIECE]
                wanting += self._refer(piece, self._sights.references(map(CONTENT, piece)))
                if self._turn.is_over(PIECE * STEP_BYTES):
                    await self._turn.let_others()
        return wanting

    def _refer(self, works: Sequence[Work], references: Sequence[bytes | None]) -> Iterator[Work]:
        there = [*filter(None, references)]
        if all_get_one(works, there):
            self._request.add_all(map(SPAN, works), there)
            return
        for work, reference in zip(works, references, strict=True):
            if reference is None:
                yield work
            else:
                work.attach(reference, self._request)

    async def attach(
        self, works: Sequence[Work], embeddings: Sequence[Embedding | None], *, until: float
    ) -> None:
        """Attach what there is memory and time for; vectors that are not are due again."""
        await super().attach(works, embeddings, until=until)
        if self.bare:  # what there was no room or time for without a vector has none with it
            return
        due = await self._due(works, embeddings)
        for done, (text, (work, embedding)) in enumerate(due.items()):
            is_late = asyncio.get_running_loop().time() >= until
            if is_late or not self._bring(work, text, embedding):
                self.bare["attaching" if is_late else "memory"] += len(due) - done
                return
            if self._turn.is_over(VECTOR_BYTES):
                await self._turn.let_others()

    async def _due(
        self, works: Sequence[Work], embeddings: Sequence[Embedding | None]
    ) -> dict[str, tuple[Work, Embedding]]:
        """Give the first span of each text whose vector is due, with its embedding."""
        firsts: dict[str, tuple[Work, Embedding]] = {}
        for start in range(0, len(works), PIECE):
            piece = slice(start, start + PIECE)
            contents = {*map(CONTENT, works[piece])} - firsts.keys()
            texts = [content for content in contents if content is not None]
            # Some may have arrived by now.
            if due := self._due_of(texts):
                for work, embedding in zip(works[piece], embeddings[piece], strict=True):
                    text = work.content
                    if text is None or text not in due or embedding is None:
                        continue
                    if embedding.source == "model":
                        firsts.setdefault(text, (work, embedding))
            if self._turn.is_over(PIECE * STEP_BYTES):
                await self._turn.let_others()
        return firsts

    def _due_of(self, texts: Sequence[str]) -> set[str]:
        references = self._sights.references(texts)
        return {text for text, known in zip(texts, references, strict=True) if known is None}

    def _bring(self, work: Work, text: str, embedding: Embedding) -> bool:
        """Let a span bring its vector; tell whether there was memory for it."""
        attributes = self._annotator.first_seen(embedding, text)
        try:
            self._grow(len(attributes))
        except BusyError:
            return False
        work.attach(attributes, self._request)
        self._brought.add(work, text, self._annotator.references(embedding, text))
        return True
