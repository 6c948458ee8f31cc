"""What is new, told as it comes: server-sent events, at most once a second.

`status` says how all is, `texts` which texts have come, `groups` which failures are new or have
come again. Whoever lost the connection asks again by itself: `status` and `groups` say all that
they have to say, and of `texts` one sees whether any were missed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter
from starlette.responses import StreamingResponse

from otel_embedder.api.news import NewTexts
from otel_embedder.api.status import Beat
from otel_embedder.errors import BusyError, OtelEmbedderError
from otel_embedder.search.groups.found import FreshGroups
from otel_embedder.telemetry.logs import get_logger
from otel_embedder.telemetry.sparing import Sparing

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncIterator, Callable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from otel_embedder.api.news import News, Seen
    from otel_embedder.api.pool import Pool

MAX_STREAMS = 64
# Of texts: whoever reads more slowly asks for all of them.
MAX_EVENTS = 16
SECONDS = 1.0
RETRY_SECONDS = 5.0
EVENTS_FAILING = "api.events_failing"

BEAT, TEXTS, GROUPS = TypeAdapter(Beat), TypeAdapter(NewTexts), TypeAdapter(FreshGroups)
NOTHING = b": nothing is known at the moment\n\n"

log = get_logger()


class Said(NamedTuple):
    """An event.

    Attributes:
        number: greater than those of all events before.
        event: encoded.

    """

    number: int
    event: bytes


class _Stream(StreamingResponse):
    """Events, and what is done when whoever listens has gone, even before the first of them."""

    def __init__(self, events: AsyncIterator[bytes], ended: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


class Events:
    """Tells each who listens, each second, how all is and what has come."""

    def __init__(
        self, news: News, pool: Pool, closing: threading.Event, *, seconds: float = SECONDS
    ) -> None:
        """Prepare to tell.

        Args:
            news: looks for what is new; called in a thread.
            pool: has the threads.
            closing: set when it is over.
            seconds: between two looks.

        """
        self._news = news
        self._pool = pool
        self._closing = closing
        self._seconds = seconds
        self._streams = 0
        self._number = 0
        self._status = NOTHING
        self._groups = Said(0, b"")
        self._texts: deque[Said] = deque(maxlen=MAX_EVENTS)
        self._looking = asyncio.Lock()
        self._looked_at = 0.0
        self._failures = Sparing(EVENTS_FAILING)

    async def answer(self, _: Request) -> Response:
        """Begin to tell somebody.

        Raises:
            BusyError: too many listen already.

        """
        if self._streams >= MAX_STREAMS:
            raise BusyError(f"{MAX_STREAMS} listen already", retry_after=RETRY_SECONDS)
        if not self._streams:
            self._news.begin()
            self._groups = Said(0, b"")
        # At once: of many who come together none may slip in before the others are counted.
        self._streams += 1
        return _Stream(self._told(), self._ended)

    def _ended(self) -> None:
        self._streams -= 1

    async def _told(self) -> AsyncIterator[bytes]:
        # Texts of before are in whatever it asks for first.
        texts, groups = self._number, 0
        yield f"retry: {RETRY_SECONDS * 1000:.0f}\n\n".encode()
        while not self._closing.is_set():
            await self._look()
            yield b"".join(self._since(texts, groups))
            texts, groups = self._number, self._groups.number
            await asyncio.sleep(self._seconds)

    def _since(self, texts: int, groups: int) -> Iterator[bytes]:
        """Give how all is, and the events after those of these numbers."""
        yield self._status
        for said in self._texts:
            if said.number > texts:
                yield said.event
        if self._groups.number > groups:
            yield self._groups.event

    async def _look(self) -> None:
        """Look for what is new, once for all who listen."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._looked_at < self._seconds / 2:
                return
            self._looked_at = now
            try:
                self._take(await self._pool.run(self._news.look))
            except OtelEmbedderError as error:
                self._failures.tell(error=str(error))
                self._status = NOTHING

    def _take(self, seen: Seen) -> None:
        self._status = _event("status", BEAT.dump_json(seen.beat))
        if seen.texts is not None:
            self._texts.append(self._next(_event("texts", TEXTS.dump_json(seen.texts))))
        groups = _event("groups", GROUPS.dump_json(seen.groups))
        if groups != self._groups.event:
            self._groups = self._next(groups)

    def _next(self, event: bytes) -> Said:
        self._number += 1
        return Said(self._number, event)


def _event(name: str, said: bytes) -> bytes:
    return f"event: {name}\ndata: ".encode() + said + b"\n\n"
