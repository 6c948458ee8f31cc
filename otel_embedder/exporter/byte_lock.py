"""So many bytes, shared by whoever waits for them, and fairly.

What is held is given back when a next hop has answered, which takes seconds where
it is slow. So a line would be as slow for a small request as the large ones in it are.

- **A small request does not wait for larger ones.** A share of the bytes is for small ones alone.
- **The others wait in lines by size, and the lines have turns by bytes.** Each line that somebody
  waits in is given as many bytes as each other, however much the others want; none is starved.
- **Within a line, who came first goes first**, until it is done: under overload the first requests
  are done in time, instead of all being late together.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from operator import attrgetter
from typing import NamedTuple

# Some ten spans with their vectors.
SMALL_BYTES = 64 * 1024
# Of all bytes, what is for small requests alone: one in so many.
SMALL_SHARE = 8
# The line of small ones; those of others follow, each for sizes up to four times the one before.
SMALL_LINE = 0


class Place(NamedTuple):
    """Where a request stands.

    Attributes:
        line: the number of its line.
        number: how many came before it.

    """

    line: int
    number: int


@dataclass(slots=True)
class _Store:
    """Bytes to be held."""

    size: int
    free: int


class _Waiting(NamedTuple):
    number: int
    size: int
    granted: asyncio.Future[_Store]


@dataclass(slots=True)
class _Line:
    """Those of one size who wait.

    Attributes:
        waiting: a heap, with the one that came first on top.
        served: the bytes that it was given, not counting those that it did not want in time.

    """

    waiting: list[_Waiting] = field(default_factory=list)
    served: int = 0

    def first(self) -> _Waiting | None:
        """Give who is the next."""
        while self.waiting and self.waiting[0].granted.cancelled():
            heappop(self.waiting)
        return self.waiting[0] if self.waiting else None

    def grant(self, store: _Store) -> None:
        """Let the first hold bytes of a store."""
        first = heappop(self.waiting)
        store.free -= first.size
        first.granted.set_result(store)


WAITING = attrgetter("waiting")


class ByteLock:
    """Lets tasks hold bytes for as long as they need them."""

    def __init__(self, size: int) -> None:
        small = size // SMALL_SHARE
        self._for_small = _Store(small, small)
        self._for_all = _Store(size - small, size - small)
        self._lines: dict[int, _Line] = {SMALL_LINE: _Line()}
        self._numbers = count()
        # What a line had been given whose turn was the last.
        self._served = 0

    def place(self, size: int) -> Place:
        """Give a place to a request of so many bytes. It keeps that for all that it holds."""
        is_small = size <= min(SMALL_BYTES, self._for_small.size)
        line = SMALL_LINE if is_small else 1 + size.bit_length() // 2
        return Place(line, next(self._numbers))

    def held(self, size: int, place: Place, *, deadline: float) -> Held:
        """Hold so many bytes until the end; what is larger than all of them holds all.

        Raises:
            TimeoutError: others held them until the deadline, in the event loop's time.

        """
        return Held(self, min(size, self._for_all.size), place, deadline=deadline)

    async def granted(self, size: int, place: Place, *, deadline: float) -> _Store:
        """Wait for so many bytes; give what they are taken from.

        Raises:
            TimeoutError: others held them until the deadline.

        """
        if not self._is_waited_for() and (store := self._at_once(size, place.line)):
            return store
        granted: asyncio.Future[_Store] = asyncio.get_running_loop().create_future()
        self._join(place.line, _Waiting(place.number, size, granted))
        if granted.done():
            return granted.result()
        try:
            async with asyncio.timeout_at(None if deadline == math.inf else deadline):
                return await granted
        except (asyncio.CancelledError, TimeoutError):
            # Either it was given them and left in the same moment, or others are the next now.
            if granted.cancelled():
                self._let_in()
            else:
                self.give_back(size, granted.result())
            raise

    def give_back(self, size: int, store: _Store) -> None:
        """Let others have what was granted."""
        store.free += size
        if self._is_waited_for():
            self._let_in()

    def _is_waited_for(self) -> bool:
        """Tell whether anybody waits; those count as well who have left unnoticed."""
        return any(map(WAITING, self._lines.values()))

    def _at_once(self, size: int, number: int) -> _Store | None:
        """Take bytes for a line, where nobody waits; give what they are from, None if too few."""
        if number == SMALL_LINE and size <= self._for_small.free:
            self._for_small.free -= size
            return self._for_small
        if size > self._for_all.free:
            return None
        self._for_all.free -= size
        self._serve(self._lines.setdefault(number, _Line()), size)
        return self._for_all

    def _join(self, number: int, waiting: _Waiting) -> None:
        line = self._lines.setdefault(number, _Line())
        if line.first() is None:
            # Turns that it did not want are not saved up for later.
            line.served = max(line.served, self._served)
        heappush(line.waiting, waiting)
        self._let_in()

    def _let_in(self) -> None:
        self._let_small_in()
        while (line := self._next_line()) and (first := line.first()):
            if first.size > self._for_all.free:
                # What is smaller must not overtake it again and again.
                return
            self._serve(line, first.size)
            line.grant(self._for_all)

    def _serve(self, line: _Line, size: int) -> None:
        """Note that a line has its turn."""
        # Turns that it did not want are not saved up for later.
        self._served = max(line.served, self._served)
        line.served = self._served + size

    def _let_small_in(self) -> None:
        line = self._lines[SMALL_LINE]
        while (first := line.first()) and first.size <= self._for_small.free:
            line.grant(self._for_small)

    def _next_line(self) -> _Line | None:
        """Give the line that was given the least of those that somebody waits in."""
        waited_in = (line for line in self._lines.values() if line.first())
        return min(waited_in, key=lambda line: line.served, default=None)


class Held:
    """Bytes of a lock that are held within `async with`."""

    __slots__ = ("_deadline", "_lock", "_place", "_size", "_store")

    def __init__(self, lock: ByteLock, size: int, place: Place, *, deadline: float) -> None:
        self._lock = lock
        self._size = size
        self._place = place
        self._deadline = deadline

    async def __aenter__(self) -> None:
        self._store = await self._lock.granted(self._size, self._place, deadline=self._deadline)

    async def __aexit__(self, *_: object) -> None:
        self._lock.give_back(self._size, self._store)
