"""How long to wait before sending again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_embedder.errors import RetryableExportError

if TYPE_CHECKING:
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
