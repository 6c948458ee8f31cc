"""Gives memory back: what a burst has left behind, and what holds itself.

glibc keeps what was freed, in as many heaps as there are threads, for the next
time. After a burst of large requests that is more than all else together. Of what
one request takes it gives some back at once, to ask for it again with the next: each
page that comes back is faulted in anew, which takes longer than to copy into it. So it
is told to keep as much as that, and the trimmer gives back what is no longer needed.

Python looks through all objects for those that hold each other only, whenever there are a quarter
more of them: with the spans of a large request in flight that stops everything for 0.1 s, again and
again, and finds nothing. So it is done when little is in flight, or once a minute.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from otel_embedder.sidecar.background import beside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

STATUS = Path("/proc/self/status")
BYTES_A_KIBIBYTE = 1024

LOOK_SECONDS = 1.0
# To trim takes some milliseconds. What grows less is not worth it.
GROWTH_BYTES = 32 * 1024 * 1024

# glibc's mallopt, by the numbers of malloc.h. Blocks that are smaller than the first come from the
# heap, as what a request is sent as does; the heap's end stays if it has no more than the second.
# To set one ends what glibc does to both by itself, so both are set.
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
MMAP_BYTES = 8 * 1024 * 1024
KEPT_BYTES = 64 * 1024 * 1024

# Looking through the objects of so many bytes of requests takes some milliseconds.
LITTLE_BYTES = 1024 * 1024
COLLECT_SECONDS = 5.0
# Between two large requests there is a moment for it; if there is none for a minute, beside one.
BUSY_SECONDS = 0.1
PATIENCE_LOOKS = 600
# After so many collections of the younger objects Python would look through the old ones.
YOUNG_COLLECTIONS = 10
NEVER = 2**31 - 1


class Collector:
    """Looks through the old objects when that stops nobody for long."""

    def __init__(self, bytes_in_flight: Callable[[], int]) -> None:
        """Begin.

        Args:
            bytes_in_flight: gives what requests hold.

        """
        self._bytes_in_flight = bytes_in_flight
        self._looks = 0

    def look(self) -> float:
        """Collect, if there is reason and it is a good time; give the seconds to the next look."""
        if gc.get_count()[2] < YOUNG_COLLECTIONS:
            return COLLECT_SECONDS
        self._looks += 1
        if self._bytes_in_flight() > LITTLE_BYTES and self._looks < PATIENCE_LOOKS:
            return BUSY_SECONDS
        self._looks = 0
        gc.collect()
        return COLLECT_SECONDS


@asynccontextmanager
async def collecting(bytes_in_flight: Callable[[], int]) -> AsyncIterator[None]:
    """Collect garbage when that stops nobody for long; `bytes_in_flight` is what requests hold."""
    usual = gc.get_threshold()
    # What is there from the beginning stays, and what of it is garbage is little.
    gc.freeze()
    gc.set_threshold(*usual[:2], NEVER)
    try:
        async with beside(_keep_collecting(Collector(bytes_in_flight))):
            yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


async def _keep_collecting(collector: Collector) -> None:
    wait = COLLECT_SECONDS
    while True:
        await asyncio.sleep(wait)
        wait = collector.look()


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
    """Trim in the background, where the C library is glibc; elsewhere do nothing.

    From then on the heap keeps what was freed until it is trimmed.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        yield
        return
    libc.mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    trimmer = await asyncio.to_thread(Trimmer, _resident_bytes, lambda: libc.malloc_trim(0))
    async with beside(_keep_looking(trimmer)):
        yield


async def _keep_looking(trimmer: Trimmer) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await asyncio.to_thread(trimmer.look)


def _resident_bytes() -> int:
    lines = STATUS.read_text(encoding="ascii").splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(kibibytes) * BYTES_A_KIBIBYTE
