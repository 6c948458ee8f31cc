"""Takes each call's message in, within bounds of memory and time.

The server's handlers read by themselves instead of having gRPC do it. So a call
can be refused before its message is read, only few large ones are read at the
same time, and nobody holds the bytes longer than they are needed.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from otel_embedder.errors import IncompleteRequestError
from otel_embedder.receiver.admission import Admission, AdmissionMetrics
from otel_embedder.receiver.inflate import inflated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import grpc.aio

    from otel_embedder.receiver.admission import Admitted
    from otel_embedder.receiver.settings import ListenSettings

    Context = grpc.aio.ServicerContext[bytes, bytes]

# Read at the same time; how large a message is, gRPC tells when all of it is in memory.
READERS = 8
# Who sends slowly fills no memory, and must not keep the others waiting.
FAST_SECONDS = 0.05
MAX_READ_SECONDS = 30.0


class Messages:
    """Reads messages, inflates them, and has them admitted while they are in flight."""

    def __init__(
        self, admission: Admission, *, max_bytes: int, max_read_seconds: float = MAX_READ_SECONDS
    ) -> None:
        """Open.

        Args:
            admission: what is in flight, and may be.
            max_bytes: how large a message may be, inflated.
            max_read_seconds: how long one may take to arrive.

        """
        self._admission = admission
        self._max_bytes = max_bytes
        self._max_read_seconds = max_read_seconds
        self._readers = asyncio.Semaphore(READERS)

    @asynccontextmanager
    async def received(self, context: Context) -> AsyncIterator[bytes]:
        """Give a call's message, which is in flight until the end.

        Only the caller has a reference to it, and so can drop it when it is no longer needed.

        Raises:
            BusyError: too much is in flight.
            IncompleteRequestError: it did not arrive whole in time.
            MalformedRequestError: it can't be inflated.
            RequestTooLargeError: inflated, it is too large.

        """
        self._admission.check()
        read = [await self._read(context)]
        with self._admission.admit() as admitted:
            yield await self._unpack(read.pop(), admitted)

    async def _unpack(self, message: bytes, admitted: Admitted) -> bytes:
        admitted.grow(len(message))
        return await inflated(message, max_bytes=self._max_bytes, grow=admitted.grow)

    async def _read(self, context: Context) -> bytes:
        try:
            async with self._reader(), asyncio.timeout(self._max_read_seconds):
                message: bytes | object = await context.read()
        except TimeoutError as error:
            raise IncompleteRequestError(
                f"the request did not arrive within {self._max_read_seconds} s"
            ) from error
        if not isinstance(message, bytes):  # grpc.aio.EOF
            raise IncompleteRequestError(
                f"no whole request arrived: it is larger than {self._max_bytes} bytes, or "
                "compressed otherwise than with gzip or deflate, or its sender has left"
            )
        return message

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[None]:
        """Wait until few enough others read, and count as one of them for a moment."""
        await self._readers.acquire()
        reader = ExitStack()
        reader.callback(self._readers.release)
        end = asyncio.get_running_loop().call_later(FAST_SECONDS, reader.close)
        with reader:
            yield
        end.cancel()


class MessagesMetrics(AdmissionMetrics, Protocol):
    """What is told of messages."""

    def watch_in_flight(self, requests: Callable[[], int], size: Callable[[], int]) -> None:
        """Tell how many requests are in flight, and how many bytes, whenever somebody asks."""
        ...


def messages(settings: ListenSettings, metrics: MessagesMetrics) -> Messages:
    """Give what takes messages in, for all signals together."""
    admission = Admission(
        max_requests=settings.max_inflight_requests,
        max_bytes=settings.max_inflight_bytes,
        metrics=metrics,
    )
    metrics.watch_in_flight(admission.requests, admission.bytes)
    return Messages(admission, max_bytes=settings.max_receive_bytes)
