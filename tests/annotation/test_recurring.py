from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel_embedder.annotation.known_spans import MAX_SPAN_BYTES
from otel_embedder.annotation.looking import LOOKED_AT
from otel_embedder.annotation.recurring import MANY, MANY_SIGHTED, Look, RecurringSpans
from otel_embedder.otlp.remembered import ENTRY_BYTES, MAX_REMEMBERED_BYTES
from otel_embedder.otlp.wire import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SECOND = 1_000_000_000
OK, ERROR = Status.STATUS_CODE_OK, Status.STATUS_CODE_ERROR


def made(
    number: int, name: str = "pay", *, took: int = 5, code: Status.StatusCode.ValueType = OK
) -> Span:
    """Give a span with ids and times of its own."""
    started = 1_700_000_000 * SECOND + number
    return Span(
        OtlpSpan(
            trace_id=number.to_bytes(16), span_id=number.to_bytes(8), name=name,
            start_time_unix_nano=started, end_time_unix_nano=started + took,
            status=Status(code=code),
        ).SerializeToString()
    )  # fmt: skip


@dataclass
class Texts:
    """Says nothing of how long short spans took, nor of attributes."""

    silent_below: float

    def leaves_out(self, attribute: bytes) -> bool:
        return bool(attribute)


def many(spans: Iterable[Span]) -> list[Span]:
    """Give some, and so many others behind that it is worth it to look."""
    some = [*spans]
    return some + [made(number, "other") for number in range(MANY - len(some))]


def looked(recurring: RecurringSpans, spans: Sequence[Span], service: str = "shop") -> Look:
    look = recurring.look_up(spans, [service] * len(spans))
    assert look is not None
    return look


def rendered(span: Span) -> tuple[str, bool]:
    is_error = OtlpSpan.FromString(span.encoded).status.code == ERROR
    return f"text {len(span.encoded)}", is_error


def learn(recurring: RecurringSpans, spans: Sequence[Span], service: str = "shop") -> None:
    look = looked(recurring, spans, service)
    recurring.learn(look, look.others, [*map(rendered, look.others)])


def test_a_span_is_known_once_one_of_its_kind_was_learned() -> None:
    recurring = RecurringSpans(Texts(SECOND))
    first, second = many([made(1)]), many([made(2)])
    learn(recurring, first)

    look = looked(recurring, second)

    assert [*look.seen] == second
    assert not look.others
    assert look.recurring[0].content == f"text {len(second[0].encoded)}"
    assert (look.recurring[0].service, look.recurring[0].status) == ("shop", 1)
    assert look.own[0, 2].tobytes() == (2).to_bytes(8)
    assert recurring.hits() == MANY


@pytest.mark.parametrize(
    "other",
    [
        made(3, "ship"),
        made(3, took=SECOND),
        made(3, "x" * MAX_SPAN_BYTES),
        made(3, code=ERROR),
        Span(b"\xff"),
        Span(b""),
    ],
    ids=["says something else", "slow", "large", "failed", "malformed", "empty"],
)
def test_those_beside_another_are_known(other: Span) -> None:
    recurring = RecurringSpans(Texts(SECOND))
    learn(recurring, many([made(1)]))

    look = looked(recurring, many([made(2), other]))

    assert [*look.others] == [other]
    assert len(look.own) == len(look.seen) == MANY - 1
    assert look.place(other) == 1


def test_a_span_that_ends_before_it_starts_says_nothing_of_how_long_it_took() -> None:
    recurring = RecurringSpans(Texts(SECOND))
    learn(recurring, many([made(1)]))

    look = looked(recurring, many([made(2), made(3, took=-SECOND)]))

    assert not look.others
    assert len(look.own) == len(look.seen) == MANY


def test_of_another_service_nothing_is_known() -> None:
    recurring = RecurringSpans(Texts(SECOND))
    learn(recurring, many([made(1)]))

    assert not looked(recurring, many([made(2)]), "bank").seen


@pytest.mark.parametrize(
    "span",
    [made(1, took=2 * SECOND), made(1, code=ERROR), made(1, "x" * MAX_SPAN_BYTES)],
    ids=["slow", "failed", "large"],
)
def test_what_is_not_to_be_known_is_not_learned(span: Span) -> None:
    recurring = RecurringSpans(Texts(SECOND))
    spans = many([span])
    for _ in range(2):
        learn(recurring, spans)

    assert [*looked(recurring, spans).others] == [span]


@pytest.mark.parametrize("silent_below", [0, float("-inf")])
def test_where_texts_always_tell_how_long_spans_took_it_is_not_worth_it(
    silent_below: float,
) -> None:
    assert RecurringSpans(Texts(silent_below)).look_up(many([]), ["shop"] * MANY) is None


def test_where_they_never_do_any_span_recurs() -> None:
    recurring = RecurringSpans(Texts(float("inf")))
    learn(recurring, many([made(1, took=SECOND)]))

    assert not looked(recurring, many([made(2, took=50 * SECOND)])).others


def test_for_few_it_is_not_worth_it() -> None:
    spans = many([])[1:]
    services = ["shop"] * len(spans)
    recurring = RecurringSpans(Texts(SECOND))

    assert recurring.look_up(spans, services) is None
    assert recurring.look_up(spans, services, are_sighted=True) is not None
    few = slice(MANY_SIGHTED - 1)
    assert recurring.look_up(spans[few], services[few], are_sighted=True) is None


def test_where_hardly_any_recurs_it_rests() -> None:
    recurring = RecurringSpans(Texts(SECOND))
    for start in range(0, LOOKED_AT, MANY):
        looked(recurring, [made(n, f"{n:09}") for n in range(start, start + MANY)])

    assert recurring.look_up(many([]), ["shop"] * MANY) is None


def test_memory_is_bounded() -> None:
    recurring, most = RecurringSpans(Texts(SECOND)), 0
    before = recurring.memory()
    for start in range(0, MAX_REMEMBERED_BYTES // ENTRY_BYTES, MANY):
        learn(recurring, [made(n, f"{n:09}") for n in range(start, start + MANY)])
        learn(recurring, many([])[:MANY])  # or it would rest
        most = max(most, recurring.memory())

    assert before < most
    assert most < 2 * MAX_REMEMBERED_BYTES
    assert recurring.memory() < most
