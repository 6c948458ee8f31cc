"""Long loops that leave others their turn."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# For so long a loop may keep the event loop from others: health checks, answers.
TURN_SECONDS = 0.01

# To ask the clock costs as much as a small step of work, such as a span of so many bytes.
STEP_BYTES = 512
LOOK_BYTES = 32 * STEP_BYTES


class Turn:
    """Tells a long loop on the event loop when it has had its share of time.

    ::

        turn = Turn(seconds=TURN_SECONDS)
        for span in spans:
            ...
            if turn.is_over(len(span)):
                await asyncio.sleep(0)
    """

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._bytes = 0
        self._end = time.monotonic() + seconds

    def is_over(self, size: int = STEP_BYTES) -> bool:
        """Count a step; tell whether to let others go first, and if so begin a new turn.

        Args:
            size: the bytes that the step had to do with, if they may be many.

        """
        self._bytes += STEP_BYTES + size
        if self._bytes < LOOK_BYTES:
            return False
        self._bytes = 0
        if time.monotonic() < self._end:
            return False
        self._end = time.monotonic() + self._seconds
        return True


class Floor:
    """Where long loops go on, one at a time: else whoever waits would wait for a turn of each.

    ::

        with floor.job() as job:
            for step in steps:
                ...
                await job.rest()
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @contextmanager
    def job(self) -> Iterator[Job]:
        """Give what a loop rests by. Its first turn waits for nobody: short ones need no other."""
        job = Job(self._lock)
        try:
            yield job
        finally:
            job.leave()


class Job:
    """A long loop."""

    def __init__(self, floor: asyncio.Lock) -> None:
        self._floor = floor
        self._is_on = False

    async def rest(self) -> None:
        """Let all others go first, the loops that rest as well."""
        self.leave()
        await self._floor.acquire()
        self._is_on = True
        # Only now, or each would go on when the one before it has left, and nobody else between.
        await asyncio.sleep(0)

    def leave(self) -> None:
        """Let another loop go on."""
        if self._is_on:
            self._is_on = False
            self._floor.release()
