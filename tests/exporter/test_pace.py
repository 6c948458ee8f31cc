"""What gets through a next hop is known beforehand: a simulated one, by a clock of its own."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from otel_embedder.exporter.pace import MIN_BYTES, SHARE, Pace

LIMIT = 4 * 1024 * 1024 - 4096
CALL_SECONDS = 10.0
MEGABYTE = 1_000_000
# As many spans as a Collector sends at once by default, with their vectors and without.
FULL, BARE = 26 * MEGABYTE, MEGABYTE // 2

RATES = [1, 4, 16, 1000]
LATENCIES = [0.001, 0.1, 0.5]
DEADLINES = [2.0, 5.0, 10.0]


@dataclass(frozen=True)
class Link:
    """The way to a next hop.

    Attributes:
        rate: megabytes a second.
        latency: seconds that a call takes, however small.

    """

    rate: float
    latency: float = 0.01

    def seconds(self, size: int) -> float:
        """Give what calls of so many bytes together take."""
        return math.ceil(size / LIMIT) * self.latency + size / (self.rate * MEGABYTE)


class Sender:
    """Sends requests over a link, as much as is said to get through."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._now = 0.0
        self.pace = Pace(max_seconds=CALL_SECONDS, clock=lambda: self._now)

    def send(
        self, link: Link, deadline: float, *, full: int = FULL, bare: int = BARE
    ) -> tuple[int, bool]:
        """Give how many bytes were sent, and whether they got through."""
        room = self.pace.room(deadline, call_bytes=min(full, self._limit))
        size = int(max(bare, min(full, room)))
        return size, self._calls(link, size, self._now + deadline)

    def _calls(self, link: Link, size: int, end: float) -> bool:
        while size > 0:
            if not self._call(link, min(size, self._limit), min(CALL_SECONDS, end - self._now)):
                return False
            size -= self._limit
        return True

    def _call(self, link: Link, size: int, seconds: float) -> bool:
        takes = link.seconds(size)
        with suppress(TimeoutError), self.pace.learning(size):
            self._now += min(takes, seconds)
            if takes > seconds:
                raise TimeoutError
        return takes <= seconds


def test_as_long_as_nothing_is_known_all_is_tried() -> None:
    assert Sender().pace.room(5, call_bytes=LIMIT) == math.inf


def test_what_small_calls_take_says_nothing_of_large_ones() -> None:
    sender = Sender()
    for _ in range(30):
        sender.send(Link(1000, latency=1), 5, full=1_000, bare=1_000)
        sender.send(Link(1000, latency=1), 5, full=300_000, bare=1_000)

    assert sender.pace.room(5, call_bytes=LIMIT) == math.inf


def test_half_a_megabyte_of_spans_gets_through_four_megabytes_a_second_at_the_second_try() -> None:
    sender, link = Sender(), Link(4)
    tries = [sender.send(link, 5) for _ in range(6)]

    assert [has_arrived for _, has_arrived in tries] == [False, *[True] * 5]
    assert all(size > 8 * MEGABYTE for size, _ in tries)


@pytest.mark.parametrize(
    ("rate", "latency", "deadline"), [*product(RATES, LATENCIES, DEADLINES)], ids=str
)
def test_after_two_tries_all_get_through_where_it_would_without_vectors(
    rate: float, latency: float, deadline: float
) -> None:
    sender, link = Sender(), Link(rate, latency)
    tries = [sender.send(link, deadline) for _ in range(12)]

    assert link.seconds(BARE) < SHARE * deadline
    assert all(has_arrived for _, has_arrived in tries[2:])


@pytest.mark.parametrize("limit", [10_000, 100_000, 1_000_000])
def test_what_gets_through_is_known_whatever_the_size_of_a_call(limit: int) -> None:
    sender, link = Sender(limit), Link(0.1)
    tries = [sender.send(link, 5, full=2 * MEGABYTE, bare=100_000) for _ in range(6)]

    assert tries[0] == (2 * MEGABYTE, False)
    assert all(has_arrived for _, has_arrived in tries[1:])
    assert all(size > 150_000 for size, _ in tries)


