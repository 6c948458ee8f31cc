"""What is slower, fails more, is new, and where calls end that went on before: ranked.

Each row is put to tests. One compares the baseline with the window, and comes to a size `m`, a
natural logarithm of how many times as much there is, and to a significance `z`. The latter is
divided by how much the baseline's own buckets differ from one another, so that what comes and
goes every other minute is no news. Why these tests and no others: docs/changes.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from otel_embedder.search.changes.statistics import part_above, quantile, significance
from otel_embedder.search.changes.totals import along_the_same_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_embedder.search.changes.statistics import Floats
    from otel_embedder.search.changes.totals import Axes, Totals
    from otel_embedder.search.counts import Counts, Integers

Test = Literal["median", "p95", "fails", "new", "ends"]
QUANTILES: dict[Test, float] = {"median": 0.5, "p95": 0.95}

# Added to each share: what is a fiftieth of all or less counts as little.
LEAST_SHARE = 0.02
# With a z of so many a shift of times, and of a share, counts in full.
FULL_SLOWER_Z, FULL_SHARE_Z = 3.0, 5.0
CERTAIN_Z = 4.0
LEAST_TIMES = 1.5
# As if four buckets had been seen that differ as chance has it.
PRIOR_BUCKETS = 4


class Outcome(NamedTuple):
    """What a test came to, for each row (or pair, for "ends").

    Attributes:
        test: which.
        rows: the places of the rows that it speaks of, shape (n,).
        before: milliseconds or a share in the baseline, shape (n,).
        after: the same in the window.
        m: how many times as much, as a natural logarithm.
        z: how surely; 0 where nothing can be told.

    """

    test: Test
    rows: Integers
    before: Floats
    after: Floats
    m: Floats
    z: Floats


class Evidence(NamedTuple):
    """What a test says of a row.

    Attributes:
        test: which.
        before: milliseconds of self time (median, p95), or a share, in the baseline.
        after: the same in the window.
        z: how surely it is another.

    """

    test: Test
    before: float
    after: float
    z: float


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
        ranked: rows for which something speaks, the likeliest cause first, certain or not.
        faster: rows whose median is less.
        gone: rows that are not there any more.
        more: rows that are more frequent.
        fewer: rows that are less frequent.
        visible_share: the share of failing spans that would have been certain, in the window's
            most frequent row; NaN if there is none.

    """

    ranked: tuple[RowChange, ...]
    faster: tuple[Shift, ...]
    gone: tuple[Shift, ...]
    more: tuple[Shift, ...]
    fewer: tuple[Shift, ...]
    visible_share: float


def find_changes(baseline: Sequence[Counts], window: Sequence[Counts]) -> Found:
    """Compare a window with the time right before it.

    Args:
        baseline: the buckets of the time before; they should be alike in length.
        window: the buckets in question.

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
        ranked=_ranked(outcomes, axes, before, after),
        faster=_faster(outcomes[0], axes),
        gone=gone,
        more=more,
        fewer=fewer,
        visible_share=_visible_share(before, after),
    )


def _tempered(z: Floats, spread_of: Callable[[Totals], Floats], each: Sequence[Totals]) -> Floats:
    """Divide z by how much the baseline's buckets differ from what the others of them say."""
    squares = sum((spread_of(bucket) ** 2 for bucket in each), np.zeros_like(z))
    spread = (PRIOR_BUCKETS + squares) / (PRIOR_BUCKETS + len(each))
    tempered: Floats = z / np.sqrt(np.maximum(spread, 1.0))
    return tempered


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
        return _sums(row, parts, size), _sums(row, count, size)

    (k1, n1), (k2, n2) = above(before), above(after)

    def spread(bucket: Totals) -> Floats:
        k, n = above(bucket)
        return significance(k1 - k, n1 - n, k, n)

    z = _tempered(significance(k1, n1, k2, n2), spread, each)
    z, m = np.where(is_known, z, 0.0), np.where(is_known, y - x, 0.0)
    return Outcome(test, np.arange(len(axes.rows)), np.exp(x), np.exp(y), m, z)


def _fails(before: Totals, after: Totals, each: Sequence[Totals]) -> Outcome:
    def spread(bucket: Totals) -> Floats:
        rest = before.spans - bucket.spans
        return significance(before.own - bucket.own, rest, bucket.own, bucket.spans)

    z = significance(before.own, before.spans, after.own, after.spans)
    x, y = _share(before.own, before.spans), _share(after.own, after.spans)
    rows = np.arange(len(before.spans))
    return Outcome("fails", rows, x, y, _times(x, y), _tempered(z, spread, each))


