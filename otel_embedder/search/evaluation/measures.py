"""What is measured, and how sure that is: plain arithmetic on arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_embedder.search.ranking import Floats

    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.integer]

# Scores nearer than this are equal: the same vectors come out as far apart, by the order in which
# numbers were added.
SCORE_DIGITS = 5
DRAWS = 2_000
INTERVAL = (2.5, 97.5)  # percent


def precision(scores: Floats, relevant: Flags, count: int) -> float:
    """Give which share of the best `count` is relevant.

    Equal scores are in no order: it is the mean over all orders in which they may come.

    Args:
        scores: shape (candidates,).
        relevant: which of them are; the same shape.
        count: how many are the best; of fewer candidates, all are.

    """
    count = min(count, len(scores))
    if not count:
        return 0.0
    rounded = np.round(scores, SCORE_DIGITS)
    last = np.partition(rounded, -count)[-count]
    above, tied = rounded > last, rounded == last
    places = count - np.count_nonzero(above)
    found = np.count_nonzero(relevant & above) + places * float(relevant[tied].mean())
    return found / count


def r_precision(scores: Floats, relevant: Flags) -> float:
    """Give which share of the best R is relevant, where R are; see `precision`."""
    return precision(scores, relevant, int(np.count_nonzero(relevant)))


def lru_hits(keys: Iterable[int], size: int) -> Flags:
    """Tell of each key, in order, whether a cache of the `size` last used ones has it."""
    cache: LRUCache[int, bool] = LRUCache(size)
    hits = []
    for key in keys:
        hits.append(cache.get(key, False))
        cache[key] = True
    return np.array(hits, np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """A mean, as sums over units that are independent of each other: questions, traces, injections.

    Attributes:
        sums: what was found in each unit; shape (units,).
        counts: of how many; the same shape.

    """

    sums: Floats
    counts: Floats

    @classmethod
    def each(cls, values: Sequence[float] | Floats) -> Shares:
        """Take each value for a unit of its own."""
        return cls(np.array(values, float), np.ones(len(values), float))

    @classmethod
    def grouped(cls, values: Floats | Flags | Integers, units: Integers, total: int) -> Shares:
        """Put values together that are of the same unit.

        Args:
            values: shape (values,).
            units: the number of each value's unit; the same shape.
            total: how many units there are.

        """
        sums = np.bincount(units, weights=values, minlength=total)
        return cls(sums.astype(float), np.bincount(units, minlength=total).astype(float))

    @classmethod
    def joined(cls, parts: Sequence[Shares]) -> Shares:
        """Take the units of all parts for units of one whole."""
        return cls(
            np.concatenate([part.sums for part in parts]),
            np.concatenate([part.counts for part in parts]),
        )

    @property
    def mean(self) -> float:
        """The mean; NaN of nothing."""
        total = self.counts.sum()
        return float(self.sums.sum() / total) if total else np.nan


class Estimate(NamedTuple):
    """A number, and where it lies in 95 of a hundred cases, None if that is not asked: a count."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """One thing measured, for several texts.

    Attributes:
        name: what was measured.
        data: on which files.
        unit: what was drawn again for the intervals; empty of a count.
        values: by the text's name.
        draws: means of as many units drawn with repetition, by the text's name; the same units
            for all of them. Nothing of a count.

    """

    name: str
    data: str
    unit: str
    values: dict[str, float]
    draws: dict[str, Floats]

    def estimate(self, text: str) -> Estimate:
        """Give the number for a text."""
        return _estimate(self.values[text], self.draws.get(text))

    def difference(self, text: str, other: str) -> Estimate:
        """Give how much more it is for a text than for another, unit by unit."""
        draws = self.draws[text] - self.draws[other] if self.draws else None
        return _estimate(self.values[text] - self.values[other], draws)


def measured(name: str, data: str, unit: str, shares: dict[str, Shares], *, seed: int) -> Measure:
    """Measure a mean, and draw its units again for intervals (the bootstrap).

    Args:
        name: what is measured.
        data: on which files.
        unit: what a unit is.
        shares: by the text's name; of the same units in the same order.
        seed: the same seed draws the same units.

    """
    values = {text: each.mean for text, each in shares.items()}
    sums = np.array([each.sums for each in shares.values()])
    counts = np.array([each.counts for each in shares.values()])
    draws = bootstrap(sums, counts, seed=seed)
    return Measure(name, data, unit, values, dict(zip(shares, draws, strict=True)))


def counted(name: str, data: str, values: dict[str, float]) -> Measure:
    """Give a count, which is no estimate of anything."""
    return Measure(name, data, "", values, {})


def bootstrap(sums: Floats, counts: Floats, *, seed: int, draws: int = DRAWS) -> Floats:
    """Give means of units drawn with repetition, as many as there are: shape (texts, draws).

    Args:
        sums: shape (texts, units).
        counts: shape (texts, units).
        seed: the same seed draws the same units.
        draws: how often.

    """
    random = np.random.default_rng(seed)
    units = sums.shape[1]
    means = np.full((len(sums), draws), np.nan)
    for draw in range(draws if units else 0):
        times = np.bincount(random.integers(units, size=units), minlength=units)
        totals = counts @ times
        np.divide(sums @ times, totals, out=means[:, draw], where=totals > 0)
    return means


def _estimate(value: float, draws: Floats | None) -> Estimate:
    if draws is None or np.isnan(draws).all():
        return Estimate(value)
    low, high = np.nanpercentile(draws, INTERVAL)
    return Estimate(value, float(low), float(high))
