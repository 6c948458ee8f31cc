from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from otel_embedder.search.changes.finding import Found, find_changes
from otel_embedder.search.counts import SHAPES, Counts, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

CART, BANK, MAIL = 1, 2, 3


def counted(name: str, counts: Mapping[tuple[int, ...], tuple[int, ...]]) -> Table:
    keys, values = SHAPES[name]
    return Table.of(
        np.array([*counts], np.int64).reshape(-1, keys),
        np.array([*counts.values()], np.int64).reshape(-1, values),
    )


class Minute:
    """A minute's counts, span by span."""

    def __init__(self, roots: int = 100) -> None:
        self._roots = roots
        self._rows: dict[tuple[int, ...], tuple[int, int]] = {}
        self._times: dict[tuple[int, ...], tuple[int]] = {}
        self._nexts: dict[tuple[int, ...], tuple[int]] = {}

    def add(self, row: int, milliseconds: float, *, own: int = 0, next_: int = 0) -> None:
        spans, errors = self._rows.get((row,), (0, 0))
        self._rows[row,] = (spans + 1, errors + own)
        for counts, key in (
            (self._times, (row, round(5 * math.log10(milliseconds)))),
            (self._nexts, (row, next_)),
        ):
            counts[key] = (counts.get(key, (0,))[0] + 1,)

    def counts(self) -> Counts:
        return Counts(
            self._roots,
            {
                "rows": counted("rows", self._rows),
                "times": counted("times", self._times),
                "nexts": counted("nexts", self._nexts),
            },
        )


def minute(
    rng: random.Random,
    *,
    bank_ms: float = 50,
    failing: float = 0.0,
    stops_after: int = BANK,
    also: int | None = None,
) -> Counts:
    """A minute in which the cart asks the bank, and mail is sent."""
    made = Minute()
    for _ in range(100):
        made.add(CART, rng.lognormvariate(1, 0.3), next_=stops_after)
        made.add(BANK, bank_ms * rng.lognormvariate(0, 0.3), own=rng.random() < failing)
        made.add(MAIL, rng.lognormvariate(3, 0.3))
        if also is not None:
            made.add(also, 5)
    return made.counts()


def found(window: Counts, rng: random.Random) -> Found:
    return find_changes([minute(rng) for _ in range(10)], [window])


@pytest.fixture
def rng() -> random.Random:
    return random.Random(7)


def certain(changes: Found) -> list[int]:
    return [each.row for each in changes.ranked if each.is_certain]


def test_an_ordinary_minute_has_no_change(rng: random.Random) -> None:
    changes = found(minute(rng), rng)
    assert certain(changes) == []
    assert (changes.faster, changes.gone, changes.more, changes.fewer) == ((), (), (), ())
    assert 0 < changes.visible_share < 0.2


def test_what_has_become_slower_stands_first_with_its_medians(rng: random.Random) -> None:
    changes = found(minute(rng, bank_ms=500), rng)
    assert certain(changes) == [BANK]
    first = changes.ranked[0]
    assert (first.row, first.spans_before, first.spans_after) == (BANK, 1_000, 100)
    [median] = [each for each in first.evidence if each.test == "median"]
    assert median.before == pytest.approx(50, rel=0.2)
    assert median.after == pytest.approx(500, rel=0.2)
    assert median.z > 4


def test_what_fails_more_stands_first(rng: random.Random) -> None:
    changes = found(minute(rng, failing=0.3), rng)
    assert certain(changes) == [BANK]
    assert changes.ranked[0].evidence[0].test == "fails"
    assert changes.ranked[0].evidence[0].after == pytest.approx(0.3, abs=0.15)


def test_what_is_new_is_told(rng: random.Random) -> None:
    changes = found(minute(rng, also=9), rng)
    assert certain(changes) == [9]
    assert changes.ranked[0].evidence[0].test == "new"


def test_where_calls_end_now_is_told_of_the_one_called_last(rng: random.Random) -> None:
    baseline = [minute(rng, stops_after=BANK) for _ in range(9)]
    # Once in ten minutes it is the mail: else nobody could tell that the pair is an old one.
    baseline.append(minute(rng, stops_after=MAIL))
    changes = find_changes(baseline, [minute(rng, stops_after=MAIL) for _ in range(3)])
    assert changes.ranked[0].row == MAIL
    assert changes.ranked[0].evidence[0].test == "ends"


def test_where_a_caller_calls_nobody_any_more_the_caller_is_told_of(rng: random.Random) -> None:
    changes = found(minute(rng, stops_after=0), rng)
    assert changes.ranked[0].row == CART
    assert changes.ranked[0].evidence[0].test == "ends"


def test_what_comes_and_goes_every_other_minute_is_no_news(rng: random.Random) -> None:
    baseline = [minute(rng, bank_ms=500 if number % 2 else 50) for number in range(10)]
    assert certain(find_changes(baseline, [minute(rng, bank_ms=500)])) == []


def test_what_is_gone_faster_or_less_frequent_stands_beside(rng: random.Random) -> None:
    made = Minute()
    for _ in range(100):
        made.add(CART, rng.lognormvariate(1, 0.3), next_=BANK)
        made.add(BANK, 5 * rng.lognormvariate(0, 0.3))
    changes = found(made.counts(), rng)
    assert certain(changes) == []
    assert [shift.row for shift in changes.faster] == [BANK]
    assert [shift.row for shift in changes.gone] == [MAIL]


def test_of_nothing_nothing_is_found() -> None:
    changes = find_changes([], [])
    assert (changes.ranked, changes.gone) == ((), ())
    assert math.isnan(changes.visible_share)
