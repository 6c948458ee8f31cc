"""Long loops that leave others their turn."""

from __future__ import annotations

import time

# To ask the clock costs as much as a small step of work.
STEPS_A_LOOK = 16


class Turn:
    """Tells a long loop on the event loop when it has had its share of time.

    ::

        turn = Turn(seconds=0.01)
        for span in spans:
            ...
            if turn.is_over():
                await asyncio.sleep(0)
    """

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._steps = 0
        self._end = time.monotonic() + seconds

    def is_over(self) -> bool:
        """Count a step; tell whether to let others go first, and if so begin a new turn."""
        self._steps += 1
        if self._steps % STEPS_A_LOOK or time.monotonic() < self._end:
            return False
        self._end = time.monotonic() + self._seconds
        return True
