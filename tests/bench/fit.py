"""How a cost grows: a line through what was measured, and how far off it that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


class Line(NamedTuple):
    """A cost that is linear in a size.

    Attributes:
        base: what there is to pay for none.
        each: what each costs.
        off: how far the farthest measurement is off the line, as a share of the line.

    """

    base: float
    each: float
    off: float

    def said(self, unit: str, of: str) -> str:
        """Give it as a sentence."""
        return (
            f"linear: {self.base:,.2f} {unit} and {self.each:,.3f} {unit} {of}; "
            f"what was measured is at most {self.off:.0%} off that"
        )


def line_through(sizes: Sequence[float], costs: Sequence[float]) -> Line:
    """Give the nearest line; each cost counts by its share, or the largest would decide alone."""
    x, y = np.array(sizes, float), np.array(costs, float)
    each, base = np.polyfit(x, y, 1, w=1 / y)
    expected = base + each * x
    return Line(float(base), float(each), float(np.max(np.abs(y / expected - 1))))
