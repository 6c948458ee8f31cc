from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from otel_embedder.sidecar.memory import (
    BUSY_SECONDS,
    COLLECT_SECONDS,
    GROWTH_BYTES,
    LITTLE_BYTES,
    PATIENCE_LOOKS,
    Collector,
    Trimmer,
    collecting,
    trimming,
)
from tests.support.fakes import PATIENCE
from tests.support.processes import python


class Heap:
    """What a process holds, and what it could give back."""

    def __init__(self) -> None:
        self.resident = 100
        self.unused = 0
        self.trims = 0

    def grow(self, used: int, unused: int) -> None:
        self.resident += used + unused
        self.unused += unused

    def trim(self) -> None:
        self.trims += 1
        self.resident -= self.unused
        self.unused = 0


@pytest.fixture
def heap() -> Heap:
    return Heap()


@pytest.fixture
def trimmer(heap: Heap) -> Trimmer:
    return Trimmer(lambda: heap.resident, heap.trim)


def test_what_a_burst_left_behind_is_given_back_once(heap: Heap, trimmer: Trimmer) -> None:
    heap.grow(used=10, unused=GROWTH_BYTES)
    trimmer.look()
    trimmer.look()

    assert (heap.trims, heap.resident) == (1, 110)


def test_what_is_needed_is_not_asked_for_again_and_again(heap: Heap, trimmer: Trimmer) -> None:
    heap.grow(used=GROWTH_BYTES + 1, unused=0)
    for _ in range(5):
        trimmer.look()

    assert heap.trims == 1


def test_little_growth_is_left_alone_until_it_is_much(heap: Heap, trimmer: Trimmer) -> None:
    for _ in range(3):
        heap.grow(used=0, unused=GROWTH_BYTES // 2)
        trimmer.look()

    assert (heap.trims, heap.resident) == (1, 100)


def test_growth_counts_from_the_least_there_was(heap: Heap, trimmer: Trimmer) -> None:
    heap.grow(used=-50, unused=0)
    trimmer.look()
    heap.grow(used=0, unused=GROWTH_BYTES + 1)
    trimmer.look()

    assert (heap.trims, heap.resident) == (1, 50)


async def test_the_background_ends_with_what_it_was_there_for() -> None:
    before = asyncio.all_tasks()
    async with trimming():
        within = asyncio.all_tasks() - before

    assert len(within) <= 1
    assert asyncio.all_tasks() == before


GROW_AND_FREE = """
import asyncio
import os
import sys
from otel_embedder.sidecar.memory import trimming
from tests.support.processes import resident_bytes

async def main(wanted, seconds):
    async with trimming(), asyncio.timeout(seconds):
        # Below the size that glibc gives back by itself, the last one kept: the heap can't shrink.
        pieces = [bytes(65_536) for _ in range(4_000)]
        high = resident_bytes(os.getpid())
        del pieces[:-1]
        while high - resident_bytes(os.getpid()) <= wanted:
            await asyncio.sleep(0.01)  # there is no event to wait for

asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
"""


def test_a_process_gives_back_what_it_freed() -> None:
    python(GROW_AND_FREE, "100_000_000", str(PATIENCE))


FAULT_AGAIN = """
import asyncio
import resource
from otel_embedder.sidecar.memory import trimming

def faults_of(size, times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        bytes(size).replace(b"\\0", b"\\1")  # written to, unlike what calloc gives
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

async def main():
    async with trimming():
        faults_of(3_000_000, 10)
        print(faults_of(3_000_000, 100))

asyncio.run(main())
"""


def test_what_one_request_after_the_other_takes_is_not_faulted_in_each_time() -> None:
    pages_of_one = 3_000_000 // 4_096

    assert int(python(FAULT_AGAIN)) < pages_of_one


class Ring:
    """Holds itself."""

    def __init__(self) -> None:
        self.itself = self


async def test_old_garbage_is_collected_when_little_is_in_flight() -> None:
    in_flight = LITTLE_BYTES + 1
    async with collecting(lambda: in_flight):
        collector = Collector(lambda: in_flight)
        ring = weakref.ref(make_old(Ring()))
        beside_much = collector.look()
        is_kept = ring() is not None
        in_flight = LITTLE_BYTES
        beside_little = collector.look()

    assert (beside_much, beside_little) == (BUSY_SECONDS, COLLECT_SECONDS)
    assert is_kept
    assert ring() is None


async def test_where_much_is_always_in_flight_garbage_waits_only_so_long() -> None:
    async with collecting(lambda: 0):
        collector = Collector(lambda: LITTLE_BYTES + 1)
        ring = weakref.ref(make_old(Ring()))
        looks = [collector.look() for _ in range(PATIENCE_LOOKS - 1)]
        is_kept = ring() is not None
        last = collector.look()

    assert set(looks) == {BUSY_SECONDS}
    assert is_kept
    assert last == COLLECT_SECONDS
    assert ring() is None


async def test_nobody_is_stopped_where_there_is_nothing_to_collect() -> None:
    async with collecting(lambda: 0):
        collector = Collector(lambda: 0)
        ring = weakref.ref(Ring())
        wait = collector.look()

    assert wait == COLLECT_SECONDS
    assert ring() is not None


async def test_what_python_does_by_itself_is_as_before_in_the_end() -> None:
    before = gc.get_threshold()
    async with collecting(lambda: 0):
        within, frozen = gc.get_threshold(), gc.get_freeze_count()

    assert within != before
    assert frozen > 0
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def make_old(ring: Ring) -> Ring:
    """Let the younger objects be collected so often that Python would look at the old ones."""
    for _ in range(12):
        gc.collect(1)
    return ring
