"""Lets few calls read at the same time, and one connection after the other.

How large a message is, gRPC tells when all of it is in memory; so few are read
at full speed. Whether a call will ever send anything, it tells when that has come.
So a turn ends, and its caller reads on without counting. How long a turn is, is
learned: those who say nothing make it shorter, those who deliver make it longer.
So calls that are silent, however many, keep a message waiting for a moment only.
"""

from __future__ import annotations

import asyncio
from collections import deque

PLACES = 8
# Who sends slowly fills no memory, and must not keep the others waiting.
MAX_SECONDS = 0.05
MIN_SECONDS = 0.001
# Forty calls that say nothing bring the longest turn down to the shortest, within a tenth of a
# second. One that delivers late has made up for the turn that it overran.
SHORTER, LONGER = 0.9, 1.25


class ReadingTurns:
    """Gives the places: to each connection one, then to each the next."""

    def __init__(self, *, places: int = PLACES, max_seconds: float = MAX_SECONDS) -> None:
        """Begin with the longest turns.

        Args:
            places: so many have a turn at the same time.
            max_seconds: how long a turn is at most.

        """
        self._free = places
        self._max_seconds = max_seconds
        self._seconds = max_seconds
        # By connection, in the order that they are served.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def taken(self, connection: str) -> ReadingTurn:
        """Wait for a place and have it: until the end, or until the turn is over.

        Who comes to the end without an error has delivered.
        """
        return ReadingTurn(self, connection)

    def seconds(self) -> float:
        """Give how long a turn is."""
        return self._seconds

    def delivered(self) -> None:
        """Learn that a message has come."""
        self._seconds = min(self._max_seconds, self._seconds * LONGER)

    def overrun(self) -> None:
        """Learn that none has come within a turn."""
        self._seconds = max(MIN_SECONDS, self._seconds * SHORTER)

    async def place(self, connection: str) -> None:
        """Wait for a place."""
        if self._free:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(connection, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it had come just then
                self.pass_on()
            raise

    def pass_on(self) -> None:
        """Give a place to the connection whose turn it is, but for callers who have left."""
        while self._waiting:
            connection, line = next(iter(self._waiting.items()))
            place = line.popleft()
            if not line:
                del self._waiting[connection]
            if place.done():
                continue
            if line:  # behind the others
                self._waiting[connection] = self._waiting.pop(connection)
            place.set_result(None)
            return
        self._free += 1


class ReadingTurn:
    """One call's turn, within `async with`."""

    __slots__ = ("_connection", "_has_place", "_timer", "_turns")

    def __init__(self, turns: ReadingTurns, connection: str) -> None:
        self._turns = turns
        self._connection = connection

    async def __aenter__(self) -> None:
        await self._turns.place(self._connection)
        self._has_place = True
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._turns.seconds(), self._overrun)

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        if exc_type is None:
            self._turns.delivered()
        self._leave()

    def _overrun(self) -> None:
        self._turns.overrun()
        self._leave()

    def _leave(self) -> None:
        if self._has_place:
            self._has_place = False
            self._turns.pass_on()
