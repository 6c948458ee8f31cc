"""Spans put together into trees, by columns: what each took by itself, and whom it called.

A span's self time is its duration less the union of its children's, clipped to it. No trace is
held together for it: all spans at hand are joined to their parents at once, whatever trees they
are of, in some thirty passes of numpy over arrays.

What is at hand is often not all. A span whose parent is missing is nobody's child; a child that is
missing is not taken off. Of several spans of one id the first is the parent of the children, and
the others, which were likely sent again, are told the same of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from otel_embedder.search.counts import Integers

Ids = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

NO_SPAN = -1  # for a position
NOT_JOINED = -2  # for a position: nobody looked
UNKNOWN = -1  # for a time
# Whoever is deeper is taken to be as deep: so a ring of parents has an end.
MAX_DEPTH = 1_000
# To find spans by their ids: so one in five at most has to be looked for twice.
PLACES_A_KEY = 4
TABLES = 4
MOST = 2**62  # of numbers that are added up

# To tell whether a trace is among others: so one in sixteen at most is taken for another.
PLACES_A_TRACE = 16

NANOSECONDS_PER_MICROSECOND = 1_000
CELLS_A_DECADE = 5  # R5: five numbers a decade, each half as large again as the one before
MILLIDECADES_A_DECADE = 1_000


class Spans(NamedTuple):
    """Some spans by columns, each of shape (n,) but the first.

    Attributes:
        traces: their traces' ids in two numbers each, shape (n, 2).
        ids: their own ids, which are of one trace only.
        parents: their parents' ids, 0 where there is none.
        starts: nanoseconds.
        ends: nanoseconds; before the start where it is not known how long it took.
        services: numbers of their services.
        errors: whether their status is ERROR.

    """

    traces: Ids
    ids: Ids
    parents: Ids
    starts: Integers
    ends: Integers
    services: Integers
    errors: Flags


class Trees(NamedTuple):
    """What is known of spans by their trees, by columns of shape (n,).

    Attributes:
        parents: positions of their parents, NO_SPAN where there is none at hand.
        self_times: nanoseconds, UNKNOWN where their times don't tell.
        own_errors: whether they are errors and none of their children is.
        last_children: positions of the children that started last, NO_SPAN without children.

    """

    parents: Integers
    self_times: Integers
    own_errors: Flags
    last_children: Integers

    def with_others(self, count: int) -> Trees:
        """Give the same with so many spans behind of whose trees nothing is known."""
        return Trees(
            np.append(self.parents, np.full(count, NOT_JOINED)),
            np.append(self.self_times, np.full(count, UNKNOWN)),
            np.append(self.own_errors, np.zeros(count, bool)),
            np.append(self.last_children, np.full(count, NOT_JOINED)),
        )


def join(spans: Spans) -> Trees:
    """Put spans together into trees."""
    durations = spans.ends - spans.starts
    parents, firsts = _joined(spans)
    covered = np.zeros(len(parents), np.int64)
    last = np.full(len(parents), NO_SPAN)
    children = np.flatnonzero(parents >= 0)
    # By parent, and of one by their start; equal ones in the order that they came.
    children = children[np.argsort(spans.starts[children], kind="stable")]
    children = children[np.argsort(parents[children], kind="stable")]
    if len(children):
        above = parents[children]
        is_last = np.append(above[1:] != above[:-1], True)
        last[above[is_last]] = children[is_last]
        covered[above[is_last]] = _covered(spans, children, above, is_last)
    failed_below = np.zeros(len(parents), bool)
    failed_below[parents[children[spans.errors[children]]]] = True
    return Trees(
        parents,
        np.where(durations < 0, UNKNOWN, np.maximum(durations - covered[firsts], 0)),
        spans.errors & ~failed_below[firsts],
        last[firsts],
    )


def _joined(spans: Spans) -> tuple[Integers, Integers]:
    """Give of each span the position of its parent, and of the first span of its own id."""
    count = len(spans.ids)
    if not count:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    traces = _mixed(spans.traces)
    keys = traces + spans.ids
    having = np.flatnonzero((spans.parents != 0) & (spans.parents != spans.ids))
    found = _first_of(keys, np.concatenate([keys, traces[having] + spans.parents[having]]))
    parents = np.full(count, NO_SPAN)
    parents[having] = found[count:]
    return parents, found[:count]


def _first_of(keys: Ids, wanted: Ids) -> Integers:
    """Give for each number that is wanted where it first is among some, NO_SPAN where it is not.

    Args:
        keys: the numbers, spread evenly; at least one.
        wanted: they themselves, and others behind.

    """
    # By tables, as to sort takes several times as long. Those that share a place with others are
    # few, and have another table, which is by other bits.
    found, sought = _looked_up(keys, wanted, 0)
    for shift in range(64 // TABLES, 64, 64 // TABLES):
        left = sought[: np.searchsorted(sought, len(keys))]
        if not len(left):
            return found
        places, unclear = _looked_up(keys[left], wanted[sought], shift)
        found[sought] = np.where(places == NO_SPAN, NO_SPAN, left[places])
        sought = sought[unclear]
    left = sought[: np.searchsorted(sought, len(keys))]
    if len(left):
        # Whoever chose the numbers so that they share all places gets them sorted.
        ordered = left[np.argsort(keys[left], kind="stable")]
        places = np.searchsorted(keys[ordered], wanted[sought])
        nearest = ordered[np.minimum(places, len(ordered) - 1)]
        found[sought] = np.where(keys[nearest] == wanted[sought], nearest, NO_SPAN)
    return found


def _looked_up(keys: Ids, wanted: Ids, shift: int) -> tuple[Integers, Integers]:
    """Give where each number that is wanted first is among some, and of which that is unclear.

    NO_SPAN stands for those, too: another number has their place in the table.
    """
    size = 1 << (PLACES_A_KEY * len(keys)).bit_length()
    table = np.full(size, NO_SPAN, np.int32)
    # Of several the last that is put into a place has it.
    table[_places(keys[::-1], shift, size)] = np.arange(len(keys))[::-1]
    there = table[_places(wanted, shift, size)]
    is_there = keys.take(there) == wanted
    # Where a place is empty there is none, in no other table either.
    unclear = np.flatnonzero(~is_there & (there != NO_SPAN))
    return np.where(is_there, there, np.int64(NO_SPAN)), unclear


def _places(keys: Ids, shift: int, size: int) -> Integers:
    # Signed, as numpy wants places: others are copied first.
    return ((keys >> np.uint64(shift)) & np.uint64(size - 1)).view(np.int64)


def may_be_of(traces: Ids, others: Ids) -> Flags:
    """Tell which traces are among others; of those that are not, it says so of a few as well.

    Args:
        traces: their ids, shape (n, 2).
        others: the same, shape (m, 2).

    Returns:
        For each of the first whether it may be, shape (n,).

    """
    size = 1 << (PLACES_A_TRACE * len(others)).bit_length()
    is_taken = np.zeros(size, bool)
    is_taken[_places(_mixed(others), 0, size)] = True
    among: Flags = is_taken[_places(_mixed(traces), 0, size)]
    return among


def _mixed(traces: Ids) -> Ids:
    """Give a number for each id of a trace, spread evenly (the finalizer of SplitMix64)."""
    mixed = traces[:, 0] * np.uint64(0x9E3779B97F4A7C15) + traces[:, 1]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _covered(spans: Spans, children: Integers, above: Integers, is_last: Flags) -> Integers:
    """Give how many nanoseconds of each parent, in their order, some child was under way.

    Args:
        spans: all of them.
        children: those with a parent, by parent and start.
        above: their parents.
        is_last: whether they are the last of theirs.

    """
    ends = np.minimum(spans.ends[children], spans.ends[above])
    starts = np.maximum(spans.starts[children], spans.starts[above])
    firsts = np.append(0, np.flatnonzero(is_last)[:-1] + 1)
    begun = np.roll(_latest(ends, firsts), 1)
    begun[firsts] = starts[firsts]
    covered: Integers = np.add.reduceat(np.maximum(ends - np.maximum(starts, begun), 0), firsts)
    return covered


def _latest(ends: Integers, firsts: Integers) -> Integers:
    """Give the latest end so far, each among those of its parent.

    Args:
        ends: by parent.
        firsts: where those of each parent begin.

    """
    groups = np.repeat(np.arange(len(firsts)), np.diff(firsts, append=len(ends)))
    # A number for a parent, times as many as there may be ends, and the end: so the greatest so far
    # is of this parent.
    earliest = ends.min()
    many = int(ends.max()) - int(earliest) + 1
    if many * len(firsts) <= MOST:
        before = groups * many - earliest
        latest: Integers = np.maximum.accumulate(before + ends) - before
        return latest
    # Of ends that are years apart their ranks do.
    ranks = np.empty(len(ends), np.int64)
    by_end = np.argsort(ends)
    ranks[by_end] = np.arange(len(ends))
    before = groups * len(ends)
    return ends[by_end[np.maximum.accumulate(before + ranks) - before]]


def cells(nanoseconds: Integers) -> Integers:
    """Give the R5 index of durations: 5 a decade, 0 is a millisecond, -15 a microsecond or less."""
    return _steps(nanoseconds, CELLS_A_DECADE)


def millidecades(nanoseconds: Integers) -> Integers:
    """Give durations as thousandths of a decade: 0 is a millisecond, -3000 a microsecond or less.

    The sum of them over their number is the logarithm of the typical duration.
    """
    return _steps(nanoseconds, MILLIDECADES_A_DECADE)


def _steps(nanoseconds: Integers, steps_a_decade: int) -> Integers:
    microseconds = np.maximum(nanoseconds / NANOSECONDS_PER_MICROSECOND, 1)
    steps: Integers = np.rint(steps_a_decade * (np.log10(microseconds) - 3)).astype(np.int64)
    return steps


def depths(parents: Integers, positions: Integers) -> Integers:
    """Give of the spans at some positions how many others they are under.

    Args:
        parents: as in `Trees`.
        positions: shape (n,).

    """
    depths = np.zeros(len(positions), np.int64)
    above = parents[positions]
    for _ in range(MAX_DEPTH):
        is_under = above >= 0
        if not is_under.any():
            break
        depths += is_under
        above = np.where(is_under, parents[above], NO_SPAN)
    return depths


def failed_at(spans: Spans, trees: Trees) -> Integers:
    """Give for each trace that failed the position where it did.

    That is the deepest of its spans that are errors without an error child, and of several the
    first to end.
    """
    own = np.flatnonzero(trees.own_errors)
    traces = spans.traces[own]
    deep = depths(trees.parents, own)
    order = np.lexsort((own, spans.ends[own], -deep, traces[:, 1], traces[:, 0]))
    ordered = traces[order]
    is_first = np.ones(len(own), bool)
    is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return np.sort(own[order[is_first]])


def of_same_trace(spans: Spans, positions: Integers, wanted: Integers) -> tuple[Integers, Integers]:
    """Give the spans that are of the trace of another one.

    Args:
        spans: all of them.
        positions: of those to choose from.
        wanted: of the others, of which no two are of one trace.

    Returns:
        The positions of those chosen, and for each the place in `wanted` of the other; both of
        shape (m,).

    """
    if not len(wanted):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    traces = _mixed(spans.traces)
    keys = traces[wanted]
    order = np.argsort(keys)
    places = np.minimum(np.searchsorted(keys[order], traces[positions]), len(keys) - 1)
    is_same = keys[order][places] == traces[positions]
    return positions[is_same], order[places[is_same]]
