"""What is new, told as it comes: server-sent events, a line a second.

Whoever lost the connection asks again by itself; each event says all that it has to say,
so nothing is missed by having missed one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from starlette.responses import StreamingResponse

from otel_embedder.api.status import Beat
from otel_embedder.errors import BusyError, OtelEmbedderError
from otel_embedder.telemetry.logs import get_logger
from otel_embedder.telemetry.sparing import Sparing

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from otel_embedder.api.pool import Pool

MAX_STREAMS = 64
SECONDS = 1.0
RETRY_SECONDS = 5.0
EVENTS_FAILING = "api.events_failing"

BEAT = TypeAdapter(Beat)

log = get_logger()


class Events:
    """Tells each who listens, each second, how all is."""

    def __init__(
        self,
        beat: Callable[[], Beat],
        pool: Pool,
        closing: threading.Event,
        *,
        seconds: float = SECONDS,
    ) -> None:
        """Prepare to tell.

        Args:
            beat: tells how all is; called in a thread.
            pool: has the threads.
            closing: set when it is over.
            seconds: between two events.

        """
        self._beat = beat
        self._pool = pool
        self._closing = closing
        self._seconds = seconds
        self._streams = 0
        self._said = b""
        self._said_at = 0.0
        self._failures = Sparing(EVENTS_FAILING)

    async def answer(self, _: Request) -> Response:
        """Begin to tell somebody.

        Raises:
            BusyError: too many listen already.

        """
        if self._streams >= MAX_STREAMS:
            raise BusyError(f"{MAX_STREAMS} listen already", retry_after=RETRY_SECONDS)
        return StreamingResponse(self._told(), media_type="text/event-stream")

    async def _told(self) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            yield f"retry: {RETRY_SECONDS * 1000:.0f}\n\n".encode()
            while not self._closing.is_set():
                yield await self._now()
                await asyncio.sleep(self._seconds)
        finally:
            self._streams -= 1

    async def _now(self) -> bytes:
        """Give this moment's event: the same to all who listen."""
        now = asyncio.get_running_loop().time()
        if now - self._said_at >= self._seconds / 2:
            self._said_at = now
            self._said = await self._event()
        return self._said

    async def _event(self) -> bytes:
        try:
            beat = await self._pool.run(self._beat)
        except OtelEmbedderError as error:
            self._failures.tell(error=str(error))
            return b": nothing is known at the moment\n\n"
        return b"event: status\ndata: " + BEAT.dump_json(beat) + b"\n\n"
