"""Threads for what takes a while: few of them, and few that wait, so that spans don't mind."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self, TypeVar

from otel_embedder.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Result = TypeVar("Result")

RETRY_SECONDS = 1.0


class Pool:
    """Runs functions in a few threads."""

    def __init__(self, *, threads: int, waiting: int) -> None:
        """Prepare.

        Args:
            threads: how many run at the same time.
            waiting: how many may wait for one.

        """
        self._most = threads + waiting
        self._running = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="api")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def begin(self, function: Callable[[], object]) -> None:
        """Run a function in one of the threads, before whatever is asked; nobody waits for it."""
        self._threads.submit(function)

    async def run(self, function: Callable[[], Result]) -> Result:
        """Run a function in a thread; called on one event loop only.

        Raises:
            BusyError: too many wait already.

        """
        if self._running >= self._most:
            raise BusyError(
                f"{self._most} questions wait already: ask again in a while",
                retry_after=RETRY_SECONDS,
            )
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        finally:
            self._running -= 1
