"""How large a request the next hop takes: what was configured, until it says otherwise.

What it said is forgotten after a while. The limit may rise when the next hop starts
again with another one, and nothing tells us so: a new connection may as well lead to
the same limit. To ask again costs one refused request, and the spans in it none.

The limit is everybody's, so it is lowered no further than to a floor: a next hop may say so of
one sender's spans for reasons of its own. What is to be smaller still is cut for itself alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

FORGET_SECONDS = 600.0

# Enough for ten spans with their vectors. OTLP's servers take 4 MiB, and none is known for less.
FLOOR_BYTES = 64 * 1024

LIMIT_LOWERED = "next_hop.limit_lowered"

log = get_logger()


class SendLimit:
    """The bytes that a request to the next hop may have at the moment."""

    def __init__(
        self, configured: int, *, clock: Callable[[], float], floor: int = FLOOR_BYTES
    ) -> None:
        self._configured = configured
        self._floor = min(floor, configured)
        self._clock = clock
        self._learned = configured
        self._forget_at = 0.0
        self._told: int | None = None

    def current(self) -> int:
        """Give the limit in bytes."""
        return self._learned if self._clock() < self._forget_at else self._configured

    def lower(self, *, refused: int, told: int | None) -> None:
        """Learn that the next hop does not take as much.

        Args:
            refused: the bytes of the request that was too large.
            told: the bytes that the next hop says it takes, if it does.

        """
        smaller = max(smaller_than(refused, told), self._floor)
        self._learned = min(smaller, self.current())
        self._forget_at = self._clock() + FORGET_SECONDS
        self._log()

    def _log(self) -> None:
        """Tell of a limit once, not each time that it is found out again."""
        if self._learned == self._told:
            return
        self._told = self._learned
        log.warning(LIMIT_LOWERED, bytes=self._learned, configured=self._configured)


def smaller_than(refused: int, told: int | None) -> int:
    """Give the bytes to try where so many were refused: those that it says it takes, else half."""
    return told if told is not None and 0 < told < refused else refused // 2