@settings(deadline=None, max_examples=200)
@given(
    link=st.builds(Link, st.floats(1, 1000), st.floats(0, 0.5)),
    deadline=st.sampled_from(DEADLINES),
    sizes=st.lists(st.integers(1, FULL), min_size=1, max_size=30),
)
def test_where_all_would_get_through_twice_over_nothing_is_left_out(
    link: Link, deadline: float, sizes: list[int]
) -> None:
    assume(2 * link.seconds(max(sizes)) < SHARE * deadline)
    sender = Sender()

    for size in sizes:
        assert sender.send(link, deadline, full=size, bare=size // 10) == (size, True)


@settings(deadline=None, max_examples=200)
@given(
    slow=st.builds(Link, st.floats(0.25, 4), st.floats(0, 0.3)),
    deadline=st.sampled_from(DEADLINES),
    bare=st.integers(10_000, 400_000),
    tries=st.integers(3, 30),
)
def test_a_next_hop_that_is_fast_again_soon_gets_all_vectors_again(
    slow: Link, deadline: float, bare: int, tries: int
) -> None:
    sender, fast = Sender(), Link(1000)
    before = [sender.send(fast, deadline, bare=bare) for _ in range(5)]
    for _ in range(tries):
        sender.send(slow, deadline, bare=bare)
    after = [sender.send(fast, deadline, bare=bare) for _ in range(20)]

    assert before == [(FULL, True)] * 5
    assert all(has_arrived for _, has_arrived in after)
    assert after[-1][0] == FULL


@settings(deadline=None, max_examples=200)
@given(
    slow=st.builds(Link, st.floats(0.25, 4), st.floats(0, 0.3)),
    deadline=st.sampled_from(DEADLINES),
)
def test_a_next_hop_that_gets_slow_is_found_out_within_four_tries(
    slow: Link, deadline: float
) -> None:
    assume(slow.seconds(2 * MIN_BYTES) < SHARE * deadline)
    sender = Sender()
    for _ in range(5):
        sender.send(Link(1000), deadline, bare=MIN_BYTES)
    tries = [sender.send(slow, deadline, bare=MIN_BYTES) for _ in range(20)]

    assert all(has_arrived for _, has_arrived in tries[4:])


@pytest.mark.parametrize("seconds", [0.1, 0.5])
def test_one_slow_call_is_no_slow_next_hop(seconds: float) -> None:
    sender = Sender()
    for _ in range(10):
        sender.send(Link(1000), 5)
    sender.send(Link(1000, latency=seconds), 5, full=LIMIT)

    assert sender.send(Link(1000), 5) == (FULL, True)


def test_a_refusal_at_once_teaches_nothing() -> None:
    sender = Sender()
    for _ in range(10):
        with pytest.raises(ConnectionError), sender.pace.learning(LIMIT):
            raise ConnectionError

    assert sender.pace.room(5, call_bytes=LIMIT) == math.inf


def test_a_request_without_a_byte_takes_no_time_a_byte() -> None:
    sender = Sender()
    with sender.pace.learning(0):
        pass
    with pytest.raises(ConnectionError), sender.pace.learning(0):
        raise ConnectionError

    assert sender.pace.room(5, call_bytes=1) >= MIN_BYTES


def test_however_slow_it_is_what_is_small_has_room() -> None:
    sender = Sender()
    for _ in range(10):
        sender.send(Link(0.01), 5, bare=MIN_BYTES)

    assert sender.pace.room(-1, call_bytes=LIMIT) == MIN_BYTES
    assert sender.pace.room(-1, call_bytes=1_000) >= MIN_BYTES


def test_who_waits_for_ever_gets_all_through() -> None:
    sender = Sender()
    for _ in range(3):
        sender.send(Link(1), 5)

    assert sender.pace.room(math.inf, call_bytes=LIMIT) == math.inf


def test_no_call_is_larger_than_gets_through_in_a_calls_time() -> None:
    sender, link = Sender(), Link(0.2)
    for _ in range(3):
        sender.send(link, 60)

    size, has_arrived = sender.send(link, 60)
    assert has_arrived
    assert size < 0.2 * MEGABYTE * CALL_SECONDS


def test_what_was_given_up_is_still_in_the_way() -> None:
    now = 0.0
    pace = Pace(max_seconds=CALL_SECONDS, clock=lambda: now)
    with pace.learning(LIMIT):
        now += 4  # 1 MB/s
    free = pace.room(5, call_bytes=LIMIT)

    now += 1
    pace.gave_up(LIMIT, after=1)
    behind = pace.room(5, call_bytes=LIMIT)
    now += 3
    later = pace.room(5, call_bytes=LIMIT)

    assert behind == pytest.approx(free * 2 / 5, rel=0.01)
    assert later == free


def test_an_answer_tells_that_nothing_is_in_the_way_any_more() -> None:
    now = 0.0
    pace = Pace(max_seconds=CALL_SECONDS, clock=lambda: now)
    with pace.learning(LIMIT):
        now += 4
    free = pace.room(5, call_bytes=LIMIT)
    pace.gave_up(LIMIT, after=0)
    assert pace.room(5, call_bytes=LIMIT) < free

    with pace.learning(MIN_BYTES):
        now += 0.1

    assert pace.room(5, call_bytes=LIMIT) == free
