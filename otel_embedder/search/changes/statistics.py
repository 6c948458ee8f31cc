"""Shares, and quantiles of durations that were counted in cells.

All is done for many rows at once: arguments are arrays of one shape, unless said otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from otel_embedder.search.counts import Integers

Floats = npt.NDArray[np.float64]

# Five cells a decade (R5): a cell i holds what rounds to i fifths of a decade of milliseconds.
CELLS_A_DECADE = 5
CELL_WIDTH = np.log(10) / CELLS_A_DECADE  # in natural logarithms


def significance(k1: Floats, n1: Floats, k2: Floats, n2: Floats) -> Floats:
    """Give how surely two shares differ: the signed square root of their likelihood ratio.

    About as many standard deviations; positive where the second share is greater, 0 where one is
    of nothing.
    """
    k1, n1, k2, n2 = (np.asarray(each, np.float64) for each in (k1, n1, k2, n2))
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (k1 + k2) / (n1 + n2)
        statistic = 2 * (
            _likelihood(k1, n1, k1 / n1)
            + _likelihood(k2, n2, k2 / n2)
            - _likelihood(k1, n1, pooled)
            - _likelihood(k2, n2, pooled)
        )
        sign = np.sign(k2 / n2 - k1 / n1)
    z: Floats = sign * np.sqrt(np.maximum(statistic, 0))
    return np.where((n1 > 0) & (n2 > 0), z, 0.0)


def with_continuity(
    k1: Floats, n1: Floats, k2: Floats, n2: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Give what `significance` takes with the shares half a one nearer to each other.

    Counts are whole: of few, chance alone makes differences that look like more (Yates).
    """
    k1, n1, k2, n2 = (np.asarray(each, np.float64) for each in (k1, n1, k2, n2))
    both = n1 + n2
    expected = np.divide(n2 * (k1 + k2), both, out=np.zeros_like(both), where=both > 0)
    nearer = np.clip(expected - k2, -0.5, 0.5)
    return k1 - nearer, n1, k2 + nearer, n2


def _likelihood(k: Floats, n: Floats, share: Floats) -> Floats:
    """Give the log-likelihood of k out of n, but for what is the same for all shares."""
    return _x_log_y(k, share) + _x_log_y(n - k, 1 - share)


def _x_log_y(x: Floats, y: Floats) -> Floats:
    return np.where(x > 0, x * np.log(np.where(x > 0, y, 1.0)), 0.0)


def quantile(cells: Floats, first: int, share: float) -> Floats:
    """Give a quantile of durations, linear within a cell; NaN where there are none.

    Args:
        cells: how many durations are in each cell, shape (rows, cells).
        first: the index of the first cell.
        share: 0.5 is the median.

    Returns:
        natural logarithms of milliseconds, shape (rows,).

    """
    sums = cells.cumsum(axis=1)
    total = sums[:, -1]
    wanted = share * total
    # The first cell with which as many are reached.
    found = (sums < wanted[:, None]).sum(axis=1).clip(0, cells.shape[1] - 1)
    rows = np.arange(len(cells))
    inside = cells[rows, found]
    below = sums[rows, found] - inside
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(inside > 0, (wanted - below) / inside, 0.0)
    logs: Floats = (first + found - 0.5 + part) * CELL_WIDTH
    return np.where(total > 0, logs, np.nan)


def part_above(cell: Integers, limit: Floats) -> Floats:
    """Give which part of what is in a cell lies above a limit.

    Args:
        cell: indices of cells.
        limit: natural logarithms of milliseconds.

    """
    part: Floats = np.clip(cell + 0.5 - limit / CELL_WIDTH, 0.0, 1.0)
    return part