def _new(before: Totals, after: Totals) -> Outcome:
    [rows] = np.nonzero((before.spans == 0) & (after.spans > 0))
    roots = np.full(len(rows), float(after.roots))
    y = np.minimum(1.0, _share(after.spans[rows], roots))
    x = np.zeros(len(rows))
    z = significance(x, np.full(len(rows), float(before.roots)), y * roots, roots)
    return Outcome("new", rows, x, y, _times(x, y), z)


def _ends(axes: Axes, before: Totals, after: Totals, each: Sequence[Totals]) -> Outcome:
    n1, n2 = before.ending(axes), after.ending(axes)

    def spread(bucket: Totals) -> Floats:
        n = bucket.ending(axes)
        return significance(before.ends - bucket.ends, n1 - n, bucket.ends, n)

    z = _tempered(significance(before.ends, n1, after.ends, n2), spread, each)
    x, y = _share(before.ends, n1), _share(after.ends, n2)
    # It speaks of the call that is the last one now, or where there is none of the caller.
    told = np.where(axes.ends[:, 1] > 0, axes.ends[:, 1], axes.ends[:, 0])
    is_known = np.isin(told, axes.rows)
    rows = np.searchsorted(axes.rows, told[is_known])
    return Outcome("ends", rows, x[is_known], y[is_known], _times(x, y)[is_known], z[is_known])


def _sums(rows: Integers, values: Floats, size: int) -> Floats:
    """Add up values by their rows."""
    sums = np.zeros(size)
    np.add.at(sums, rows, values)
    return sums


def _share(part: Floats, of: Floats) -> Floats:
    share: Floats = np.divide(part, of, out=np.zeros_like(part), where=of > 0)
    return share


def _times(x: Floats, y: Floats) -> Floats:
    times: Floats = np.log((y + LEAST_SHARE) / (x + LEAST_SHARE))
    return times


def _ranked(
    outcomes: Sequence[Outcome], axes: Axes, before: Totals, after: Totals
) -> tuple[RowChange, ...]:
    slower, shares = np.zeros((2, len(axes.rows)))
    is_certain = np.zeros(len(axes.rows), bool)
    evidence: dict[int, list[tuple[float, Evidence]]] = {}
    for outcome in outcomes:
        is_quantile = outcome.test in QUANTILES
        full = FULL_SLOWER_Z if is_quantile else FULL_SHARE_Z
        [speaks] = np.nonzero((outcome.m > 0) & (outcome.z > 0))
        rows, m, z = outcome.rows[speaks], outcome.m[speaks], outcome.z[speaks]
        weight = m * np.minimum(1.0, z / full)
        if is_quantile:
            np.maximum.at(slower, rows, weight)
        else:
            np.add.at(shares, rows, weight)
        is_certain[rows[(z >= CERTAIN_Z) & (m >= np.log(LEAST_TIMES))]] = True
        for place, row, counts_for in zip(speaks, rows.tolist(), weight.tolist(), strict=True):
            told = Evidence(
                outcome.test,
                float(outcome.before[place]),
                float(outcome.after[place]),
                float(outcome.z[place]),
            )
            evidence.setdefault(row, []).append((counts_for, told))
    score = slower + shares
    order = sorted(evidence, key=lambda row: (-score[row], row))
    return tuple(
        RowChange(
            row=int(axes.rows[row]),
            score=float(score[row]),
            is_certain=bool(is_certain[row]),
            spans_before=int(before.spans[row]),
            spans_after=int(after.spans[row]),
            evidence=tuple(told for _, told in sorted(evidence[row], key=lambda each: -each[0])),
        )
        for row in order
    )


def _faster(median: Outcome, axes: Axes) -> tuple[Shift, ...]:
    is_faster = (median.z <= -CERTAIN_Z) & (median.m <= -np.log(LEAST_TIMES))
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

    def spread(bucket: Totals) -> Floats:
        k, n = share(bucket)
        return significance(np.minimum(k1 - k, n1 - n), n1 - n, k, n)

    z = _tempered(significance(k1, n1, k2, n2), spread, each)
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
    z = significance(
        np.full_like(shares, before.own[row]),
        np.full_like(shares, before.spans[row]),
        shares * spans,
        spans,
    )
    return float(shares[np.argmax(z >= CERTAIN_Z)]) if (z >= CERTAIN_Z).any() else float("nan")
