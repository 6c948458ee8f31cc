from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from otel_embedder.exporter.byte_lock import Room

pytestmark = pytest.mark.timeout(10)


class Guest:
    """Holds bytes until it is told to leave."""

    def __init__(self, room: Room, size: int) -> None:
        self.is_in = False
        self._leave = asyncio.Event()
        self._stay = asyncio.create_task(self._hold(room, size))

    async def _hold(self, room: Room, size: int) -> None:
        async with room.taken(size):
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
    room = Room(100)
    one, two, three = Guest(room, 60), Guest(room, 40), Guest(room, 1)
    before = await settled(one, two, three)
    await two.leave()
    after = await settled(one, two, three)
    await one.leave()
    await three.leave()

    assert (before, after) == ([True, True, False], [True, True, True])


async def test_what_is_small_does_not_overtake_what_is_large() -> None:
    room = Room(100)
    first, large, small = Guest(room, 60), Guest(room, 90), Guest(room, 10)
    before = await settled(large, small)
    await first.leave()
    after = await settled(large, small)
    await large.leave()
    await small.leave()

    assert (before, after) == ([False, False], [True, True])


async def test_what_is_larger_than_the_room_is_let_in_alone() -> None:
    room = Room(100)
    first, huge, next_ = Guest(room, 1), Guest(room, 1_000), Guest(room, 1)
    before = await settled(huge, next_)
    await first.leave()
    alone = await settled(huge, next_)
    await huge.leave()
    after = await settled(next_)
    await next_.leave()

    assert (before, alone, after) == ([False, False], [True, False], [True])


async def test_whoever_gives_up_takes_no_room_along() -> None:
    room = Room(100)
    first, second, third = Guest(room, 100), Guest(room, 100), Guest(room, 100)
    await settled(first, second, third)
    await second.give_up()
    await first.leave()
    after = await settled(third)
    await third.leave()
    async with AsyncExitStack() as whole, asyncio.timeout(1):
        await whole.enter_async_context(room.taken(100))

    assert after == [True]
