"""A next hop that takes spans or does whatever else a next hop may do, call by call.

An answer is a function of the request that arrived; the next hop gives each call the next one of
its script, and when that is at its end takes everything.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Self

from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from tests.support.processes import free_address, trace_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import grpc

    from tests.faults.ledger import Ledger
    from tests.support.processes import Context

    Answer = Callable[["Arrival"], bytes]

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


def refuse(code: grpc.StatusCode, *, retry_after: float | None = None) -> Answer:
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

    def answer(arrival: Arrival) -> bytes:
        arrival.ledger.came(arrival.request)
        return say(arrival)

    return answer


def silence(seconds: float) -> Answer:
    """Say so late, or when going down, that all is well."""

    def answer(arrival: Arrival) -> bytes:
        arrival.stopped.wait(seconds)
        return b""

    return answer


def status(code: grpc.StatusCode, retry_after: float | None = None) -> grpc.Status:
    made = status_pb2.Status(code=code.value[0], message=f"a fault: {code.name}")
    if retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(round(retry_after * 1e9))
        made.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return rpc_status.to_status(made)


class NextHop:
    """A server that goes up and down on one address."""

    def __init__(self, ledger: Ledger) -> None:
        self.address = free_address()
        self.script: deque[Answer] = deque()
        self.max_bytes = DEFAULT_LIMIT
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
            self._export, listen=self.address, threads=CALLS_AT_ONCE, options=[limit]
        )

    def go_down(self) -> None:
        """Hang up, whatever is under way."""
        self._stopped.set()
        self._server.stop(grace=None).wait()

    def _export(self, request: bytes, context: Context) -> bytes:
        self.calls += 1
        return self._next_answer()(Arrival(request, context, self._ledger, self._stopped))

    def _next_answer(self) -> Answer:
        try:
            return self.script.popleft()
        except IndexError:
            return take
