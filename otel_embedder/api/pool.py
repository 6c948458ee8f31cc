"""Threads for what takes a while: few of them, and few that wait, so that spans don't mind."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Self, TypeVar

from otel_embedder.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Result = TypeVar("Result")

RETRY_SECONDS = 1.0
# What takes longer is not asked again and again.
MOST_REST_SECONDS = 0.05


class Rest:
    """After each work a rest of all threads, for others who share the interpreter with them.

    Who asks now and then notices nothing; who asks all the time gets no more than a share.
    """

    def __init__(self, ratio: float) -> None:
        """Begin rested; each second of work is followed by `ratio` seconds without."""
        self._ratio = ratio
        self._until = 0.0
        self._lock = Lock()

    def left(self, now: float) -> float:
        """Give the seconds until the next work may begin."""
        return max(0.0, self._until - now)

    def worked(self, seconds: float, now: float) -> None:
        """Note a work of so many seconds that is done."""
        rest = min(self._ratio * seconds, MOST_REST_SECONDS)
        with self._lock:
            self._until = max(self._until, now) + rest


class Pool:
    """Runs functions in a few threads."""

    def __init__(self, *, threads: int, waiting: int, rest: float = 0.0) -> None:
        """Prepare.

        Args:
            threads: how many run at the same time.
            waiting: how many may wait for one.
            rest: for so many times the CPU that a function took none of them begins another.

        """
        self._rest = Rest(rest)
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
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._work, function
            )
        finally:
            self._running -= 1

    def _work(self, function: Callable[[], Result]) -> Result:
        while seconds := self._rest.left(time.monotonic()):
            time.sleep(seconds)
        began = time.thread_time()
        try:
            return function()
        finally:
            self._rest.worked(time.thread_time() - began, time.monotonic())
