"""How long spans are sent again that are refused for now, and after what waits.

A Collector has a queue and sends again by itself; an SDK that sends here without one gives up at
the first UNAVAILABLE, or after a second. So what is refused for now is sent again for as long as
its caller waits. It holds memory meanwhile, and a place at the door. Where more requests wait so
than is good, the others are answered at once: while the next hop is away, whoever comes hears of
that, and not that there is no room.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from otel_embedder.errors import RetryableExportError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tenacity import RetryCallState

# Beyond that many doublings every wait is the longest.
MAX_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double, as long as the target does not ask for a longer one.

    Attributes:
        first: seconds of the first.
        longest: seconds of the longest, unless the target asks for more.
        jitter: up to so many seconds more, so that many senders don't come back together.

    """

    first: float
    longest: float
    jitter: float

    def pause(self, attempt: int, error: BaseException | None) -> float:
        """Give the seconds to wait after an attempt.

        What the target asks for is no shorter wait than ours, as with a Collector: by 0 s a server
        says no more than that RESOURCE_EXHAUSTED may be sent again.

        Args:
            attempt: how many there were, 1 and more.
            error: how the last one ended.

        """
        doubled = self.first * 2.0 ** min(attempt - 1, MAX_DOUBLINGS)
        jitter = random.uniform(0, self.jitter)  # noqa: S311 - no secret
        return max(min(doubled + jitter, self.longest), _asked(error))

    def wait(self, state: RetryCallState) -> float:
        """Give the seconds to wait, as tenacity asks for them."""
        error = state.outcome.exception() if state.outcome else None
        return self.pause(state.attempt_number, error)


def _asked(error: BaseException | None) -> float:
    return (error.retry_after or 0.0) if isinstance(error, RetryableExportError) else 0.0


# 0.1, 0.2, 0.4 ... seconds, and up to 0.1 more.
BACKOFF = Backoff(first=0.1, longest=2, jitter=0.1)


class WaitingRoom:
    """Where requests wait of which nothing was taken yet. A large one gets in if it is alone."""

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0

    def let_in(self, size: int) -> bool:
        """Let a request of so many bytes wait, if there is room."""
        has_room = self._requests == 0 or self._bytes + size <= self._max_bytes
        if self._requests >= self._max_requests or not has_room:
            return False
        self._requests += 1
        self._bytes += size
        return True

    def leave(self, size: int) -> None:
        """Make room again."""
        self._requests -= 1
        self._bytes -= size


class Patience:
    """Tells of one chunk how long to wait before it is sent again.

    ::

        with Patience(until, now, room, size) as patience:
            ...
            pause = patience.pause(error)
    """

    def __init__(
        self, until: float, now: Callable[[], float], room: WaitingRoom | None, size: int
    ) -> None:
        """Begin with the first try.

        Args:
            until: the time after which nothing is sent again.
            now: gives the time, in seconds.
            room: where to wait; None, if there is always room.
            size: bytes of the request that waits.

        """
        self._until = until
        self._now = now
        self._room = room
        self._size = size
        self._tries = 0
        self._is_in = room is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._room and self._is_in:
            self._room.leave(self._size)

    def pause(self, error: Exception) -> float | None:
        """Give the seconds to wait after a try that ended so; None, if it was the last."""
        self._tries += 1
        seconds = BACKOFF.pause(self._tries, error)
        if self._now() + seconds >= self._until or not self._may_wait():
            return None
        return seconds

    def _may_wait(self) -> bool:
        if self._room and not self._is_in:
            self._is_in = self._room.let_in(self._size)
        return self._is_in
