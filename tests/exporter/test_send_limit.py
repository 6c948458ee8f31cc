from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from otel_embedder.exporter.send_limit import (
    FLOOR_BYTES,
    FORGET_SECONDS,
    LIMIT_LOWERED,
    SendLimit,
)


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> SendLimit:
    return SendLimit(4_000, clock=clock, floor=1)


def test_at_first_it_is_what_was_configured(limit: SendLimit) -> None:
    assert limit.current() == 4_000


@pytest.mark.parametrize(
    ("told", "learned"),
    [(3_000, 3_000), (None, 1_900), (3_800, 1_900), (9_999, 1_900), (0, 1_900), (1, 1)],
)
def test_what_the_next_hop_says_counts_where_it_can_be_true(
    limit: SendLimit, told: int | None, learned: int
) -> None:
    limit.lower(refused=3_800, told=told)

    assert limit.current() == learned


def test_it_is_never_raised_by_a_refusal(limit: SendLimit) -> None:
    limit.lower(refused=3_800, told=1_000)
    limit.lower(refused=3_800, told=3_000)

    assert limit.current() == 1_000


def test_after_a_while_the_next_hop_may_take_more_again(limit: SendLimit, clock: Clock) -> None:
    limit.lower(refused=3_800, told=1_000)
    clock.now += FORGET_SECONDS - 1
    before = limit.current()
    clock.now += 1

    assert before == 1_000
    assert limit.current() == 4_000

    limit.lower(refused=3_800, told=2_000)

    assert limit.current() == 2_000


def test_a_limit_is_logged_once_however_often_it_is_found_out(
    limit: SendLimit, clock: Clock
) -> None:
    with capture_logs() as logs:
        limit.lower(refused=3_800, told=1_000)
        limit.lower(refused=3_800, told=1_000)
        clock.now += FORGET_SECONDS
        limit.lower(refused=3_800, told=1_000)
        limit.lower(refused=900, told=500)

    assert [(line["event"], line["bytes"]) for line in logs] == [
        (LIMIT_LOWERED, 1_000),
        (LIMIT_LOWERED, 500),
    ]


@pytest.mark.parametrize("told", [None, 1, 10])
def test_no_refusal_lowers_it_below_the_floor_for_everybody(clock: Clock, told: int | None) -> None:
    limit = SendLimit(4_000_000, clock=clock)
    for refused in (4_000_000, 100_000, 64_000, 100):
        limit.lower(refused=refused, told=told)

    assert limit.current() == FLOOR_BYTES


def test_what_was_configured_below_the_floor_stays(clock: Clock) -> None:
    limit = SendLimit(2_000, clock=clock)
    limit.lower(refused=2_000, told=None)

    assert limit.current() == 2_000
