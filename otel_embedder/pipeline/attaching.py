"""Vectors on the spans of a request, as far as there is memory and time for them.

They are what a request can do without. So they are never waited for, never a reason to
refuse it, and never as many as would keep it from getting through.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from otel_embedder.annotation.standing import Standing
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.errors import BusyError
from otel_embedder.fairness import STEP_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.annotation.work import Work
    from otel_embedder.fairness import SharedTurn
    from otel_embedder.otlp.wire import Arrived, TraceRequest
    from otel_embedder.pipeline.bare import Shortage

# So many vectors are encoded in one step, at 60 us each; or what leads to them, at 5.
VECTORS, REFERENCES = 32, 256

SPAN, STANDING, CONTENT = map(attrgetter, ("span", "standing", "content"))

# An embedding, with its text where that is attached as well.
Key = Embedding | tuple[Embedding, str | None]


class Encoded(dict[Key, bytes]):
    """A request's embeddings as attributes: encoded and paid for once, however many spans share it.

    A dict with `__missing__`, because a hit then runs in C. What there is no memory for is empty.

    Attributes:
        with_text: whether the keys have texts.
        at_once: for so many spans it may be asked in one step.

    """

    def __init__(
        self, annotator: Annotator, grow: Callable[[int], None], *, with_vector: bool = True
    ) -> None:
        """Begin with none.

        Args:
            annotator: encodes.
            grow: takes memory in bytes, or raises BusyError.
            with_vector: whether to attach what a model made with its vector, or only its id.

        """
        super().__init__()
        self.with_text = annotator.tells_text
        self.at_once = VECTORS if with_vector else REFERENCES
        self._encode = annotator.attributes if with_vector else annotator.references
        self._grow = grow
        self._has_room = True

    def __missing__(self, key: Key) -> bytes:
        embedding, text = key if isinstance(key, tuple) else (key, None)
        self[key] = encoded = self._paid(embedding, text) if self._has_room else b""
        return encoded

    def _paid(self, embedding: Embedding, text: str | None) -> bytes:
        encoded = self._encode(embedding, text)
        try:
            self._grow(len(encoded))
        except BusyError:
            # Nor is there for the next, which is as large.
            self._has_room = False
            return b""
        return encoded


class Attaching:
    """Attaches embeddings to the spans of a request.

    Attributes:
        bare: how many spans went without theirs, by what was short.
        arrived: wants to know of what the next hop takes, if that matters.

    """

    def __init__(self, request: TraceRequest, encoded: Encoded, turn: SharedTurn) -> None:
        """Begin.

        Args:
            request: the spans.
            encoded: the embeddings as attributes.
            turn: tells when to let others go first.

        """
        self.bare: Counter[Shortage] = Counter()
        self.arrived: Arrived | None = None
        self._request = request
        self._encoded = encoded
        self._turn = turn

    async def refer(self, works: list[Work]) -> list[Work]:
        """Attach what needs no embedding; give the spans that want one."""
        return works

    async def attach(
        self, works: Sequence[Work], embeddings: Sequence[Embedding | None], *, until: float
    ) -> None:
        """Attach what there is memory for.

        Args:
            works: the spans that want an embedding.
            embeddings: one for each; None is none.
            until: the event loop's time after which the rest goes bare.

        """
        at_once = self._encoded.at_once
        for start in range(0, len(works), at_once):
            end = start + at_once
            self._attach(works[start:end], embeddings[start:end])
            if self._turn.is_over(at_once * STEP_BYTES):
                await self._turn.let_others()
                if asyncio.get_running_loop().time() >= until:
                    self._give_up(embeddings[end:])
                    return

    def _attach(self, works: Sequence[Work], embeddings: Sequence[Embedding | None]) -> None:
        there = [*filter(None, embeddings)]
        if all_get_one(works, there):
            with_text = self._encoded.with_text
            keys: Iterable[Key] = (
                zip(there, map(CONTENT, works), strict=True) if with_text else there
            )
            added = [*map(self._encoded.__getitem__, keys)]
            if all(added):
                self._request.add_all(map(SPAN, works), added)
                return
        self._attach_each(works, embeddings)

    def _attach_each(self, works: Sequence[Work], embeddings: Sequence[Embedding | None]) -> None:
        encoded, with_text = self._encoded, self._encoded.with_text
        spans, added = [], []
        for work, embedding in zip(works, embeddings, strict=True):
            has_one = work.standing is not Standing.NONE
            if embedding is None or (has_one and not work.wants(embedding)):
                continue
            attributes = encoded[(embedding, work.content) if with_text else embedding]
            if not attributes:
                self.bare["memory"] += 1
            elif has_one:
                work.attach(attributes, self._request)
            else:
                spans.append(work.span)
                added.append(attributes)
        self._request.add_all(spans, added)

    def _give_up(self, embeddings: Iterable[Embedding | None]) -> None:
        left = sum(embedding is not None for embedding in embeddings)
        if left:
            self.bare["attaching"] = left

    async def fit(self, works: Sequence[Work], room: float) -> float:
        """Leave out what would not get through; give the share of the bytes that is left.

        Args:
            works: the spans that have got an embedding.
            room: how many bytes get through.

        """
        request, full = self._request, self._request.size
        for work in _least_wanted_first(works):
            if request.size <= room:
                break
            if work.span.added:
                request.add(work.span, b"")
                self.bare["sending"] += 1
            if self._turn.is_over():
                await self._turn.let_others()
        return request.size / full


def all_get_one(works: Sequence[Work], there: Sequence[object]) -> bool:
    """Tell whether spans all come with nothing, and there is something for each: nearly always."""
    return len(there) == [*map(STANDING, works)].count(Standing.NONE) == len(works)


def _least_wanted_first(works: Sequence[Work]) -> Iterator[Work]:
    """Give ERROR spans at the end, and otherwise the first of the request first.

    When a request comes again of which a part was taken, that part is its first spans. They are
    not sent again, so a vector of theirs would be one the less for the rest.
    """
    return chain(
        (work for work in works if not work.urgent), (work for work in works if work.urgent)
    )
