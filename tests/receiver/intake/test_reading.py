from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from otel_embedder.receiver.intake.reading import ReadingTurns
from tests.support.fakes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

# Longer than any test.
FOR_EVER = 1_000.0


class Readers:
    """Takes turns for calls of connections; tells in which order, and ends them on demand."""

    def __init__(self, turns: ReadingTurns) -> None:
        self.order: list[str] = []
        self.begun = asyncio.Semaphore(0)
        self._turns = turns
        self._ends: dict[str, asyncio.Event] = {}

    async def open(self, calls: Iterable[str]) -> list[asyncio.Task[None]]:
        """Let calls begin in this order; the first letter is their connection's."""
        tasks = []
        for call in calls:
            self._ends[call] = asyncio.Event()
            tasks.append(asyncio.create_task(self._read(call)))
            await asyncio.sleep(0)  # so that it waits before the next one comes
        return tasks

    def end(self, call: str) -> None:
        self._ends[call].set()

    async def _read(self, call: str) -> None:
        async with self._turns.taken(call[0]):
            self.order.append(call)
            self.begun.release()
            await self._ends[call].wait()


async def test_connections_take_turns_however_many_calls_one_has() -> None:
    readers = Readers(ReadingTurns(places=1, max_seconds=FOR_EVER))
    tasks = await readers.open(["a1", "a2", "a3", "a4", "b1", "b2", "c1"])
    for _ in tasks:
        await readers.begun.acquire()
        readers.end(readers.order[-1])
    await asyncio.gather(*tasks)

    assert readers.order == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]


async def test_who_says_nothing_holds_a_place_for_a_moment_only() -> None:
    readers = Readers(ReadingTurns(places=1, max_seconds=0.01))
    tasks = await readers.open(["a1", "b1"])
    async with asyncio.timeout(PATIENCE):
        for _ in tasks:
            await readers.begun.acquire()
    for task in tasks:
        task.cancel()

    assert readers.order == ["a1", "b1"]


async def test_many_who_say_nothing_make_turns_short() -> None:
    # At a place of a second each they would take ten minutes.
    readers = Readers(ReadingTurns(places=8, max_seconds=1.0))
    tasks = await readers.open(
        f"{connection}{number}" for number in range(500) for connection in "abcdefghij"
    )
    async with asyncio.timeout(6 * PATIENCE):
        for _ in tasks:
            await readers.begun.acquire()
    for task in tasks:
        task.cancel()


async def test_who_delivers_makes_turns_long_again() -> None:
    turns = ReadingTurns(places=1, max_seconds=0.2)
    readers = Readers(turns)
    silent = await readers.open([f"s{number}" for number in range(80)])
    for _ in silent:
        await readers.begun.acquire()
    for _ in range(30):
        async with turns.taken("good"):
            pass
    holding = await readers.open(["a1", "b1"])
    await readers.begun.acquire()
    begun = asyncio.get_running_loop().time()
    await asyncio.wait_for(readers.begun.acquire(), PATIENCE)
    waited = asyncio.get_running_loop().time() - begun
    for task in (*silent, *holding):
        task.cancel()

    assert waited > 0.1


async def test_who_leaves_while_waiting_takes_no_place() -> None:
    readers = Readers(ReadingTurns(places=1, max_seconds=FOR_EVER))
    [first, leaving, last] = await readers.open(["a1", "a2", "b1"])
    leaving.cancel()
    readers.end("a1")
    readers.end("b1")
    await asyncio.wait_for(asyncio.gather(first, last), PATIENCE)

    assert readers.order == ["a1", "b1"]
    assert leaving.cancelled()


async def test_who_leaves_just_as_its_turn_comes_gives_it_on() -> None:
    readers = Readers(ReadingTurns(places=1, max_seconds=FOR_EVER))
    [first, leaving, last] = await readers.open(["a1", "b1", "c1"])
    readers.end("a1")
    readers.end("c1")
    first.add_done_callback(lambda _: leaving.cancel())
    await asyncio.wait_for(asyncio.gather(first, last), PATIENCE)

    assert readers.order[0] == "a1"
    assert readers.order[-1] == "c1"


async def test_an_error_gives_the_place_back() -> None:
    turns = ReadingTurns(places=1, max_seconds=FOR_EVER)
    with pytest.raises(ValueError, match="oh"):
        async with turns.taken("a"):
            raise ValueError("oh")
    async with asyncio.timeout(PATIENCE), turns.taken("b"):
        pass
