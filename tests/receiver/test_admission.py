from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from otel_embedder.errors import BusyError
from otel_embedder.receiver.admission import MAX_RETRY_SECONDS, MIN_RETRY_SECONDS, Admission
from tests.support.fakes import FakeMetrics


def admission(
    *, max_requests: int = 10, max_bytes: int = 100, metrics: FakeMetrics | None = None
) -> Admission:
    return Admission(
        max_requests=max_requests, max_bytes=max_bytes, metrics=metrics or FakeMetrics()
    )


def test_what_is_in_flight_is_known() -> None:
    door = admission()
    with door.admit() as one, door.admit() as other:
        one.grow(30)
        other.grow(20)
        one.grow(5)
        within = (door.requests(), door.bytes())

    assert within == (2, 55)
    assert (door.requests(), door.bytes()) == (0, 0)


def test_another_thread_may_ask_what_is_in_flight_while_that_changes() -> None:
    door = admission()

    def readings() -> set[int]:
        return {door.bytes() for _ in range(300_000)}

    with ThreadPoolExecutor(1) as thread:
        read = thread.submit(readings)
        while not read.done():
            with door.admit() as one, door.admit() as other:
                one.grow(10)
                other.grow(10)

    assert read.result() <= {0, 10, 20}


def test_one_request_too_many_is_refused_until_another_is_done() -> None:
    door = admission(max_requests=1)
    with (
        door.admit(),
        pytest.raises(BusyError, match="too much at once: 1 requests are in flight"),
        door.admit(),
    ):
        pass
    with door.admit():
        assert door.requests() == 1


def test_a_byte_too_many_is_refused_and_not_counted() -> None:
    door = admission(max_bytes=100)
    with door.admit() as one, door.admit() as other:
        one.grow(60)
        other.grow(40)
        with pytest.raises(BusyError, match="requests of 60 bytes are in flight besides"):
            other.grow(1)
        assert door.bytes() == 100


def test_where_no_request_of_the_usual_size_would_fit_nobody_need_send_one() -> None:
    door = admission(max_requests=100, max_bytes=100)
    with ExitStack() as admitted:
        for _ in range(9):
            admitted.enter_context(door.admit()).grow(10)
        door.check()
        admitted.enter_context(door.admit()).grow(1)
        with pytest.raises(BusyError, match="requests of 91 bytes are in flight"):
            door.check()


def test_a_huge_request_does_not_keep_the_usual_ones_out() -> None:
    door = admission(max_bytes=100)
    with door.admit() as huge:
        huge.grow(80)
        door.check()
        with door.admit() as usual:
            usual.grow(5)


def test_a_request_that_is_alone_may_be_larger_than_all_together() -> None:
    door = admission(max_bytes=100)
    with door.admit() as one:
        one.grow(99)
        one.grow(200)

        assert door.bytes() == 299


def test_what_is_attached_is_in_flight_and_has_the_room_that_requests_leave() -> None:
    door = admission(max_bytes=100)
    with door.admit() as one, door.admit() as other:
        one.grow(30)
        one.attach(50)
        other.grow(10)
        other.attach(10)
        with pytest.raises(BusyError):
            other.attach(1)
        within = door.bytes()

    assert within == 100
    assert door.bytes() == 0


def test_also_a_request_that_is_alone_has_no_more_than_that() -> None:
    door = admission(max_bytes=100)
    with door.admit() as one:
        one.grow(90)
        with pytest.raises(BusyError):
            one.attach(11)


def test_what_is_attached_keeps_no_request_out() -> None:
    metrics = FakeMetrics()
    door = admission(max_bytes=100, metrics=metrics)
    with door.admit() as one:
        one.grow(10)
        one.attach(90)
        with pytest.raises(BusyError):
            one.attach(1)
        door.check()
        with door.admit() as other:
            other.grow(90)

    assert metrics.counts == {}


def test_a_request_that_fails_leaves_its_place() -> None:
    door = admission()

    def fail() -> None:
        with door.admit() as one:
            one.grow(30)
            raise ValueError("oh")

    with pytest.raises(ValueError, match="oh"):
        fail()

    assert (door.requests(), door.bytes()) == (0, 0)


def test_those_who_are_refused_are_counted_and_come_back_at_different_times() -> None:
    metrics = FakeMetrics()
    door = admission(max_requests=1, metrics=metrics)
    waits = set()
    with door.admit():
        for _ in range(20):
            with pytest.raises(BusyError) as raised:
                door.check()
            waits.add(raised.value.retry_after)

    assert metrics.counts == {"turned_away": 20}
    assert len(waits) > 10
    assert all(MIN_RETRY_SECONDS <= wait <= MAX_RETRY_SECONDS for wait in waits)
