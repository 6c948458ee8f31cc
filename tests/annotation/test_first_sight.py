from __future__ import annotations

import pytest

from otel_embedder.annotation.first_sight import ENTRY_BYTES, FirstSights
from tests.support.fakes import FakeClock


def sights(clock: FakeClock, *, max_bytes: int = 1_000_000) -> FirstSights:
    return FirstSights(window=10, clock=clock, max_bytes=max_bytes)


@pytest.mark.parametrize(("seconds", "is_due"), [(0, False), (9.9, False), (10, True), (99, True)])
def test_a_vector_is_due_again_when_its_window_is_over(seconds: float, is_due: bool) -> None:  # noqa: FBT001 - a parameter
    clock = FakeClock()
    arrived = sights(clock)
    assert arrived.is_due("pay")
    arrived.arrive(["pay"])
    clock.now += seconds

    assert arrived.is_due("pay") is is_due
    assert arrived.is_due("ship")


def test_a_window_begins_with_the_vector_that_arrived_last() -> None:
    clock = FakeClock()
    arrived = sights(clock)
    for _ in range(3):
        arrived.arrive(["pay"])
        clock.now += 6

    assert not arrived.is_due("pay")
    assert arrived.vectors() == 3


def test_what_is_over_takes_no_memory() -> None:
    clock = FakeClock()
    arrived = sights(clock)
    arrived.arrive(map(str, range(1_000)))
    clock.now += 10
    arrived.arrive(["pay"])

    assert arrived.memory() < 2 * ENTRY_BYTES


def test_of_more_texts_than_there_is_memory_for_those_that_arrived_last_are_known() -> None:
    arrived = sights(FakeClock(), max_bytes=100 * ENTRY_BYTES)
    arrived.arrive(f"operation {number}" for number in range(1_000))

    assert arrived.is_due("operation 0")
    assert not arrived.is_due("operation 999")
    assert 50 * ENTRY_BYTES < arrived.memory() <= 100 * ENTRY_BYTES
