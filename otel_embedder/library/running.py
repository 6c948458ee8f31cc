"""What runs of a service: its embedder, on an event loop of its own, from the first use to the end.

Nothing starts before it is needed, several may need it first, and once it has ended it stays so.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeVar

from otel_embedder.errors import EmbedderClosedError
from otel_embedder.library.background import BackgroundLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future
    from contextlib import AbstractAsyncContextManager

    from otel_embedder.embedder.known import CacheInfo
    from otel_embedder.library.trace_embedder import TraceEmbedder

    Start = Callable[[], AbstractAsyncContextManager[TraceEmbedder]]

Result = TypeVar("Result")


class RunningEmbedder:
    """An embedder that runs when it is needed. Safe to use from several threads."""

    def __init__(self, start: Start) -> None:
        """Start nothing yet.

        Args:
            start: makes the embedder: on its loop, since it reads files.

        """
        self._start = start
        self._lock = threading.Lock()
        self._started: _Started | None = None
        self._is_ended = False

    def use(
        self, use: Callable[[TraceEmbedder], Coroutine[object, object, Result]]
    ) -> Future[Result]:
        """Use the embedder on its own loop; give what becomes of that.

        Raises:
            EmbedderClosedError: it has ended, or was left behind by a fork.

        """
        started = self._in_use()

        async def used() -> Result:
            return await use(await started.embedder())

        return started.loop.submit(used())

    def loop(self) -> BackgroundLoop:
        """Give the loop, started if need be.

        Raises:
            EmbedderClosedError: as for `use`.

        """
        return self._in_use().loop

    def cache_info(self) -> CacheInfo | None:
        """Tell how the cache does; None while there is none."""
        started = self._started
        return None if started is None else started.cache_info()

    def refuse(self) -> None:
        """Let nobody begin to use it any more."""
        with self._lock:
            self._is_ended = True

    def check(self) -> None:
        """See that it may be used.

        Raises:
            EmbedderClosedError: it has ended.

        """
        if self._is_ended:
            raise EmbedderClosedError("the service is closed")

    def close(self) -> None:
        """End what runs, for good."""
        with self._lock:
            self._is_ended = True
            started, self._started = self._started, None
        if started is not None and started.loop.is_alive():
            started.close()

    def _in_use(self) -> _Started:
        with self._lock:
            self.check()
            if self._started is None:
                self._started = _Started(self._start)
            if not self._started.loop.is_alive():
                raise EmbedderClosedError("the process was forked; use a service only after that")
            return self._started


class _Started:
    """The loop, and the embedder as soon as somebody asks for it."""

    def __init__(self, start: Start) -> None:
        self.loop = BackgroundLoop()
        self._start = start
        self._embedder: TraceEmbedder | None = None
        self._starting = asyncio.Lock()
        self._parts = AsyncExitStack()

    async def embedder(self) -> TraceEmbedder:
        """Give the embedder, made by the first who asks."""
        async with self._starting:
            if self._embedder is None:
                self._embedder = await self._parts.enter_async_context(self._start())
            return self._embedder

    def cache_info(self) -> CacheInfo | None:
        return None if self._embedder is None else self._embedder.cache_info()

    def close(self) -> None:
        self.loop.submit(self._parts.aclose()).result()
        self.loop.close()
