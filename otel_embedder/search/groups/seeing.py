"""When and where a group was seen, as more of it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.search.groups.kept import NEVER, Seen
from otel_embedder.search.times import DAY, HOUR, NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_embedder.search.groups.failed import FailedTrace

# Shorter ones are no silence for anybody.
LEAST_SILENCE = HOUR * NANOSECONDS
# For so long it is remembered that a group came again, whatever shorter silence comes.
REMEMBERED = DAY * NANOSECONDS
# Of one group; from whoever has names that never end the rest is left out.
MOST_NAMES = 50


def seen_at(seen: Seen | None, traces: Sequence[FailedTrace]) -> Seen:
    """Give when and where a group was seen once these failed, too.

    Args:
        seen: what is known; None of a group that is new.
        traces: by time.

    """
    services = {name for each in traces for name in each.reached}
    operations = {each.failure.operation for each in traces}
    first = traces[0].ended
    known = seen or Seen(first, first)
    known = heard_at(known, traces)
    return Seen(
        min(known.first, first),
        known.last,
        known.silent_since,
        known.came_again,
        _some(known.services, services),
        _some(known.operations, operations),
    )


def heard_at(seen: Seen, traces: Sequence[FailedTrace]) -> Seen:
    """Give when a group was last seen, once what counts as it was seen in these, too."""
    for each in traces:
        seen = _later(seen, each.ended)
    return seen


def _later(seen: Seen, time: int) -> Seen:
    if time <= seen.last:
        return seen
    silence = time - seen.last
    is_told = silence >= LEAST_SILENCE and (
        silence >= seen.silence or time - seen.came_again >= REMEMBERED
    )
    silent_since, came_again = (
        (seen.last, time) if is_told else (seen.silent_since, seen.came_again)
    )
    return Seen(seen.first, time, silent_since, came_again, seen.services, seen.operations)


def both(seen: Seen, other: Seen) -> Seen:
    """Give when and where either of two was seen."""
    later = max(seen, other, key=lambda each: each.came_again)
    is_silent = later.came_again != NEVER
    return Seen(
        min(seen.first, other.first),
        max(seen.last, other.last),
        later.silent_since if is_silent else NEVER,
        later.came_again,
        _some(seen.services, other.services),
        _some(seen.operations, other.operations),
    )


def _some(known: Sequence[str], names: Iterable[str]) -> tuple[str, ...]:
    """Give what is known with new names, sorted; no more than there is room for."""
    new = sorted({*names} - {*known})[: max(0, MOST_NAMES - len(known))]
    return tuple(sorted({*known, *new}))
