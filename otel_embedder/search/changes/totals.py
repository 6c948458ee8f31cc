"""Counts of some buckets as arrays over the same rows, to be compared with those of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from otel_embedder.search.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.search.changes.statistics import Floats
    from otel_embedder.search.counts import Integers


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """What counts are compared of.

    Attributes:
        rows: the numbers of the rows, sorted, shape (rows,).
        ends: pairs of a row, and the row of its last-started child (0: none), sorted, shape
            (ends, 2).
        ending: the place in `rows` of each pair's first, shape (ends,).
        first_cell: the least index of a cell of self time.
        cells: how many cells there are.

    """

    rows: Integers
    ends: Integers
    ending: Integers
    first_cell: int
    cells: int

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Give those of the sum of all that is to be compared."""
        rows = counts.table("rows").keys[:, 0]
        ends = counts.table("nexts").keys
        ends = ends[np.isin(ends[:, 0], rows)]
        cells = counts.table("times").keys[:, 1]
        first, last = (int(cells.min()), int(cells.max())) if len(cells) else (0, 0)
        return cls(rows, ends, np.searchsorted(rows, ends[:, 0]), first, last - first + 1)

    def place_of_ends(self, keys: Integers) -> Integers:
        """Give the places of pairs in `ends`; they must be there."""
        return np.searchsorted(_joined(self.ends), _joined(keys))


def _joined(pairs: Integers) -> Integers:
    """Give each pair as one number, in the same order; a store's numbers are below 2**31."""
    joined: Integers = (pairs[:, 0] << 32) | pairs[:, 1]
    return joined


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """What was counted, along some axes.

    Attributes:
        roots: spans without a parent.
        spans: of each row, shape (rows,).
        own: error spans of each row without an error child, shape (rows,).
        ends: spans of each pair, shape (ends,).
        times: the rows' places, cells, and how many spans have them; three of shape (n,).

    """

    roots: int
    spans: Floats
    own: Floats
    ends: Floats
    times: tuple[Integers, Integers, Floats]

    @classmethod
    def of(cls, counts: Counts, axes: Axes) -> Self:
        """Give those of counts that have no other rows than the axes."""
        rows, times, nexts = (counts.table(name) for name in ("rows", "times", "nexts"))
        spans, own = np.zeros((2, len(axes.rows)))
        places = np.searchsorted(axes.rows, rows.keys[:, 0])
        spans[places], own[places] = rows.values[:, 0], rows.values[:, 1]
        is_known = np.isin(nexts.keys[:, 0], axes.rows)
        ends = np.zeros(len(axes.ends))
        ends[axes.place_of_ends(nexts.keys[is_known])] = nexts.values[is_known, 0]
        is_known = np.isin(times.keys[:, 0], axes.rows)
        timed = (
            np.searchsorted(axes.rows, times.keys[is_known, 0]),
            times.keys[is_known, 1],
            times.values[is_known, 0].astype(float),
        )
        return cls(counts.roots, spans, own, ends, timed)

    def cells(self, axes: Axes) -> Floats:
        """Give how many spans are in each cell, shape (rows, cells)."""
        row, cell, count = self.times
        cells = np.zeros((len(axes.rows), axes.cells))
        cells[row, cell - axes.first_cell] = count
        return cells

    def ending(self, axes: Axes) -> Floats:
        """Give how many spans the first row of each pair has, shape (ends,)."""
        spans: Floats = self.spans[axes.ending]
        return spans


def along_the_same_axes(
    baseline: Sequence[Counts], window: Sequence[Counts]
) -> tuple[Axes, Totals, Totals, list[Totals]]:
    """Give the axes, the sums of baseline and window, and each bucket of the baseline."""
    before, after = Counts.sum(baseline), Counts.sum(window)
    axes = Axes.of(Counts.sum((before, after)))
    each = [Totals.of(counts, axes) for counts in baseline]
    return axes, Totals.of(before, axes), Totals.of(after, axes), each
