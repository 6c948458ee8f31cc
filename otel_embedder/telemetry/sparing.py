"""Tells what may happen often in a line a minute, with a count.

What strangers can bring about as often as they like must not fill the log.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET_SECONDS = 60.0

log = get_logger()


class Sparing:
    """Warns of an event at most once a minute, and says how often it has happened by then."""

    def __init__(
        self,
        event: str,
        *,
        seconds: float = QUIET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at none.

        Args:
            event: the line's name.
            seconds: so long there is no further line.
            clock: the time in seconds.

        """
        self._event = event
        self._seconds = seconds
        self._clock = clock
        self._calls = 0
        self._quiet_until = clock()

    def tell(self, **facts: object) -> None:
        """Count one more; write a line, with what is known of this one, if it is time for one."""
        self._calls += 1
        now = self._clock()
        if now >= self._quiet_until:
            self._quiet_until = now + self._seconds
            log.warning(self._event, calls=self._calls, **facts)
