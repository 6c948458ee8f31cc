"""How many bytes get through to the next hop in a given time, as far as is known.

Vectors make a request some ten times as large. Where that is more than the next hop
takes until the caller's deadline, none of it would ever get through, so whoever attaches
them has to know beforehand.

It is learned from each call: the seconds a byte, in classes of size of a factor of four,
since a small call mostly waits for its answer. A mean is not moved far by one call that
was slow. But when a call fails, the one before it counts whole: then it is no exception.
A call that is larger takes no longer a byte. So what goes well is tried with the next
larger class, and a next hop that was slow is found out to be fast again.

A call that nobody waits for any more leaves its bytes on the line, where the next ones stand
behind them: for as long as all of it would have taken, or until a call is answered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# How much a new time counts against those before it.
GAIN = 0.25
# A call that failed took at least its time; whoever doubles it is soon there.
AT_LEAST = 2
# A call that failed sooner says nothing of how long it would have taken.
MIN_SECONDS = 1.0
# Of the time that there is, what is counted on.
SHARE = 0.8
# The last call of several may take nearly as long as the others, however small it is. So it is not
# counted on where it would be less than this share of them.
LEAST_REST = 0.6
# So much gets through any next hop that spans get through: it is never too much, and whether
# it takes long has nothing to do with how large it is.
MIN_BYTES = 128 * 1024
# What a clock can't measure takes some time all the same.
INSTANT = 1e-6


@dataclass(slots=True)
class _Seconds:
    """What a byte takes, in seconds, in calls of about one size.

    Attributes:
        mean: of late.
        last: in the last call.

    """

    mean: float
    last: float

    def add(self, seconds: float) -> None:
        self.last = seconds
        self.mean += GAIN * (seconds - self.mean)


class Pace:
    """Learns from each call how long sending takes."""

    def __init__(self, *, max_seconds: float, clock: Callable[[], float]) -> None:
        """Begin with nothing learned.

        Args:
            max_seconds: how long one call may take.
            clock: tells the time, in seconds.

        """
        self._max_seconds = max_seconds
        self._clock = clock
        self._known: dict[int, _Seconds] = {}
        self._line_is_free_at = -math.inf

    def room(self, seconds: float, *, call_bytes: int) -> float:
        """Give how many bytes get through in so many seconds; infinite as long as it is unknown.

        Args:
            seconds: the time that there is.
            call_bytes: the size of the largest call that they would go in.

        """
        largest = _size_class(call_bytes)
        if not self._byte_seconds(largest):
            return math.inf
        seconds = max(0.0, seconds - max(0.0, self._line_is_free_at - self._clock()))
        several = self._in_calls_of(call_bytes, seconds)
        if several >= _start_of(largest):
            return max(several, MIN_BYTES)
        smaller = (self._in_a_call(each, seconds) for each in range(largest - 1, SMALLEST - 1, -1))
        return next((room for room in smaller if room > MIN_BYTES), MIN_BYTES)

    def _in_calls_of(self, call_bytes: int, seconds: float) -> float:
        """Give how many bytes get through in calls of a size, one after the other."""
        byte_seconds = self._byte_seconds(_size_class(call_bytes))
        if byte_seconds * call_bytes > SHARE * self._max_seconds:  # not even one does
            seconds = min(seconds, self._max_seconds)
        room = SHARE * seconds / byte_seconds
        if room < call_bytes or room == math.inf:
            return room
        calls, rest = divmod(room, call_bytes)
        return room if rest >= LEAST_REST * call_bytes else calls * call_bytes

    def _in_a_call(self, size_class: int, seconds: float) -> float:
        """Give how many bytes get through in one call of a class; 0 if none of its sizes does."""
        room = SHARE * min(seconds, self._max_seconds) / self._byte_seconds(size_class)
        return 0 if room < _start_of(size_class) else min(room, _start_of(size_class + 1) - 1)

    def _byte_seconds(self, size_class: int) -> float:
        """Give what a byte takes in calls of this class, or of the next larger one that is known.

        That is enough for it. 0 if nothing is known.
        """
        if (seconds := self._known.get(size_class)) is not None:
            return seconds.mean
        larger = [known for known in self._known if known >= size_class]
        return self._known[min(larger)].mean if larger else 0.0

    def learning(self, size: int) -> Lesson:
        """Learn from what is done here how long a call takes.

        Args:
            size: its bytes.

        """
        return Lesson(self, size, self._clock())

    def answered(self, size: int, *, since: float) -> None:
        """Learn from a call of so many bytes that was answered."""
        self._learn(size, self._clock() - since)
        self._line_is_free_at = -math.inf

    def failed(self, size: int, *, since: float) -> None:
        """Learn from a call of so many bytes that was not."""
        self._learn_at_least(size, self._clock() - since)

    def gave_up(self, size: int, *, after: float) -> None:
        """Learn that nobody waits any more for a call of so many bytes, after so many seconds."""
        takes = self._last_byte_seconds(size) * size
        self._line_is_free_at = max(self._line_is_free_at, self._clock() - after + takes)

    def _last_byte_seconds(self, size: int) -> float:
        """Give what a byte took in the last call of this class that was answered, if any was."""
        known = self._known.get(_size_class(size))
        return known.last if known else 0.0

    def _learn(self, size: int, seconds: float) -> None:
        size_class, byte_seconds = _size_class(size), max(seconds, INSTANT) / max(1, size)
        known = self._known.get(size_class)
        if known is None:
            self._known[size_class] = _Seconds(byte_seconds, byte_seconds)
        else:
            known.add(byte_seconds)
        larger = self._known.get(size_class + 1)
        if larger is not None and byte_seconds < larger.mean:
            larger.mean = byte_seconds

    def _learn_at_least(self, size: int, seconds: float) -> None:
        size_class = _size_class(size)
        known = self._known.get(size_class)
        at_least = AT_LEAST * seconds / max(1, size)
        if known is not None:
            known.mean = max(known.mean, known.last, at_least)
        elif seconds >= MIN_SECONDS:
            self._known[size_class] = _Seconds(at_least, at_least)


class Lesson:
    """One call, within `with`, to be learned from."""

    __slots__ = ("_began", "_pace", "_size")

    def __init__(self, pace: Pace, size: int, began: float) -> None:
        self._pace = pace
        self._size = size
        self._began = began

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if exc_type is None:
            self._pace.answered(self._size, since=self._began)
        else:  # whoever cancels has waited as well
            self._pace.failed(self._size, since=self._began)


def _size_class(size: int) -> int:
    return size.bit_length() // 2


def _start_of(size_class: int) -> int:
    """Give the least size of a class."""
    return 1 << max(0, 2 * size_class - 1)


# The class of the least room that is not given anyway.
SMALLEST = _size_class(MIN_BYTES)
