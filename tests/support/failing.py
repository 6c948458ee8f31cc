"""Traces that failed, made up: five causes, as a shop may have them, each in words of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.search.groups.failed import FailedTrace, Failure
from otel_embedder.search.store import Batch
from tests.support.otlp_samples import event, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SECOND = 1_000_000_000
BEGIN = 1_700_000_040  # seconds since 1970: a minute begins
ERROR = Status.STATUS_CODE_ERROR


class Cause(NamedTuple):
    """Why traces fail.

    Attributes:
        service: at which they do.
        operation: of that service.
        message: with a place for what is another each time.
        type: the exception's.

    """

    service: str
    operation: str
    message: str
    type: str = ""


CAUSES = (
    Cause("cart", "GetCart", "connect to 10.0.0.{} port: connection refused cart-db:7070"),
    Cause("ads", "GetAds", "connect to 10.0.0.{} port: connection refused ads-db:9555"),
    Cause("bank", "Charge", "card of user u{} was declined by the bank", "bank.CardDeclined"),
    Cause("mail", "Send", "template receipt-{}.html has no field total", "KeyError"),
    Cause("cart", "AddItem", "name resolution failed for target dns:stock after {} tries"),
)


def failing_request(cause: Cause, number: int, *, at: float) -> ExportTraceServiceRequest:
    """Give a trace of a shop that fails for a cause: front -> checkout -> the service.

    Args:
        cause: why.
        number: of the trace.
        at: seconds after BEGIN.

    """
    trace_id = (number + 1).to_bytes(16)
    said = cause.message.format(number)
    exception = event("exception", {"exception.type": cause.type, "exception.message": said})
    names = ["POST /buy", "checkout", cause.operation]
    started = round((BEGIN + at) * SECOND)
    spans = [
        Span(
            trace_id=trace_id,
            span_id=(10 * number + level + 1).to_bytes(8),
            parent_span_id=(10 * number + level).to_bytes(8) if level else b"",
            name=name,
            start_time_unix_nano=started + level,
            end_time_unix_nano=started + SECOND // 10 - level,
            status=Status(code=ERROR, message=said if level > 1 else "it failed"),
            events=[exception] if level > 1 and cause.type else [],
        )
        for level, name in enumerate(names)
    ]
    whole = request()
    for service, span in zip(("front", "checkout", cause.service), spans, strict=True):
        whole.MergeFrom(request(span, service=service))
    return whole


def failed(
    words: str = "the bank is away",
    *,
    trace: int = 1,
    at: float = 0,
    service: str = "bank",
    operation: str = "Charge",
    reached: Sequence[str] = ("bank",),
) -> FailedTrace:
    """Give a trace that failed so many seconds after BEGIN."""
    failure = Failure(service, operation, "", words)
    ended = round((BEGIN + at) * SECOND)
    return FailedTrace(
        trace.to_bytes(16), trace.to_bytes(8), ended, failure, tuple(sorted(reached))
    )


def failures(number: int, *traces: FailedTrace, writer: str = "writer") -> Batch:
    """Give a writer's batch of this number, of nothing but traces that failed."""
    return Batch(writer, number, [], [], [], {}, failures=traces)
