"""Gives memory back that a burst has left behind.

glibc keeps what was freed, in as many heaps as there are threads, for the next
time. After a burst of large requests that is more than all else together.
"""

from __future__ import annotations

import asyncio
import ctypes
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

STATUS = Path("/proc/self/status")
BYTES_A_KIBIBYTE = 1024

LOOK_SECONDS = 1.0
# To trim takes some milliseconds. What grows less is not worth it.
GROWTH_BYTES = 32 * 1024 * 1024


class Trimmer:
    """Trims the heaps whenever memory has grown by a good deal."""

    def __init__(self, resident_bytes: Callable[[], int], trim: Callable[[], object]) -> None:
        self._resident_bytes = resident_bytes
        self._trim = trim
        self._least = resident_bytes()

    def look(self) -> None:
        """Trim if memory has grown since the last look or trim."""
        resident = self._resident_bytes()
        if resident > self._least + GROWTH_BYTES:
            self._trim()
            self._least = self._resident_bytes()
        else:
            self._least = min(self._least, resident)


@asynccontextmanager
async def trimming() -> AsyncIterator[None]:
    """Trim in the background, where the C library is glibc; elsewhere do nothing."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        yield
        return
    trimmer = await asyncio.to_thread(Trimmer, _resident_bytes, lambda: libc.malloc_trim(0))
    task = asyncio.create_task(_keep_looking(trimmer))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_looking(trimmer: Trimmer) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await asyncio.to_thread(trimmer.look)


def _resident_bytes() -> int:
    lines = STATUS.read_text(encoding="ascii").splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(kibibytes) * BYTES_A_KIBIBYTE
