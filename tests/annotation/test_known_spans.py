from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.annotation.known_spans import MAX_SPAN_BYTES, KnownSpans
from otel_embedder.annotation.looking import LOOKED_AT, RESTING
from otel_embedder.otlp.remembered import ENTRY_BYTES, MAX_REMEMBERED_BYTES
from tests.support.otlp_samples import event, span

if TYPE_CHECKING:
    from collections.abc import Iterator

PAID = ("pay", False)
SECOND = 1_000_000_000


class Seconds:
    """Says how many seconds a span took, if it took one."""

    silent_below = SECOND

    def duration(self, started: int, ended: int) -> str:
        return f"{(ended - started) // SECOND}"


def known_spans() -> KnownSpans:
    return KnownSpans(Seconds())


def looked_up(known: KnownSpans, *spans: bytes, service: str = "cart") -> list[object]:
    return [*known.look_up(known.keys(spans, service))]


def remember(known: KnownSpans, span: bytes) -> None:
    [key] = known.keys([span], "cart")
    known.remember(key, PAID)


def occurrence(name: str = "pay", seconds: float = 0.5, *, events: int = 0) -> bytes:
    """Give a span with ids and times of its own."""
    made = span(name, {"cart.color": "red"}, events=[event("retry")] * events)
    made.trace_id, made.span_id = random.randbytes(16), random.randbytes(8)
    made.links.append(Span.Link(trace_id=random.randbytes(16)))
    made.start_time_unix_nano = random.randrange(1, 10**18)
    made.end_time_unix_nano = made.start_time_unix_nano + round(seconds * SECOND)
    return made.SerializeToString()


def numbered() -> Iterator[bytes]:
    """Give spans that each say something else."""
    number = 0
    while True:
        yield occurrence(f"pay {number:09}")
        number += 1


def test_a_span_is_known_whichever_it_is() -> None:
    known = known_spans()
    before = looked_up(known, occurrence())
    remember(known, occurrence())

    assert before == [None]
    assert looked_up(known, occurrence(), occurrence()) == [PAID, PAID]
    assert known.hits() == 2


def test_what_says_something_else_is_not_known() -> None:
    known = known_spans()
    remember(known, occurrence())

    assert looked_up(known, occurrence("ship"), occurrence(seconds=1.5)) == [None, None]
    assert looked_up(known, occurrence(), service="shop") == [None]


def test_what_is_no_span_is_not_known() -> None:
    known = known_spans()
    remember(known, b"\xff")

    assert looked_up(known, b"\xff", occurrence()) == [None, None]


def test_what_does_not_recur_takes_no_memory() -> None:
    known = known_spans()
    large = occurrence("x" * MAX_SPAN_BYTES)
    remember(known, occurrence(events=1))
    remember(known, large)

    assert known.memory() == 0
    assert looked_up(known, large) == [None]


def test_memory_is_bounded() -> None:
    known, most = known_spans(), 0
    for each in islice(numbered(), MAX_REMEMBERED_BYTES // ENTRY_BYTES):
        remember(known, each)
        most = max(most, known.memory())

    assert MAX_REMEMBERED_BYTES // 2 < most <= MAX_REMEMBERED_BYTES


def test_where_hardly_any_span_recurs_none_is_looked_up_for_a_while() -> None:
    known, spans = known_spans(), numbered()
    remember(known, occurrence())

    looked_up(known, *islice(spans, LOOKED_AT))
    resting = looked_up(known, *[occurrence()] * RESTING)
    remember(known, occurrence("ship"))

    assert not any(resting)
    assert looked_up(known, occurrence(), occurrence("ship")) == [PAID, PAID]


def test_while_it_rests_nothing_is_remembered() -> None:
    known, spans = known_spans(), numbered()
    looked_up(known, *islice(spans, LOOKED_AT))
    remember(known, occurrence())

    assert known.memory() == 0
