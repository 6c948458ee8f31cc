from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from otel_embedder.search.evaluation.measures import (
    Shares,
    bootstrap,
    counted,
    lru_hits,
    measured,
    precision,
    r_precision,
)

SCORES = np.array([0.9, 0.8, 0.8, 0.1])
# The best, one of the two that are equal, and the last.
RELEVANT = np.array([True, True, False, True])


@pytest.mark.parametrize(
    ("count", "share"),
    [
        (1, 1),
        (2, (1 + 1 / 2) / 2),  # of the two that are equal the one or the other
        (3, 2 / 3),
        (4, 3 / 4),
        (10, 3 / 4),  # there are no more
    ],
)
def test_of_equal_scores_each_may_be_among_the_best(count: int, share: float) -> None:
    assert precision(SCORES, RELEVANT, count) == pytest.approx(share)


def test_r_precision_looks_at_as_many_as_are_relevant() -> None:
    assert r_precision(SCORES, RELEVANT) == pytest.approx(2 / 3)
    assert r_precision(SCORES, np.array([False, True, False, False])) == 0
    assert r_precision(np.array([]), np.array([], np.bool_)) == 0


@pytest.mark.parametrize("count", range(1, 7))
def test_precision_is_the_mean_over_all_orders_of_what_is_equal(count: int) -> None:
    scores = np.array([3, 2, 2, 2, 2, 1])
    relevant = np.array([False, True, True, False, True, True])
    orders = [np.array(order) for order in permutations(range(6))]

    sorted_orders = [order for order in orders if (np.diff(scores[order]) <= 0).all()]
    mean = np.mean([relevant[order[:count]].mean() for order in sorted_orders])

    assert precision(scores, relevant, count) == pytest.approx(mean)


def test_what_arithmetic_alone_sets_apart_is_equal() -> None:
    scores = np.array([0.5, 0.5 + 1e-8])

    assert precision(scores, np.array([True, False]), 1) == 0.5


def test_a_cache_knows_the_texts_that_were_used_last() -> None:
    # 1 is used again before 3 comes, so that 2 is forgotten; and then 1, when 2 comes back.
    hits = lru_hits([1, 2, 1, 3, 2, 1, 2], size=2)

    assert hits.tolist() == [False, False, True, False, False, False, True]


def test_a_mean_of_grouped_values_is_that_of_all_of_them() -> None:
    shares = Shares.grouped(np.array([1, 0, 1, 1]), np.array([0, 0, 0, 2]), 3)

    assert shares.sums.tolist() == [2, 0, 1]
    assert shares.counts.tolist() == [3, 0, 1]
    assert shares.mean == 3 / 4


def test_parts_are_joined_unit_by_unit() -> None:
    joined = Shares.joined([Shares.each([1, 0]), Shares.grouped(np.ones(2), np.zeros(2, int), 1)])

    assert joined.counts.tolist() == [1, 1, 2]
    assert joined.mean == 3 / 4


def test_units_are_drawn_as_often_as_there_are_and_with_repetition() -> None:
    # One value of one unit, three of the other: 1 twice, one each or the other twice.
    draws = bootstrap(np.array([[1, 0]]), np.array([[1, 3]]), seed=1, draws=1000)[0]

    found, counts = np.unique(draws, return_counts=True)
    assert found.tolist() == [0, 0.25, 1]
    assert counts / 1000 == pytest.approx([1 / 4, 1 / 2, 1 / 4], abs=0.05)


def test_the_same_units_are_drawn_for_all_texts() -> None:
    sums = np.array([[5, 1, 3], [4, 0, 2]])

    draws = bootstrap(sums, np.ones_like(sums), seed=1, draws=50)

    assert draws[0] - draws[1] == pytest.approx(np.ones(50))
    assert np.ptp(draws[0]) > 0


def test_an_interval_holds_what_is_drawn_in_95_of_a_hundred_cases() -> None:
    # The mean of 400 throws of a coin, the half of which are heads: .5 +- 1.96 x .5 / 20.
    heads = [1.0] * 200 + [0.0] * 200

    measure = measured("heads", "coins", "throw", {"a": Shares.each(heads)}, seed=1)

    value, low, high = measure.estimate("a")
    assert (value, low, high) == pytest.approx((0.5, 0.451, 0.549), abs=0.004)


def test_a_difference_is_as_sure_as_it_is_the_same_in_all_units() -> None:
    values = [0.1, 0.9, 0.4, 0.6]
    better = Shares.each([value + 0.25 for value in values])

    measure = measured("m", "d", "unit", {"a": better, "b": Shares.each(values)}, seed=1)

    assert measure.difference("a", "b") == pytest.approx((0.25, 0.25, 0.25))
    assert measure.difference("b", "a") == pytest.approx((-0.25, -0.25, -0.25))
    _, low, high = measure.estimate("a")
    assert low is not None
    assert high is not None
    assert high - low > 0.3


def test_a_count_has_no_interval() -> None:
    measure = counted("texts", "d", {"a": 3, "b": 5})

    assert measure.estimate("a") == (3, None, None)
    assert measure.difference("a", "b") == (-2, None, None)


def test_nothing_has_no_mean() -> None:
    measure = measured("m", "d", "unit", {"a": Shares.each([])}, seed=1)

    assert np.isnan(measure.estimate("a").value)
    assert measure.estimate("a")[1:] == (None, None)
