"""Looks for shapes that cost more than they may, until the time is up.

What is found is tried again, and counts only if it is found again: the machine, too, stalls. At
another sidecar, for one that has seen a value before knows what it reads like.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from tests.stalls import limits as judge
from tests.stalls.grammar import drawn
from tests.stalls.known import KNOWN
from tests.stalls.limits import TOO_LATE
from tests.stalls.watched import watched_sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.stalls.limits import Limits
    from tests.stalls.tree import Shape
    from tests.stalls.watched import Cost, Watched

# Of 1,000 health checks the slowest may be one by chance.
MIN_CHECKS = 2_000
USUAL = 0.999


class Finding(NamedTuple):
    """A shape, and what of it is more than is allowed."""

    shape: str
    words: str


@dataclass(slots=True)
class Search:
    """What was tried, and what was found.

    Attributes:
        costs: of each shape, the lesser one where it was tried twice.
        findings: what costs more than it may.
        health_waits: of all health checks, in seconds.
        resting_bytes: what the sidecar held before.

    """

    costs: list[Cost] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    health_waits: list[float] = field(default_factory=list)
    resting_bytes: int = 0

    def usual_wait(self) -> float:
        """Give what 999 of 1,000 health checks waited at the most, in seconds."""
        waits = sorted(self.health_waits)
        return waits[int(USUAL * (len(waits) - 1))] if waits else 0.0


class Searcher:
    """Tries shapes at a sidecar, and at another where that one has not come through."""

    def __init__(self, limits: Limits, flags: Sequence[str]) -> None:
        self.result = Search()
        self._limits = limits
        self._flags = flags
        self._running = ExitStack()
        self._watched: Watched | None = None

    def search(
        self, shapes: Iterable[Shape], tell: Callable[[Cost, Sequence[str]], None]
    ) -> Search:
        with self._running:
            for shape in shapes:
                cost, words = self._tried(shape)
                self.result.costs.append(cost)
                self.result.findings += [Finding(shape.name, each) for each in words]
                tell(cost, words)
            self._stop()
        self._look_at_usual_waits()
        return self.result

    def _tried(self, shape: Shape) -> tuple[Cost, list[str]]:
        cost, words = self._try(shape)
        if words:
            self._stop()
            again, words_again = self._try(shape)
            return (again, words_again) if len(words_again) <= len(words) else (cost, words)
        return cost, words

    def _try(self, shape: Shape) -> tuple[Cost, list[str]]:
        cost = self._cost(shape)
        words = [*self._limits.findings(cost, self._sidecar().resting_bytes)]
        if judge.is_worth_comparing(cost):
            words += self._growth_words(shape, cost)
        watched = self._sidecar()
        if watched.sidecar.has_ended():
            words.append("the sidecar ended")
        if cost.status == TOO_LATE or watched.sidecar.has_ended():
            self._stop()
        return cost, words

    def _growth_words(self, shape: Shape, cost: Cost) -> list[str]:
        """Say whether a byte of it costs more than one of a smaller one.

        That is of the same spans, so it counts only where nobody has read these before.
        """
        words = self._compared(shape, cost)
        if words:
            self._stop()
            words = self._compared(shape, cost)
        return words

    def _compared(self, shape: Shape, cost: Cost) -> list[str]:
        smaller = self._cost(shape, judge.SMALLER)
        if not [*self._limits.growth_finding(cost, smaller)]:
            return []
        return [*self._limits.growth_finding(cost, self._cost(shape, judge.HALF), smaller)]

    def _cost(self, shape: Shape, share: float = 1.0) -> Cost:
        return self._sidecar().cost(shape, share=share, patience=self._limits.answer_seconds)

    def _sidecar(self) -> Watched:
        if self._watched is None:
            self._watched = self._running.enter_context(watched_sidecar(*self._flags))
            self.result.resting_bytes = self._watched.resting_bytes
        return self._watched

    def _stop(self) -> None:
        if self._watched is not None:
            self.result.health_waits += self._watched.health_waits()
            self._watched.sidecar.kill()
        self._watched = None
        self._running.close()

    def _look_at_usual_waits(self) -> None:
        if len(self.result.health_waits) < MIN_CHECKS:
            return
        if (wait := self.result.usual_wait()) > self._limits.usual_health_seconds:
            words = f"of 1,000 health checks one waited more than {wait * 1000:.0f} ms"
            self.result.findings.append(Finding("all", words))


def shapes(seconds: float, seed: int | None, *, max_bytes: int) -> Iterator[Shape]:
    """Give the known shapes and then others, till the time is up; with a seed these only.

    The seed is the first one's, and each has the next one.
    """
    end = time.monotonic() + seconds
    if seed is None:
        yield from KNOWN
        seed = time.time_ns() // 10**6 % 10**9
    for number in count(seed):
        yield drawn(number, max_bytes=max_bytes)
        if time.monotonic() > end:
            return
