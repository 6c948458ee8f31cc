"""A next hop that takes spans or does whatever else a next hop may do, call by call.

An answer is a function of the request that arrived; the next hop gives each call the next one of
its script, and when that is at its end its usual one: it takes everything. What the probe sends
beside a row's own spans is taken, and of no account.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, NoReturn, Self

from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from tests.stalls.probe import PROBED
from tests.support.processes import free_address, trace_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    import grpc

    from tests.faults.ledger import Ledger
    from tests.support.processes import Context

    # Without a message, None.
    Answer = Callable[["Arrival"], bytes | None]

CALLS_AT_ONCE = 16
DEFAULT_LIMIT = 4 * 1024 * 1024  # gRPC's own, so backends'


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that has arrived.

    Attributes:
        request: its bytes.
        context: of its call.
        ledger: where to note what becomes of its spans.
        stopped: set when the next hop goes down.

    """

    request: bytes
    context: Context
    ledger: Ledger
    stopped: Event


def take(arrival: Arrival) -> bytes:
    """Take all spans."""
    arrival.ledger.came(arrival.request)
    return b""


def refuse(code: grpc.StatusCode, *, retry_after: float | Duration | None = None) -> Answer:
    """Take nothing now; with RetryInfo, if there is a time to wait."""

    def answer(arrival: Arrival) -> bytes:
        arrival.context.abort_with_status(status(code, retry_after))

    return answer


def reject(code: grpc.StatusCode) -> Answer:
    """Take nothing and never will: the spans are accounted for as rejected."""

    def answer(arrival: Arrival) -> bytes:
        arrival.ledger.rejected(arrival.request)
        arrival.context.abort_with_status(status(code))

    return answer


def reject_some(spans: int) -> Answer:
    """Take all but the first spans, and say so: a partial success."""

    def answer(arrival: Arrival) -> bytes:
        arrival.ledger.rejected(arrival.request, last=spans)
        arrival.ledger.came(arrival.request, first=spans)
        partial = ExportTracePartialSuccess(rejected_spans=spans, error_message="too old")
        return ExportTraceServiceResponse(partial_success=partial).SerializeToString()

    return answer


def take_and(say: Answer) -> Answer:
    """Take all spans, then say something else than that."""

    def answer(arrival: Arrival) -> bytes | None:
        arrival.ledger.came(arrival.request)
        return say(arrival)

    return answer


def keep(requests: list[bytes]) -> Answer:
    """Take all spans, and keep the request."""

    def answer(arrival: Arrival) -> bytes:
        requests.append(arrival.request)
        return take(arrival)

    return answer


def take_slowly(bytes_a_second: float) -> Answer:
    """Take all spans, in the time that so many bytes need."""

    def answer(arrival: Arrival) -> bytes:
        arrival.stopped.wait(len(arrival.request) / bytes_a_second)
        return take(arrival)

    return answer


def take_if_waited_for(seconds: float) -> Answer:
    """Take all spans after a time, if the caller is still there: give up what is cancelled."""

    def answer(arrival: Arrival) -> bytes:
        arrival.stopped.wait(seconds)
        return take(arrival) if arrival.context.is_active() else b""

    return answer


def say_nothing(_: Arrival) -> None:
    """Say OK, but nothing else: no message."""


def silence(seconds: float) -> Answer:
    """Say so late, or when going down, that all is well."""

    def answer(arrival: Arrival) -> bytes:
        arrival.stopped.wait(seconds)
        return b""

    return answer


def refuse_with(code: grpc.StatusCode, details: str) -> Answer:
    """Take nothing, in these words."""

    def answer(arrival: Arrival) -> NoReturn:
        arrival.context.abort(code, details)
        raise AssertionError("it has been refused")

    return answer


def status(code: grpc.StatusCode, retry_after: float | Duration | None = None) -> grpc.Status:
    made = status_pb2.Status(code=code.value[0], message=f"a fault: {code.name}")
    if retry_after is not None:
        delay = retry_after if isinstance(retry_after, Duration) else _duration(retry_after)
        made.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return rpc_status.to_status(made)


def _duration(seconds: float) -> Duration:
    delay = Duration()
    delay.FromNanoseconds(round(seconds * 1e9))
    return delay


@contextmanager
def counted_later(next_hop: NextHop, ledger: Ledger) -> Iterator[None]:
    """Take all spans, and count them at the end: that takes time of the row's own process."""
    taken: list[bytes] = []

    def answer(arrival: Arrival) -> bytes:
        taken.append(arrival.request)
        return b""

    next_hop.usual = answer
    try:
        yield
    finally:
        for request in taken:
            ledger.came(request)


class NextHop:
    """A server that goes up and down on one address."""

    def __init__(self, ledger: Ledger) -> None:
        self.address = free_address()
        self.script: deque[Answer] = deque()
        self.usual: Answer = take
        self.max_bytes = DEFAULT_LIMIT
        self.credentials: grpc.ServerCredentials | None = None
        self.calls = 0
        self._ledger = ledger

    def __enter__(self) -> Self:
        self.go_up()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.go_down()

    def go_up(self) -> None:
        self._stopped = Event()
        limit = ("grpc.max_receive_message_length", self.max_bytes)
        self._server, _ = trace_server(
            self._export,
            listen=self.address,
            threads=CALLS_AT_ONCE,
            options=[limit],
            credentials=self.credentials,
        )

    def go_down(self) -> None:
        """Hang up, whatever is under way."""
        self._stopped.set()
        self._server.stop(grace=None).wait()

    def _export(self, request: bytes, context: Context) -> Iterator[bytes]:
        if PROBED in request:
            yield b""
            return
        self.calls += 1
        answer = self._next_answer()(Arrival(request, context, self._ledger, self._stopped))
        if answer is not None:
            yield answer

    def _next_answer(self) -> Answer:
        try:
            return self.script.popleft()
        except IndexError:
            return self.usual
