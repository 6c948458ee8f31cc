"""What is slower, fails more, is new, and where calls end that went on before: ranked.

Each row is put to tests. One compares the baseline with the window, and comes to a size `m`, a
natural logarithm of how many times as much there is, and to a significance `z`. The latter is
divided by how much the baseline's own buckets differ from one another, so that what comes and
goes every other minute is no news. Why these tests and no others: docs/changes.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from otel_embedder.search.changes.statistics import (
    part_above,
    quantile,
    significance,
    with_continuity,
)
from otel_embedder.search.changes.totals import along_the_same_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_embedder.search.changes.statistics import Floats
    from otel_embedder.search.changes.totals import Axes, Totals
    from otel_embedder.search.counts import Counts, Integers
    from otel_embedder.search.recording.trees import Flags

Test = Literal["median", "p95", "fails", "new", "ends"]
QUANTILES: dict[Test, float] = {"median": 0.5, "p95": 0.95}

# Added to each share: what is a fiftieth of all or less counts as little.
LEAST_SHARE = 0.02
# With a z of so many a shift of times, and of a share, counts in full.
FULL_SLOWER_Z, FULL_SHARE_Z = 3.0, 5.0
CERTAIN_Z = 4.0
LEAST_TIMES = 1.5
# What is less sure is chance already, whatever the baseline's buckets are.
LEAST_Z = 1.0
# As if four buckets had been seen that differ as chance has it.
PRIOR_BUCKETS = 4


class Outcome(NamedTuple):
    """What a test came to, for each row (or pair, for "ends").

    Attributes:
        test: which.
        rows: the places of the rows that it speaks of, shape (n,).
        callers: for "ends" the numbers of the rows whose last call it is; else 0; shape (n,).
        before: milliseconds or a share in the baseline, shape (n,).
        after: the same in the window.
        m: how many times as much, as a natural logarithm.
        z: how surely; 0 where nothing can be told.
        sure: the same as low as chance may make it of whole numbers: what is told as certain.

    """

    test: Test
    rows: Integers
    callers: Integers
    before: Floats
    after: Floats
    m: Floats
    z: Floats
    sure: Floats


class Evidence(NamedTuple):
    """What a test says of a row.

    Attributes:
        test: which.
        before: milliseconds of self time (median, p95), or a share, in the baseline.
        after: the same in the window.
        z: how surely it is another.
        caller: for "ends" the number of the row whose last call this is; the row itself if it
            calls nobody any more. Else 0.

    """

    test: Test
    before: float
    after: float
    z: float
    caller: int


@dataclass(frozen=True, slots=True)
class RowChange:
    """What has changed of a row.

    Attributes:
        row: its number in the store.
        score: what it is ranked by.
        is_certain: whether a test says so for sure.
        spans_before: how many spans of it the baseline has.
        spans_after: how many the window has.
        evidence: what it rests on, the weightiest first.

    """

    row: int
    score: float
    is_certain: bool
    spans_before: int
    spans_after: int
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """A row that is listed beside, not ranked.

    Attributes:
        row: its number in the store.
        before: milliseconds of the median (faster), or spans a root span (the others).
        after: the same in the window.
        z: how surely it is another.

    """

    row: int
    before: float
    after: float
    z: float


@dataclass(frozen=True, slots=True)
class Found:
    """What is different in a window.

    Attributes:
        ranked: rows for which something speaks: those that are certain before all others, and
            among both the likeliest cause first.
        faster: rows whose median is less.
        gone: rows that are not there any more.
        more: rows that are more frequent.
        fewer: rows that are less frequent.
        visible_share: the share of failing spans that would have been certain, in the window's
            most frequent row; NaN if there is none.
        busiest: the number of that row; 0 if there is none.

    """

    ranked: tuple[RowChange, ...]
    faster: tuple[Shift, ...]
    gone: tuple[Shift, ...]
    more: tuple[Shift, ...]
    fewer: tuple[Shift, ...]
    visible_share: float
    busiest: int


def find_changes(
    baseline: Sequence[Counts], window: Sequence[Counts], *, most: int = sys.maxsize
) -> Found:
    """Compare a window with the time right before it.

    Args:
        baseline: the buckets of the time before; they should be alike in length.
        window: the buckets in question.
        most: of so many rows it is told what has changed.

    """
    axes, before, after, each = along_the_same_axes(baseline, window)
    outcomes = [
        *(_slower(test, axes, before, after, each) for test in QUANTILES),
        _fails(before, after, each),
        _new(before, after),
        _ends(axes, before, after, each),
    ]
    more, fewer, gone = _frequencies(axes, before, after, each)
    return Found(
        ranked=_ranked(outcomes, axes, before, after, most),
        faster=_faster(outcomes[0], axes),
        gone=gone,
        more=more,
        fewer=fewer,
        visible_share=_visible_share(before, after),
        busiest=int(axes.rows[after.spans.argmax()]) if after.spans.any() else 0,
    )


class Shares(NamedTuple):
    """Two shares, as parts k of n; each of shape (n,)."""

    k1: Floats
    n1: Floats
    k2: Floats
    n2: Floats


def _tested(
    shares: Shares, rest_and_bucket: Callable[[Totals], Shares], each: Sequence[Totals]
) -> tuple[Floats, Floats]:
    """Give how surely shares differ, and how surely as low as chance may make it.

    Both are divided by how much the baseline's buckets differ from what the others of them say.

    Args:
        shares: of the baseline and the window.
        rest_and_bucket: gives those of a bucket of the baseline, behind those of all others.
        each: the baseline's buckets.

    """
    z = significance(*shares)
    [in_sight] = np.nonzero(np.abs(z) >= LEAST_Z)
    squares = np.zeros(len(in_sight))
    for bucket in each:
        apart = (numbers[in_sight] for numbers in rest_and_bucket(bucket))
        squares += significance(*apart) ** 2
    by = np.ones(len(z))
    spread = (PRIOR_BUCKETS + squares) / (PRIOR_BUCKETS + len(each))
    by[in_sight] = np.sqrt(np.maximum(spread, 1.0))
    return z / by, significance(*with_continuity(*shares)) / by


def _slower(
    test: Test, axes: Axes, before: Totals, after: Totals, each: Sequence[Totals]
) -> Outcome:
    share = QUANTILES[test]
    x = quantile(before.cells(axes), axes.first_cell, share)
    y = quantile(after.cells(axes), axes.first_cell, share)
    is_known = np.isfinite(x) & np.isfinite(y)
    limit = np.where(is_known, x, 0.0)

    def above(totals: Totals) -> tuple[Floats, Floats]:
        row, cell, count = totals.times
        size = len(axes.rows)
        parts = count * part_above(cell, limit[row])
        k: Floats = np.bincount(row, parts, size).astype(float)
        n: Floats = np.bincount(row, count, size).astype(float)
        return k, n

    (k1, n1), (k2, n2) = above(before), above(after)

    def apart(bucket: Totals) -> Shares:
        k, n = above(bucket)
        return Shares(k1 - k, n1 - n, k, n)

    tested = _tested(Shares(k1, n1, k2, n2), apart, each)
    z, sure, m = (np.where(is_known, values, 0.0) for values in (*tested, y - x))
    rows = np.arange(len(axes.rows))
    return Outcome(test, rows, _nobody(rows), np.exp(x), np.exp(y), m, z, sure)


def _fails(before: Totals, after: Totals, each: Sequence[Totals]) -> Outcome:
    def apart(bucket: Totals) -> Shares:
        rest = before.spans - bucket.spans
        return Shares(before.own - bucket.own, rest, bucket.own, bucket.spans)

    shares = Shares(before.own, before.spans, after.own, after.spans)
    z, sure = _tested(shares, apart, each)
    x, y = _share(before.own, before.spans), _share(after.own, after.spans)
    rows = np.arange(len(x))
    return Outcome("fails", rows, _nobody(rows), x, y, _times(x, y), z, sure)


def _new(before: Totals, after: Totals) -> Outcome:
    [rows] = np.nonzero((before.spans == 0) & (after.spans > 0))
    roots = np.full(len(rows), float(after.roots))
    y = np.minimum(1.0, _share(after.spans[rows], roots))
    x = np.zeros(len(rows))
    shares = Shares(x, np.full(len(rows), float(before.roots)), y * roots, roots)
    z, sure = significance(*shares), significance(*with_continuity(*shares))
    return Outcome("new", rows, _nobody(rows), x, y, _times(x, y), z, sure)


def _ends(axes: Axes, before: Totals, after: Totals, each: Sequence[Totals]) -> Outcome:
    n1, n2 = before.ending(axes), after.ending(axes)

    def apart(bucket: Totals) -> Shares:
        n = bucket.ending(axes)
        return Shares(before.ends - bucket.ends, n1 - n, bucket.ends, n)

    z, sure = _tested(Shares(before.ends, n1, after.ends, n2), apart, each)
    x, y = _share(before.ends, n1), _share(after.ends, n2)
    # It speaks of the call that is the last one now, or where there is none of the caller.
    told = np.where(axes.ends[:, 1] > 0, axes.ends[:, 1], axes.ends[:, 0])
    is_known = np.isin(told, axes.rows)
    rows = np.searchsorted(axes.rows, told[is_known])
    callers = axes.ends[is_known, 0]
    told_of = (values[is_known] for values in (x, y, _times(x, y), z, sure))
    return Outcome("ends", rows, callers, *told_of)


def _nobody(rows: Integers) -> Integers:
    return np.zeros_like(rows)


def _share(part: Floats, of: Floats) -> Floats:
    share: Floats = np.divide(part, of, out=np.zeros_like(part), where=of > 0)
    return share


def _times(x: Floats, y: Floats) -> Floats:
    times: Floats = np.log((y + LEAST_SHARE) / (x + LEAST_SHARE))
    return times


class Score(NamedTuple):
    """What rows are ranked by, each of shape (rows,).

    Attributes:
        points: the greatest of what shifts count, and the sum of what shares do.
        is_certain: whether a test says so for sure.

    """

    points: Floats
    is_certain: Flags

    def order(self, most: int) -> Integers:
        """Give the places of the rows for which something speaks, the first first."""
        [told] = np.nonzero(self.points > 0)
        by_rank = np.lexsort((told, -self.points[told], ~self.is_certain[told]))
        order: Integers = told[by_rank[:most]]
        return order


def _weights(outcome: Outcome) -> Floats:
    """Give what each part of an outcome counts: not what is less, and less what is less sure."""
    full = FULL_SLOWER_Z if outcome.test in QUANTILES else FULL_SHARE_Z
    return np.maximum(outcome.m, 0.0) * np.clip(outcome.z / full, 0.0, 1.0)


def _score(outcomes: Sequence[Outcome], size: int) -> Score:
    slower, shares = np.zeros((2, size))
    is_certain = np.zeros(size, bool)
    for outcome in outcomes:
        weights = _weights(outcome)
        if outcome.test in QUANTILES:
            np.maximum.at(slower, outcome.rows, weights)
        else:
            np.add.at(shares, outcome.rows, weights)
        is_sure = (outcome.sure >= CERTAIN_Z) & (outcome.m >= np.log(LEAST_TIMES))
        is_certain[outcome.rows[is_sure]] = True
    return Score(slower + shares, is_certain)


def _ranked(
    outcomes: Sequence[Outcome], axes: Axes, before: Totals, after: Totals, most: int
) -> tuple[RowChange, ...]:
    score = _score(outcomes, len(axes.rows))
    order = score.order(most)
    evidence = _evidence(outcomes, order)
    return tuple(
        RowChange(
            row=int(axes.rows[row]),
            score=float(score.points[row]),
            is_certain=bool(score.is_certain[row]),
            spans_before=int(before.spans[row]),
            spans_after=int(after.spans[row]),
            evidence=evidence[row],
        )
        for row in order.tolist()
    )


def _evidence(outcomes: Sequence[Outcome], rows: Integers) -> dict[int, tuple[Evidence, ...]]:
    """Give what speaks for some rows, the weightiest first."""
    told: dict[int, list[tuple[float, Evidence]]] = {row: [] for row in rows.tolist()}
    for outcome in outcomes:
        weights = _weights(outcome)
        for place in np.flatnonzero((weights > 0) & np.isin(outcome.rows, rows)).tolist():
            one = Evidence(
                outcome.test,
                float(outcome.before[place]),
                float(outcome.after[place]),
                float(outcome.z[place]),
                int(outcome.callers[place]),
            )
            told[int(outcome.rows[place])].append((float(weights[place]), one))
    return {
        row: tuple(one for _, one in sorted(some, key=lambda each: -each[0]))
        for row, some in told.items()
    }


def _faster(median: Outcome, axes: Axes) -> tuple[Shift, ...]:
    is_faster = (median.sure <= -CERTAIN_Z) & (median.m <= -np.log(LEAST_TIMES))
    return _shifts(is_faster, axes, median.before, median.after, median.z)


def _frequencies(
    axes: Axes, before: Totals, after: Totals, each: Sequence[Totals]
) -> tuple[tuple[Shift, ...], tuple[Shift, ...], tuple[Shift, ...]]:
    """Give the rows that are more frequent, less frequent, and gone, by spans a root span."""

    def share(totals: Totals) -> tuple[Floats, Floats]:
        # A share of all: a row may have many spans a root span.
        roots = np.full(len(axes.rows), float(totals.roots))
        return np.minimum(totals.spans, roots), roots

    (k1, n1), (k2, n2) = share(before), share(after)

    def apart(bucket: Totals) -> Shares:
        k, n = share(bucket)
        return Shares(np.minimum(k1 - k, n1 - n), n1 - n, k, n)

    _, z = _tested(Shares(k1, n1, k2, n2), apart, each)
    x, y = _share(before.spans, n1), _share(after.spans, n2)
    m = _times(x, y)
    is_old = before.spans > 0
    is_sure = (np.abs(z) >= CERTAIN_Z) & (np.abs(m) >= np.log(LEAST_TIMES)) & is_old
    is_gone = is_sure & (after.spans == 0)
    more = _shifts(is_sure & (m > 0), axes, x, y, z)
    fewer = _shifts(is_sure & (m < 0) & ~is_gone, axes, x, y, z)
    return more, fewer, _shifts(is_gone, axes, x, y, z)


def _shifts(which: Floats, axes: Axes, x: Floats, y: Floats, z: Floats) -> tuple[Shift, ...]:
    [places] = np.nonzero(which)
    return tuple(
        Shift(int(axes.rows[place]), float(x[place]), float(y[place]), float(z[place]))
        for place in sorted(places, key=lambda place: -abs(z[place]))
    )


def _visible_share(before: Totals, after: Totals) -> float:
    if not after.spans.any():
        return float("nan")
    row = int(after.spans.argmax())
    shares = np.linspace(0, 1, 1_001)
    spans = np.full_like(shares, after.spans[row])
    own, of = (np.full_like(shares, values[row]) for values in (before.own, before.spans))
    z = significance(*with_continuity(own, of, shares * spans, spans))
    return float(shares[np.argmax(z >= CERTAIN_Z)]) if (z >= CERTAIN_Z).any() else float("nan")
