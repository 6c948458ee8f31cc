"""What is not to outlast the server: whoever waits for something else than a request in flight.

A server that stops waits for its calls until the grace period is over. A stream
has no end of its own, and a call that says nothing may say so for ever.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
    Behaviour = Callable[[Any, Context], Any]

# For what is nearly there: the last word to who watches the health, the rest of a message.
FAREWELL_SECONDS = 0.1


class Closing:
    """Bounds what waits, by a time and by the end of the server."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()
        self._end: float | None = None

    def has_begun(self) -> bool:
        """Tell whether the server is about to stop."""
        return self._end is not None

    def begin(self) -> None:
        """End all that is open, and what is opened from now on, within a moment."""
        self._end = asyncio.get_running_loop().time() + FAREWELL_SECONDS
        for timeout in self._open:
            if not timeout.expired():
                timeout.reschedule(self._earlier(timeout.when()))

    def within(self, seconds: float | None = None) -> _Open:
        """Be open for so many seconds, or without end, but no longer than the server.

        Raises:
            TimeoutError: what is within takes longer.

        """
        when = None if seconds is None else asyncio.get_running_loop().time() + seconds
        return _Open(asyncio.timeout_at(self._earlier(when)), self._open)

    def _earlier(self, when: float | None) -> float | None:
        return min((each for each in (when, self._end) if each is not None), default=None)


class _Open:
    """A timeout that is among those that are open, for as long as it is."""

    __slots__ = ("_open", "_timeout")

    def __init__(self, timeout: asyncio.Timeout, open_: set[asyncio.Timeout]) -> None:
        self._timeout = timeout
        self._open = open_

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._open.add(self._timeout)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.discard(self._timeout)
        await self._timeout.__aexit__(exc_type, exc, traceback)


class EndingStreams(grpc.aio.ServerInterceptor):
    """Has every stream of answers end with the server, whichever service it is of."""

    def __init__(self, closing: Closing) -> None:
        self._closing = closing

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Give what answers the call, None where nothing does."""
        answering = await continuation(handler_call_details)
        if answering is None or not answering.response_streaming:
            return answering
        kind = "stream_stream" if answering.request_streaming else "unary_stream"
        ending = self._ending(getattr(answering, kind))
        # What gRPC makes of a method is a named tuple; the stubs don't tell.
        return answering._replace(**{kind: ending})  # type: ignore[attr-defined,no-any-return]

    def _ending(self, behaviour: Behaviour) -> Behaviour:
        write = _write_all if inspect.isasyncgenfunction(behaviour) else _let_write

        async def answer(request: object, context: Context) -> None:
            try:
                async with self._closing.within():
                    await write(behaviour, request, context)
            except TimeoutError:
                if not self._closing.has_begun():
                    raise

        return answer


async def _write_all(behaviour: Behaviour, request: object, context: Context) -> None:
    async for response in behaviour(request, context):
        await context.write(response)


async def _let_write(behaviour: Behaviour, request: object, context: Context) -> None:
    await behaviour(request, context)
