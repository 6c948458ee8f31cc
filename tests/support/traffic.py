"""A shop's traces minute by minute: as ordinary as chance has it, or with a fault."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.search.times import MINUTE, NANOSECONDS
from tests.support.made_up import NOON
from tests.support.otlp_samples import request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SHOP, BANK, CART = "shop", "bank", "cart"
CHECKOUT, CHARGE, ASK_BANK, GET_CART = "POST /checkout", "charge card", "ask bank", "get cart"
TRACES_A_MINUTE = 20
SPANS_A_MINUTE = 4 * TRACES_A_MINUTE
MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the bank.

    Attributes:
        milliseconds: how long it takes.
        failing: the share of its spans that fail.
        network: how much longer whoever asks it waits, in milliseconds.

    """

    milliseconds: float = 50
    failing: float = 0
    network: float = 1


WELL = Fault()


def traffic(
    minutes: Iterable[int], fault: Fault = WELL, *, seed: int = 7, begin: int = NOON
) -> list[ExportTraceServiceRequest]:
    """Give the requests of some minutes, counted from `begin`: one a service and minute."""
    random = Random(seed)
    starts = (begin + MINUTE * minute for minute in minutes)
    return [made for start in starts for made in _minute(start, fault, random)]


def _minute(start: int, fault: Fault, random: Random) -> list[ExportTraceServiceRequest]:
    spans: dict[str, list[Span]] = {SHOP: [], BANK: [], CART: []}
    for number in range(TRACES_A_MINUTE):
        second = start + MINUTE * number / TRACES_A_MINUTE
        for service, span in _trace(round(second * NANOSECONDS), fault, random):
            spans[service].append(span)
    return [request(*some, service=service) for service, some in spans.items()]


def _trace(start: int, fault: Fault, random: Random) -> list[tuple[str, Span]]:
    def lasting(milliseconds: float) -> int:
        return round(milliseconds * MILLISECOND * random.lognormvariate(0, 0.3))

    trace_id = random.randbytes(16)
    checkout, cart, asking, bank = (random.randbytes(8) for _ in range(4))
    fails = random.random() < fault.failing
    took_cart, took_bank = lasting(5), lasting(fault.milliseconds)
    begin = start + lasting(2)
    ask = begin + took_cart
    answered = ask + took_bank + lasting(fault.network)
    made = [
        (SHOP, CHECKOUT, checkout, b"", start, answered + lasting(3)),
        (CART, GET_CART, cart, checkout, begin, begin + took_cart),
        (SHOP, ASK_BANK, asking, checkout, ask, answered),
        (BANK, CHARGE, bank, asking, ask, ask + took_bank),
    ]
    return [
        (
            service,
            Span(
                trace_id=trace_id,
                span_id=span_id,
                parent_span_id=parent,
                name=name,
                kind=Span.SPAN_KIND_SERVER,
                start_time_unix_nano=begun,
                end_time_unix_nano=end,
                status=_failed() if fails and name == CHARGE else None,
            ),
        )
        for service, name, span_id, parent, begun, end in made
    ]


def _failed() -> Status:
    return Status(code=Status.STATUS_CODE_ERROR, message="the card was refused")
