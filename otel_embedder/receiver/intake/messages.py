"""Takes each call's message in, within bounds of memory and time.

The server's handlers read by themselves instead of having gRPC do it. So a call
can be refused before its message is read, only few large ones are read at the
same time, and nobody holds the bytes longer than they are needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import grpc.aio

from otel_embedder.errors import IncompleteRequestError, SurplusRequestError
from otel_embedder.fairness import rest_behind_reading
from otel_embedder.receiver.admission import Admission, AdmissionMetrics
from otel_embedder.receiver.intake.inflate import inflated, is_compressed
from otel_embedder.receiver.intake.parsing import parsed
from otel_embedder.receiver.intake.reading import ReadingTurns

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from otel_embedder.fairness import Turns
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.receiver.admission import Admitted
    from otel_embedder.receiver.closing import Closing
    from otel_embedder.receiver.settings import ListenSettings

    Context = grpc.aio.ServicerContext[bytes, bytes]

MAX_READ_SECONDS = 30.0


@dataclass(slots=True)
class Message:
    """A call's message, which is in flight.

    Attributes:
        encoded: it, inflated.
        grow: lets its request have so many more bytes of what is in flight, or raises BusyError.
        attach: the same for what the request can do without.

    """

    encoded: bytes
    grow: Callable[[int], None]
    attach: Callable[[int], None]


class Messages:
    """Reads messages, inflates them, and has them admitted while they are in flight."""

    def __init__(
        self,
        admission: Admission,
        closing: Closing,
        *,
        turns: Turns,
        max_bytes: int,
        max_read_seconds: float = MAX_READ_SECONDS,
    ) -> None:
        """Open.

        Args:
            admission: what is in flight, and may be.
            closing: ends the reading when the server is to stop.
            turns: of whatever keeps the event loop busy.
            max_bytes: how large a message may be, inflated.
            max_read_seconds: how long one may take to arrive.

        """
        self._admission = admission
        self._closing = closing
        self._max_bytes = max_bytes
        self._max_read_seconds = max_read_seconds
        self._reading = ReadingTurns()
        self._turns = turns

    def bytes_in_flight(self) -> int:
        """Give how many bytes the requests have that are in flight."""
        return self._admission.bytes()

    def received(self, context: Context) -> Received:
        """Give a call's message, which is in flight until the end.

        Only the caller has a reference to it, and so can drop it when it is no longer needed.

        Raises:
            BusyError: too much is in flight.
            IncompleteRequestError: it did not arrive whole in time.
            MalformedRequestError: it can't be inflated.
            RequestTooLargeError: inflated, it is too large.
            SurplusRequestError: another came with it.

        """
        return Received(self, context, self._admission.admit())

    async def read(self, context: Context) -> bytes:
        """Give a call's message as it came."""
        self._admission.check()
        return await self._read(context)

    async def unpack(self, message: bytes, admitted: Admitted) -> Message:
        """Give a message inflated, as large as it may be."""
        admitted.grow(len(message))
        if is_compressed(message):
            async with self._turns.task() as turn:
                message = await inflated(
                    message, turn, max_bytes=self._max_bytes, grow=admitted.grow
                )
        return Message(message, admitted.grow, admitted.attach)

    async def parsed(self, message: Message) -> TraceRequest:
        """Give a trace request down to its spans, of which it has copies.

        Raises:
            BusyError: there is no room for its objects.
            MalformedRequestError: it is not an ExportTraceServiceRequest.
            RequestTooLargeError: it is of too many small pieces.

        """
        async with self._turns.task() as turn:
            return await parsed(message.encoded, turn, grow=message.grow)

    async def _read(self, context: Context) -> bytes:
        try:
            async with (
                self._closing.within(self._max_read_seconds),
                self._reading.taken(context.peer()),
            ):
                self._admission.check()  # anew, for it may have waited
                return await self._whole(context)
        except TimeoutError as error:
            raise IncompleteRequestError(
                "the request had not arrived when this sidecar was stopped"
                if self._closing.has_begun()
                else f"the request did not arrive within {self._max_read_seconds} s"
            ) from error

    async def _whole(self, context: Context) -> bytes:
        """Give the message once its sender has said that it is all."""
        message = await _read_one(context)
        if not isinstance(message, bytes):
            raise IncompleteRequestError(
                f"no whole request arrived: it is larger than {self._max_bytes} bytes, or "
                "compressed otherwise than with gzip or deflate, or its sender has left"
            )
        await rest_behind_reading(len(message))
        # Who sends all of a request says so with its last bytes. Until then nothing of it is sent
        # on, for what else came would have to be dropped, or its sender told too late.
        if await _read_one(context) is not grpc.aio.EOF:
            raise SurplusRequestError("a second request came in the same call: each needs its own")
        return message


class Received:
    """A call's message, in flight within `async with`."""

    __slots__ = ("_admitted", "_context", "_messages")

    def __init__(self, messages: Messages, context: Context, admitted: Admitted) -> None:
        self._messages = messages
        self._context = context
        self._admitted = admitted

    async def __aenter__(self) -> Message:
        # In a list, so that nobody holds what came once it is inflated.
        read = [await self._messages.read(self._context)]
        self._admitted.__enter__()
        try:
            return await self._messages.unpack(read.pop(), self._admitted)
        except BaseException:
            self._admitted.__exit__(None, None, None)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._admitted.__exit__(exc_type, exc, traceback)


async def _read_one(context: Context) -> bytes | object:
    """Give the next message, or grpc.aio.EOF, which the stubs forget."""
    return await context.read()


class MessagesMetrics(AdmissionMetrics, Protocol):
    """What is told of messages."""

    def watch_in_flight(self, requests: Callable[[], int], size: Callable[[], int]) -> None:
        """Tell how many requests are in flight, and how many bytes, whenever somebody asks."""
        ...


def messages(
    settings: ListenSettings, closing: Closing, turns: Turns, metrics: MessagesMetrics
) -> Messages:
    """Give what takes messages in, for all signals together; `closing` ends the reading."""
    admission = Admission(
        max_requests=settings.max_inflight_requests,
        max_bytes=settings.max_inflight_bytes,
        metrics=metrics,
    )
    metrics.watch_in_flight(admission.requests, admission.bytes)
    return Messages(admission, closing, turns=turns, max_bytes=settings.max_receive_bytes)
