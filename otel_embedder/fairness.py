"""Long loops that leave others their turn."""

from __future__ import annotations

import time

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
