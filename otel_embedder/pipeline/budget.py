"""How long a request may be worked on: until sending it would begin too late for its deadline.

What sending takes is learned from what was sent, as TCP learns when to send
again (RFC 6298): a mean, and four deviations more. Times are kept by size, in
classes of a factor of four, since a small request mostly waits for the next hop
to answer and a large one for its bytes to be written, sent and read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

# How much a new time counts against those before it.
GAIN = 0.25
DEVIATIONS = 4
# One time alone says little of how much the next may differ.
FIRST_DEVIATION = 0.125
# What sending may take of the time, as long as nothing of this size has been sent.
FIRST_SHARE = 0.6
# What is left for work at least. Known texts need no more, and a next hop that is
# too slow for all deadlines gains nothing by it.
WORK_SHARE = 0.1
# Attaching vectors that are there may take so much of what is left behind the end of work, and so
# long at most.
ATTACHING_SHARE = 0.25
MAX_ATTACHING_SECONDS = 3.0
# A request that went with a smaller share of its bytes says little of what all of them take.
MIN_SHARE = 0.1
# An answer has to travel back, and a clock ticks: less than that is never kept for sending.
MIN_SECONDS = 0.1


@dataclass(slots=True)
class _Estimate:
    """What sending takes, in seconds.

    Attributes:
        mean: of late.
        deviation: by how much it took longer; to be early does no harm.

    """

    mean: float
    deviation: float

    def seconds(self) -> float:
        return self.mean + DEVIATIONS * self.deviation

    def add(self, seconds: float) -> None:
        lateness = max(0.0, seconds - self.mean)
        self.deviation += GAIN * (lateness - self.deviation)
        self.mean += GAIN * (seconds - self.mean)


class Lesson:
    """One request's sending, within `with`, to be learned from.

    Attributes:
        share: of the bytes that were to be sent, how many were. As it is learned, the time is
            that for all of them: else there would be less and less time for sending.

    """

    __slots__ = ("_budget", "_since", "_size", "share")

    def __init__(self, budget: Budget, size: int, since: float) -> None:
        self.share = 1.0
        self._budget = budget
        self._size = size
        self._since = since

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if exc_type is None:
            self._budget.learn(self._size, self._since, self.share)
        else:  # whoever cancels has waited as well
            self._budget.learn_at_least(self._size, self._since)


class Budget:
    """Divides the time of a request between working on it and sending it."""

    def __init__(self, *, max_seconds: float, clock: Callable[[], float]) -> None:
        """Begin with nothing learned.

        Args:
            max_seconds: what work may take, however much time there is.
            clock: gives the time that deadlines are in, in seconds.

        """
        self._max_seconds = max_seconds
        self._clock = clock
        self._estimates: dict[int, _Estimate] = {}

    def end(self, deadline: float, size: int) -> float:
        """Give the time at which work on a request must end.

        Args:
            deadline: when the caller stops waiting.
            size: the request's bytes.

        """
        now = self._clock()
        return now + max(0.0, min(self._max_seconds, self._free(deadline - now, size)))

    def attaching_end(self, end: float, deadline: float) -> float:
        """Give the time at which attaching must end.

        Args:
            end: when work had to.
            deadline: when the caller stops waiting.

        """
        return end + min(MAX_ATTACHING_SECONDS, ATTACHING_SHARE * max(0.0, deadline - end))

    def _free(self, remaining: float, size: int) -> float:
        """Give the seconds that are not needed for sending."""
        estimate = self._estimate(size)
        if estimate is None:
            return remaining * (1 - FIRST_SHARE)
        sending = max(MIN_SECONDS, estimate.seconds())
        return max(remaining - sending, remaining * WORK_SHARE)

    def _estimate(self, size: int) -> _Estimate | None:
        """Give what is known of this size, or of the next larger one: that is enough for it."""
        wanted = _size_class(size)
        if (estimate := self._estimates.get(wanted)) is not None:
            return estimate
        larger = [known for known in self._estimates if known >= wanted]
        return self._estimates[min(larger)] if larger else None

    def learning(self, size: int, *, since: float) -> Lesson:
        """Learn from what is done here how long it takes to send a request.

        It is told what of that was sent.

        Args:
            size: the request's bytes.
            since: when its work ended.

        """
        return Lesson(self, size, since)

    def learn(self, size: int, since: float, share: float) -> None:
        """Learn from a request of which such a share was sent since then."""
        self._learn(size, (self._clock() - since) / max(MIN_SHARE, share))

    def _learn(self, size: int, seconds: float) -> None:
        estimate = self._estimates.get(_size_class(size))
        if estimate is None:
            self._estimates[_size_class(size)] = _Estimate(seconds, FIRST_DEVIATION * seconds)
        else:
            estimate.add(seconds)

    def learn_at_least(self, size: int, since: float) -> None:
        """Learn from a failure: a quick one tells nothing, and a timeout that it takes longer."""
        seconds = self._clock() - since
        estimate = self._estimates.get(_size_class(size))
        if seconds > (MIN_SECONDS if estimate is None else estimate.mean):
            self._learn(size, seconds)


def _size_class(size: int) -> int:
    return size.bit_length() // 2
