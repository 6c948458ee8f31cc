"""What a request may cost others, and what costs more: a finding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.stalls.tree import MEBIBYTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stalls.watched import Cost

MEGABYTE = 1_000_000
# Never, whatever comes: on these a Collector drops, and they tell of a fault of ours.
OURS = {"UNKNOWN", "INTERNAL"}
TOO_LATE = "DEADLINE_EXCEEDED"
# By default (`max_inflight_bytes`), and what docs/limits.md promises of memory by it.
INFLIGHT_BYTES = 64 * MEBIBYTE
# Less CPU than this is not worth a comparison: the clock's tick is 10 ms.
MIN_CPU_SECONDS = 0.4
MIN_COMPARED_SECONDS = 0.05
MIN_TIMES = 1.5
# Others of the same shape have these shares of its room.
HALF, SMALLER = 0.5, 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed.

    Attributes:
        health_seconds: that a health check may wait at the most.
        usual_health_seconds: that 999 of 1,000 may wait at the most.
        span_seconds: that a request of one span may wait beside it.
        answer_seconds: until the request itself is answered.
        memory_factor: by which memory may be more than is promised.
        growth: how much more CPU a byte may take in the large request than in the small one.

    """

    health_seconds: float = 0.1
    usual_health_seconds: float = 0.05
    span_seconds: float = 1.0
    answer_seconds: float = 60.0
    memory_factor: float = 1.0
    growth: float = 2.0

    def times(self, factor: float) -> Limits:
        """Give those for a machine that has much else to do."""
        return replace(
            self,
            health_seconds=factor * self.health_seconds,
            usual_health_seconds=factor * self.usual_health_seconds,
            span_seconds=factor * self.span_seconds,
        )

    def findings(self, cost: Cost, resting_bytes: int) -> Iterator[str]:
        """Say in words what of a request is more than is allowed."""
        if cost.status == TOO_LATE:
            yield f"no answer in {cost.seconds:.0f} s"
        if cost.status in OURS:
            yield f"it was answered {cost.status}"
        if cost.health_seconds > self.health_seconds:
            yield f"a health check waited {cost.health_seconds:.2f} s"
        if cost.span_seconds > self.span_seconds:
            yield f"a request of one span waited {cost.span_seconds:.1f} s"
        if wrong := cost.span_statuses & {*OURS, TOO_LATE}:
            yield f"a request of one span was answered {', '.join(sorted(wrong))}"
        if cost.peak_bytes > self.memory_factor * promised_bytes(cost, resting_bytes):
            grown = (cost.peak_bytes - resting_bytes) / MEGABYTE
            yield f"memory grew by {grown:,.0f} MB, for {cost.size / MEGABYTE:.1f} MB"

    def growth_finding(self, *costs: Cost) -> Iterator[str]:
        """Say whether what a request costs grows faster than its bytes.

        Args:
            costs: of a large one and of smaller ones. It has to grow from each to the next: what
                is read in another way from some size on costs more there, but no more beyond.

        """
        large, *_, small = costs
        factor = growth(large, small)
        steps = [growth(*pair) for pair in pairwise(costs)]
        if min(steps) > self.growth ** (1 / len(steps)) and factor > self.growth:
            sizes = f"{large.size / MEGABYTE:.1f} MB than for {small.size / MEGABYTE:.1f} MB"
            yield f"a byte costs {factor:.1f} x as much for {sizes}"


def promised_bytes(cost: Cost, resting_bytes: int) -> int:
    """Give what may be held beside a request: as docs/limits.md says.

    What is in flight, half as much again for what is sent, twice; the request that is read, and
    gRPC's buffers for its connection, twice its size.
    """
    return resting_bytes + 2 * INFLIGHT_BYTES + 3 * max(cost.size, cost.wire_bytes)


def is_worth_comparing(cost: Cost) -> bool:
    return cost.status != TOO_LATE and cost.cpu_seconds > MIN_CPU_SECONDS


def growth(large: Cost, small: Cost) -> float:
    """Give how much more CPU a byte takes in the large one; 1 where that can't be told."""
    if small.size * MIN_TIMES > large.size or small.cpu_seconds < MIN_COMPARED_SECONDS:
        return 1.0
    return (large.cpu_seconds / large.size) / (small.cpu_seconds / small.size)
