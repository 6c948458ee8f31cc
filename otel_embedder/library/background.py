"""An event loop in a thread of its own, for callers with another loop or with none."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

Answer = TypeVar("Answer")


class BackgroundLoop:
    """Runs coroutines for any thread. It does not keep the process from ending."""

    def __init__(self) -> None:
        """Start the thread."""
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="otel-embedder", daemon=True
        )
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether there is still somebody to run anything: a fork leaves threads behind."""
        return self._pid == os.getpid()

    def submit(self, coroutine: Coroutine[object, object, Answer]) -> Future[Answer]:
        """Run a coroutine; give what becomes of it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def close(self) -> None:
        """Stop when all that was submitted is done."""
        self.submit(_others()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _others() -> None:
    """Wait until nothing else runs on this loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
