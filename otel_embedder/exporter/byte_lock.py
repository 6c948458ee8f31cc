"""So many bytes, shared by whoever waits for them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class ByteLock:
    """Lets tasks hold bytes, one after the other where they don't fit together.

    First come, first served: what is large waits no longer than what is small.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._line = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def held(self, size: int) -> AsyncIterator[None]:
        """Hold so many bytes until the end; what is larger than all of them holds all."""
        size = min(size, self._size)
        async with self._line:
            while self._free < size:
                self._freed.clear()
                await self._freed.wait()
            self._free -= size
        try:
            yield
        finally:
            self._free += size
            self._freed.set()
