"""What it costs to render a span of which one value was never seen, and one that is known."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEED = 7
PROFILES = ("words", "template")
SERVICE = "checkout"
TRACE = (
    "com.shop.PaymentError: card declined for order {id}\n"
    + "\tat com.shop.Checkout.pay(Checkout.java:17)\n" * 30
    + "Caused by: java.io.IOException: connection reset by bank:443"
)
# Of each kind an attribute, and its value but for what is new.
VALUES = {
    "id": ("order.reference", "{id}"),
    "path": ("url.path", "/api/orders/{id}/items"),
    "URL": ("url.full", "https://shop.example.com:8443/api/v2/orders/items?user={id}&page=3"),
    "SQL": ("db.query.text", "SELECT id, total FROM orders WHERE id = '{id}' AND state IN (1, 2)"),
    "words": ("order.note", "please leave it at the back door {id}"),
    # For this nothing else may stand.
    "number": ("db.query.text", "SELECT id, total FROM orders WHERE number = {number}"),
}


class Cost(NamedTuple):
    """Microseconds of CPU a span.

    Attributes:
        unseen: the first time.
        known: the next time.

    """

    unseen: float
    known: float


def costs(count: int) -> dict[str, list[Cost]]:
    """Give what so many spans of each kind cost, by each of `PROFILES`."""
    prepare()
    return {
        kind: [_cost(spans, name) for name in PROFILES]
        for kind, spans in spans_by_kind(count).items()
    }


def spans_by_kind(count: int) -> dict[str, list[bytes]]:
    """Make so many encoded spans of each kind, each with an id of its own."""
    random = Random(SEED)
    ids = [str(UUID(int=random.getrandbits(128))) for _ in range(count)]
    kinds: dict[str, Callable[[str], Span]] = {
        **{f"an attribute: {kind}": _with_value(*value) for kind, value in VALUES.items()},
        "a status message": _with_message,
        "a stack trace": _with_trace,
    }
    return {kind: [make(id_).SerializeToString() for id_ in ids] for kind, make in kinds.items()}


def _with_value(key: str, value: str) -> Callable[[str], Span]:
    def made(id_: str) -> Span:
        span = Span(name="charge")
        number = UUID(id_).fields[0]
        span.attributes.add(key=key).value.string_value = value.format(id=id_, number=number)
        return span

    return made


def _with_message(id_: str) -> Span:
    status = Status(code=Status.STATUS_CODE_ERROR, message=f"no connection for order {id_}")
    return Span(name="charge", status=status)


def _with_trace(id_: str) -> Span:
    span = Span(name="charge")
    event = span.events.add(name="exception")
    event.attributes.add(key="exception.stacktrace").value.string_value = TRACE.format(id=id_)
    return span


def _cost(spans: Sequence[bytes], profile: str) -> Cost:
    renderer = new_renderer(RenderOptions(profile=profile))
    renderer.render(Span(name="charge").SerializeToString(), SERVICE)
    return Cost(*(_microseconds(renderer.render, spans) for _ in Cost._fields))


def _microseconds(render: Callable[[bytes, str], object], spans: Sequence[bytes]) -> float:
    started = time.thread_time()
    for span in spans:
        render(span, SERVICE)
    return (time.thread_time() - started) / len(spans) * 1e6
