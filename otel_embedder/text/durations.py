"""Durations as words: rounded so that spans which took about as long read the same.

The Renard series R5 (ISO 3) has five values a decade, each about 1.6 times the
one before: 1, 1.6, 2.5, 4, 6.3, 10.
"""

from bisect import bisect_right
from itertools import pairwise
from math import sqrt

R5 = ("1", "1.6", "2.5", "4", "6.3")
# From a microsecond to a week; what is shorter or longer is said to be that.
DECADES = range(-3, 9)

NANOSECONDS_PER_MILLISECOND = 1_000_000

_VALUES = [float(f"{mantissa}e{decade}") for decade in DECADES for mantissa in R5]
_LABELS = [f"{value:.10g}" for value in _VALUES]
# Half way on the scale of ratios: the geometric mean of two neighbours.
_BOUNDARIES = [
    round(sqrt(low * high) * NANOSECONDS_PER_MILLISECOND) for low, high in pairwise(_VALUES)
]


def rounded_milliseconds(nanoseconds: int) -> str:
    """Give the nearest value of R5, in milliseconds; nothing took 0, so 0 stays 0."""
    if nanoseconds == 0:
        return "0"
    return _LABELS[bisect_right(_BOUNDARIES, nanoseconds)]


def exact_milliseconds(nanoseconds: int) -> str:
    """Give the duration in milliseconds, to the nanosecond."""
    whole, fraction = divmod(nanoseconds, NANOSECONDS_PER_MILLISECOND)
    return f"{whole}.{fraction:06}".rstrip("0").rstrip(".")
