from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.search.changes.statistics import (
    CELL_WIDTH,
    part_above,
    quantile,
    significance,
    with_continuity,
)


def z_of(k1: float, n1: float, k2: float, n2: float) -> float:
    return float(significance(*(np.array([each]) for each in (k1, n1, k2, n2)))[0])


def test_equal_shares_do_not_differ() -> None:
    assert z_of(10, 100, 20, 200) == pytest.approx(0, abs=1e-6)


def test_a_greater_second_share_is_positive_and_a_lesser_one_negative() -> None:
    assert z_of(1, 100, 20, 100) > 4
    assert z_of(20, 100, 1, 100) == pytest.approx(-z_of(1, 100, 20, 100))


def test_it_is_about_as_many_standard_deviations() -> None:
    # 60 of 100 beside 5,000 of 10,000: two of them.
    assert z_of(5_000, 10_000, 60, 100) == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("counts", [(0, 0, 1, 2), (1, 2, 0, 0), (0, 0, 0, 0)])
def test_of_nothing_nothing_can_be_told(counts: tuple[float, float, float, float]) -> None:
    assert z_of(*counts) == 0


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.sampled_from([0.5, 0.95]))
def test_a_quantile_has_its_share_below_it(counts: list[int], share: float) -> None:
    cells = np.array([counts], float)
    log = quantile(cells, -3, share)
    if not sum(counts):
        assert np.isnan(log[0])
        return
    above = float((cells[0] * part_above(np.arange(len(counts)) - 3, log)).sum())
    assert above == pytest.approx((1 - share) * sum(counts), abs=1e-6)


def test_a_quantile_is_linear_within_a_cell() -> None:
    [log] = quantile(np.array([[0.0, 4.0, 0.0]]), 0, 0.25)
    assert log == pytest.approx((1 - 0.5 + 0.25) * CELL_WIDTH)


def test_of_few_a_difference_is_less_sure_with_continuity() -> None:
    numbers = ([0.0, 50.0], [3.0, 1e3], [3.0, 300.0], [3.0, 1e3])
    k1, n1, k2, n2 = (np.array(each) for each in numbers)

    plain, careful = significance(k1, n1, k2, n2), significance(*with_continuity(k1, n1, k2, n2))

    assert 0 < careful[0] < 0.75 * plain[0]
    assert careful[1] == pytest.approx(plain[1], rel=0.01)


def test_continuity_never_turns_a_difference_round() -> None:
    k1, n1, k2, n2 = with_continuity(*(np.array([each]) for each in (1.0, 2.0, 5.0, 9.0)))

    assert k1 / n1 == pytest.approx(k2 / n2)
    assert [*n1, *n2] == [2.0, 9.0]
