"""How long to wait before sending again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.errors import RetryableExportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState
    from tenacity.wait import wait_base


def as_asked_or(backoff: wait_base) -> Callable[[RetryCallState], float]:
    """Wait as many seconds as the target asked for, else as many as `backoff` says."""

    def delay(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RetryableExportError) and error.retry_after is not None:
            return error.retry_after
        return backoff(state)

    return delay
