from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from otel_embedder.exporter.byte_lock import ByteLock

pytestmark = pytest.mark.timeout(10)


class Guest:
    """Holds bytes until it is told to leave."""

    def __init__(self, lock: ByteLock, size: int) -> None:
        self.is_in = False
        self._leave = asyncio.Event()
        self._stay = asyncio.create_task(self._hold(lock, size))

    async def _hold(self, lock: ByteLock, size: int) -> None:
        async with lock.held(size):
            self.is_in = True
            await self._leave.wait()

    async def leave(self) -> None:
        self._leave.set()
        await self._stay

    async def give_up(self) -> None:
        self._stay.cancel()
        await asyncio.wait([self._stay])


async def settled(*guests: Guest) -> list[bool]:
    """Give who is in, once all that can go on has."""
    for _ in range(10):
        await asyncio.sleep(0)
    return [guest.is_in for guest in guests]


async def test_what_fits_is_let_in_and_what_does_not_waits() -> None:
    lock = ByteLock(100)
    one, two, three = Guest(lock, 60), Guest(lock, 40), Guest(lock, 1)
    before = await settled(one, two, three)
    await two.leave()
    after = await settled(one, two, three)
    await one.leave()
    await three.leave()

    assert (before, after) == ([True, True, False], [True, True, True])


async def test_what_is_small_does_not_overtake_what_is_large() -> None:
    lock = ByteLock(100)
    first, large, small = Guest(lock, 60), Guest(lock, 90), Guest(lock, 10)
    before = await settled(large, small)
    await first.leave()
    after = await settled(large, small)
    await large.leave()
    await small.leave()

    assert (before, after) == ([False, False], [True, True])


async def test_what_is_larger_than_the_lock_is_let_in_alone() -> None:
    lock = ByteLock(100)
    first, huge, next_ = Guest(lock, 1), Guest(lock, 1_000), Guest(lock, 1)
    before = await settled(huge, next_)
    await first.leave()
    alone = await settled(huge, next_)
    await huge.leave()
    after = await settled(next_)
    await next_.leave()

    assert (before, alone, after) == ([False, False], [True, False], [True])


async def test_whoever_gives_up_takes_no_lock_along() -> None:
    lock = ByteLock(100)
    first, second, third = Guest(lock, 100), Guest(lock, 100), Guest(lock, 100)
    await settled(first, second, third)
    await second.give_up()
    await first.leave()
    after = await settled(third)
    await third.leave()
    async with AsyncExitStack() as whole, asyncio.timeout(1):
        await whole.enter_async_context(lock.held(100))

    assert after == [True]
