"""Counts of some buckets as arrays over the same rows, to be compared with those of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.search.changes.statistics import Floats
    from otel_embedder.search.counts import Counts, Integers
    from otel_embedder.search.recording.trees import Flags

PAIR_BITS = 32
PAIR_MASK = 2**PAIR_BITS - 1


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
    def of(cls, all_counts: Sequence[Counts]) -> Self:
        """Give those of all that is to be compared."""
        rows = np.unique(_column("rows", 0, all_counts))
        ends = np.unique(
            np.concatenate([_joined(_NO_PAIRS), *(_pairs(counts) for counts in all_counts)])
        )
        ends = np.stack([ends >> PAIR_BITS, ends & PAIR_MASK], axis=1)
        ending, is_known = _places(rows, ends[:, 0])
        cells = _column("times", 1, all_counts)
        first, last = (int(cells.min()), int(cells.max())) if len(cells) else (0, 0)
        return cls(rows, ends[is_known], ending[is_known], first, last - first + 1)


_NO_PAIRS = np.zeros((0, 2), np.int64)


def _column(table: str, column: int, all_counts: Sequence[Counts]) -> Integers:
    """Give a column of the keys of one table of all."""
    columns = [counts.table(table).keys[:, column] for counts in all_counts]
    return np.concatenate([np.zeros(0, np.int64), *columns])


def _pairs(counts: Counts) -> Integers:
    return _joined(counts.table("nexts").keys)


def _joined(pairs: Integers) -> Integers:
    """Give each pair as one number, in the same order; a store's numbers are below 2**31."""
    joined: Integers = (pairs[:, 0] << PAIR_BITS) | pairs[:, 1]
    return joined


def _places(known: Integers, wanted: Integers) -> tuple[Integers, Flags]:
    """Give where numbers are among sorted ones, and which of them are there at all."""
    places = np.searchsorted(known, wanted)
    if not len(known):
        return places, np.zeros(len(wanted), bool)
    is_there: Flags = known[np.minimum(places, len(known) - 1)] == wanted
    return places, is_there


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
        places, _ = _places(axes.rows, rows.keys[:, 0])
        spans[places], own[places] = rows.values[:, 0], rows.values[:, 1]
        ends = np.zeros(len(axes.ends))
        places, is_known = _places(_joined(axes.ends), _pairs(counts))
        ends[places[is_known]] = nexts.values[is_known, 0]
        places, is_known = _places(axes.rows, times.keys[:, 0])
        timed = (
            places[is_known],
            times.keys[is_known, 1],
            times.values[is_known, 0].astype(float),
        )
        return cls(counts.roots, spans, own, ends, timed)

    @classmethod
    def sum(cls, each: Sequence[Totals], axes: Axes) -> Self:
        """Add up."""
        spans, own = np.zeros((2, len(axes.rows)))
        ends = np.zeros(len(axes.ends))
        cells = np.zeros((len(axes.rows), axes.cells))
        for totals in each:
            spans += totals.spans
            own += totals.own
            ends += totals.ends
            cells += totals.cells(axes)
        row, cell = np.nonzero(cells)
        timed = row, cell + axes.first_cell, cells[row, cell]
        return cls(sum(totals.roots for totals in each), spans, own, ends, timed)

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
    axes = Axes.of([*baseline, *window])
    each = [Totals.of(counts, axes) for counts in baseline]
    after = Totals.sum([Totals.of(counts, axes) for counts in window], axes)
    return axes, Totals.sum(each, axes), after, each
