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
    assert arrived.references(["pay"]) == [None]
    arrived.arrive({"pay": b"id"})
    clock.now += seconds

    assert arrived.references(["pay", "ship", None]) == [None if is_due else b"id", None, None]


def test_a_window_begins_with_the_vector_that_arrived_last() -> None:
    clock = FakeClock()
    arrived = sights(clock)
    for _ in range(3):
        arrived.arrive({"pay": b"id"})
        clock.now += 6

    assert arrived.references(["pay"]) == [b"id"]
    assert arrived.vectors() == 3


def test_what_is_over_takes_no_memory() -> None:
    clock = FakeClock()
    arrived = sights(clock)
    arrived.arrive(dict.fromkeys(map(str, range(1_000)), b"id"))
    clock.now += 10
    arrived.references([])
    nothing = arrived.memory()
    arrived.arrive({"pay": b"id"})

    assert nothing == 0

    assert arrived.memory() < 2 * ENTRY_BYTES


def test_of_more_texts_than_there_is_memory_for_those_that_arrived_last_are_known() -> None:
    arrived = sights(FakeClock(), max_bytes=100 * ENTRY_BYTES)
    arrived.arrive({f"operation {number}": b"id" for number in range(1_000)})

    assert arrived.references(["operation 0", "operation 999"]) == [None, b"id"]
    assert 50 * ENTRY_BYTES < arrived.memory() <= 100 * ENTRY_BYTES
