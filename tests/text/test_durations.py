from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.text.durations import exact_milliseconds, rounded_milliseconds

MILLISECOND = 1_000_000
DAY = 24 * 60 * 60 * 1_000 * MILLISECOND
DURATIONS = st.integers(1_000, 7 * DAY)


@pytest.mark.parametrize(
    ("nanoseconds", "words"),
    [
        (0, "0"),
        (1, "0.001"),
        (1_000, "0.001"),
        (999_999, "1"),
        (1 * MILLISECOND, "1"),
        (1.2 * MILLISECOND, "1"),
        (1.3 * MILLISECOND, "1.6"),
        (1.9 * MILLISECOND, "1.6"),
        (2 * MILLISECOND, "2.5"),
        (5 * MILLISECOND, "4"),
        (7.9 * MILLISECOND, "6.3"),
        (8 * MILLISECOND, "10"),
        (2_500 * MILLISECOND, "2500"),
        (3_000 * MILLISECOND, "2500"),
        (5_003 * MILLISECOND, "4000"),
        (60_000 * MILLISECOND, "63000"),
        (2**64, "630000000"),
    ],
)
def test_a_duration_is_rounded_to_the_nearest_value_of_r5(nanoseconds: float, words: str) -> None:
    assert rounded_milliseconds(int(nanoseconds)) == words


@given(DURATIONS)
def test_rounding_is_never_off_by_more_than_half_a_step(nanoseconds: int) -> None:
    rounded = float(rounded_milliseconds(nanoseconds)) * MILLISECOND

    # R5's largest step is 1.6; and 1 against 0.63.
    assert 1 / 1.27 < rounded / nanoseconds < 1.27


@given(DURATIONS, DURATIONS)
def test_rounding_keeps_the_order(one: int, other: int) -> None:
    shorter, longer = sorted((one, other))

    assert float(rounded_milliseconds(shorter)) <= float(rounded_milliseconds(longer))


@given(DURATIONS)
def test_what_is_rounded_stays_as_it_is(nanoseconds: int) -> None:
    rounded = rounded_milliseconds(nanoseconds)

    assert rounded_milliseconds(int(Decimal(rounded) * MILLISECOND)) == rounded


@pytest.mark.parametrize(
    ("nanoseconds", "words"),
    [
        (0, "0"),
        (1, "0.000001"),
        (1_500_000, "1.5"),
        (10 * MILLISECOND, "10"),
        (2_500 * MILLISECOND, "2500"),
        (2_500_000_001, "2500.000001"),
    ],
)
def test_an_exact_duration_has_no_zeros_behind(nanoseconds: int, words: str) -> None:
    assert exact_milliseconds(nanoseconds) == words


@given(st.integers(0, 2**64))
def test_an_exact_duration_is_exact(nanoseconds: int) -> None:
    assert Decimal(exact_milliseconds(nanoseconds)) * MILLISECOND == nanoseconds
