"""A client of the sidecar that tries each request once, and keeps what it was told."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Self

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from tests.support.processes import EXPORT_METHOD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    Export = grpc.UnaryUnaryMultiCallable[bytes, bytes]
    Call = grpc._CallFuture[bytes]  # noqa: SLF001 - only the types call it so

NANOSECONDS = 1_000_000_000
OPTIONS = (
    ("grpc.max_send_message_length", -1),
    # Each of its own connection: grpcio shares one among equal channels of a process.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was told.

    Attributes:
        status: its name.
        details: of the status.
        content: the answer, if the status is OK.
        retry_after: the seconds of its RetryInfo, if there is one.
        seconds: how long it took.

    """

    status: str
    details: str
    content: bytes
    retry_after: float | None
    seconds: float


class Client:
    """A connection of its own to a sidecar."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, OPTIONS)
        self._export: Export = self._channel.unary_unary(EXPORT_METHOD)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._channel.close()

    def begin(self, request: bytes, *, timeout: float | None) -> Call:
        """Send, and let the answer come when it comes."""
        return self._export.future(request, timeout=timeout)

    def send(self, request: bytes, *, timeout: float | None) -> Answer:
        """Send; give what was said."""
        began = time.monotonic()
        return answer_of(self.begin(request, timeout=timeout), began)

    def give_up(self, request: bytes, *, after: float) -> bool:
        """Send without a deadline, and leave if there is no answer after so many seconds.

        Tell whether the spans were taken: an answer that refuses them for now may still come just
        before that time.
        """
        call = self.begin(request, timeout=None)
        answered = Event()
        call.add_done_callback(lambda _: answered.set())
        answered.wait(after)
        call.cancel()
        return call.code() is grpc.StatusCode.OK

    def send_several(self, requests: Sequence[bytes], *, timeout: float) -> str:
        """Send some as the messages of one call; give its status."""
        several: grpc.StreamUnaryMultiCallable[bytes, bytes]
        several = self._channel.stream_unary(EXPORT_METHOD)
        call = several.future(iter(requests), timeout=timeout)
        return call.code().name

    def send_to_other(self, method: str, request: bytes, *, timeout: float) -> str:
        """Call something else; give the status."""
        call: Export = self._channel.unary_unary(method)
        return call.future(request, timeout=timeout).code().name


def answer_of(call: Call, began: float) -> Answer:
    """Wait for the answer of a call that began at a time."""
    status = call.code()
    return Answer(
        status=status.name,
        details=call.details() or "",
        content=call.result() if status is grpc.StatusCode.OK else b"",
        retry_after=_retry_after(call),
        seconds=time.monotonic() - began,
    )


def _retry_after(call: Call) -> float | None:
    status = rpc_status.from_call(call)
    for detail in _details(status):
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.seconds + info.retry_delay.nanos / NANOSECONDS)
    return None


def _details(status: status_pb2.Status | None) -> Iterable[status_pb2.Any]:
    return status.details if status is not None else ()
