"""One message at a time to the next hop, when it is its turn.

Its bytes are held only while it is on its way: neither while it waits for its turn, nor until it
is sent again.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple, Self

import grpc.aio

from otel_embedder.errors import RetryableExportError
from otel_embedder.exporter.byte_lock import ByteLock, Place
from otel_embedder.exporter.channel import NextHop, NextHopChannel
from otel_embedder.exporter.health import NextHopHealth
from otel_embedder.exporter.pace import Pace
from otel_embedder.fairness import joined
from otel_embedder.otlp.status import export_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from otel_embedder.otlp.call import Metadata

# A call that is cancelled so soon before its deadline was not given up, but has run out of time.
ROUNDING_SECONDS = 0.1


class Way(NamedTuple):
    """How a request is sent.

    Attributes:
        size: bytes of all its messages.
        deadline: the event loop's time at which the caller stops waiting.
        headers: what goes along with each message.
        place: where it stands among the requests that are being sent.

    """

    size: int
    deadline: float
    headers: Metadata
    place: Place


class Sender:
    """Sends messages, so many bytes at a time, and notes how the next hop is."""

    def __init__(self, next_hop: NextHop, *, timeout: float, max_sending_bytes: int) -> None:
        self._configured_headers = next_hop.headers
        self._channel = NextHopChannel(next_hop)
        self._timeout = timeout
        self._sending = ByteLock(max_sending_bytes)
        self._health = NextHopHealth(next_hop.url, clock=time.monotonic)
        self._pace = Pace(max_seconds=timeout, clock=time.monotonic)

    async def __aenter__(self) -> Self:
        await self._channel.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._channel.__aexit__(exc_type, exc, traceback)

    def room(self, seconds: float, *, call_bytes: int) -> float:
        """Give how many bytes get through in so many seconds; infinite as long as it is unknown.

        Args:
            seconds: the time that there is.
            call_bytes: the size of the largest message that they would go in.

        """
        return self._pace.room(seconds, call_bytes=call_bytes)

    def way(self, size: int, deadline: float, metadata: Metadata) -> Way:
        """Give a request of so many bytes its way, with the configured headers before its own."""
        return Way(size, deadline, self._headers(metadata), self._sending.place(size))

    async def send(self, method: str, size: int, encode: Callable[[], bytes], way: Way) -> bytes:
        """Call a method with one message of a request, once; give the encoded answer.

        Args:
            method: its full name.
            size: bytes that the message has at most.
            encode: gives the message, when it is its turn.
            way: the request's.

        Raises:
            RetryableExportError: the next hop did not take it, or others were sent all the time.
            PermanentExportError: the next hop refused it for good.

        """
        try:
            async with self._sending.held(size, way.place, deadline=way.deadline):
                return await self._call(method, await joined(encode, size), way)
        except TimeoutError as error:
            raise RetryableExportError(
                "others were being sent for as long as the caller waits"
            ) from error

    async def _call(self, method: str, encoded: bytes, way: Way) -> bytes:
        timeout = min(self._timeout, way.deadline - asyncio.get_running_loop().time())
        began = time.monotonic()
        try:
            with self._pace.learning(len(encoded)):
                answer = await self._channel.call(
                    method, encoded, timeout=timeout, metadata=way.headers
                )
        except asyncio.CancelledError:
            waited = time.monotonic() - began
            self._pace.gave_up(len(encoded), after=waited)
            if asyncio.get_running_loop().time() >= way.deadline - ROUNDING_SECONDS:
                self._health.unanswered(seconds=waited)
            raise
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                self._pace.gave_up(len(encoded), after=timeout)
            self._health.failed(error, seconds=timeout)
            # Tracebacks hold on to what was sent for as long as there is the error.
            del encoded
            error.__traceback__ = None
            raise export_error(error) from error
        self._health.answered()
        return answer

    def _headers(self, metadata: Metadata) -> Metadata:
        configured = self._configured_headers
        if not configured:
            return metadata
        passed_on = ((key, value) for key, value in metadata if key not in configured)
        return (*configured.items(), *passed_on)
