from __future__ import annotations

import pytest

from otel_embedder.search.groups.kept import Decision, Seen
from otel_embedder.search.groups.seeing import MOST_NAMES, both, heard_at, seen_at
from otel_embedder.search.groups.states import NEW, QUIET_AFTER, state_of
from tests.support.failing import BEGIN, SECOND, failed

HOUR = 3_600 * SECOND
NOW = BEGIN * SECOND


@pytest.mark.parametrize(
    ("seen", "decision", "state"),
    [
        (Seen(NOW - HOUR, NOW), Decision(), "new"),
        (Seen(NOW - NEW, NOW), Decision(), "ongoing"),
        (Seen(1, NOW, NOW - HOUR - QUIET_AFTER, NOW - HOUR), Decision(), "regressed"),
        (Seen(1, NOW, NOW - NEW - QUIET_AFTER, NOW - NEW), Decision(), "ongoing"),
        (Seen(1, NOW, NOW - QUIET_AFTER, NOW - HOUR), Decision(), "ongoing"),
        (Seen(NOW - HOUR, NOW), Decision("resolved", NOW), "resolved"),
        (Seen(1, NOW), Decision("resolved", NOW - 1), "ongoing"),
        (Seen(1, NOW), Decision("regressed", NOW - HOUR), "regressed"),
        (Seen(1, NOW), Decision("regressed", NOW - NEW), "ongoing"),
        (Seen(NOW - HOUR, NOW), Decision("muted"), "muted"),
        (Seen(NOW - HOUR, NOW), Decision("muted", 1, NOW + 1), "muted"),
        (Seen(NOW - HOUR, NOW), Decision("muted", 1, NOW), "new"),
    ],
)
def test_what_was_decided_goes_before_what_was_seen(
    seen: Seen, decision: Decision, state: str
) -> None:
    assert state_of(seen, decision, now=NOW) == state


def test_a_long_silence_is_remembered_for_a_day_whatever_shorter_one_comes() -> None:
    at = [0.0, 10 * 3_600, 12 * 3_600, 12 * 3_600 + 60]
    seen = seen_at(None, [failed(at=each) for each in at])
    later = heard_at(seen, [failed(at=40 * 3_600)])

    assert (seen.silence, seen.came_again) == (10 * HOUR, NOW + 10 * HOUR)
    assert (later.silence, later.last) == (40 * HOUR - 12 * HOUR - 60 * SECOND, NOW + 40 * HOUR)


def test_what_comes_late_makes_it_seen_earlier_and_no_silence() -> None:
    seen = seen_at(Seen(NOW, NOW), [failed(at=-7_200)])

    assert (seen.first, seen.last, seen.silence) == (NOW - 2 * HOUR, NOW, 0)


def test_of_names_that_never_end_the_first_are_kept() -> None:
    seen = seen_at(None, [failed(operation=f"op {n:03}") for n in range(70)])
    more = seen_at(seen, [failed(operation="another")])

    assert (len(seen.operations), more.operations) == (MOST_NAMES, seen.operations)


def test_of_two_the_later_return_counts() -> None:
    one = Seen(5, 9, 6, 8, ("a",), ("x",))
    other = Seen(3, 20, services=("b",), operations=("x",))

    assert both(one, other) == Seen(3, 20, 6, 8, ("a", "b"), ("x",))
