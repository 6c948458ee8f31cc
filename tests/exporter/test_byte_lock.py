from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.exporter.byte_lock import SMALL_BYTES, ByteLock

if TYPE_CHECKING:
    from otel_embedder.exporter.byte_lock import Place

pytestmark = pytest.mark.timeout(10)

# Of 800 bytes, 100 are for small requests alone.
SIZE, FOR_SMALL, FOR_ALL = 800, 100, 700


class Guest:
    """Holds bytes until it is told to leave."""

    def __init__(self, lock: ByteLock, size: int, place: Place | None = None) -> None:
        self.is_in = False
        self._leave = asyncio.Event()
        self._stay = asyncio.create_task(self._hold(lock, size, place or lock.place(size)))

    async def _hold(self, lock: ByteLock, size: int, place: Place) -> None:
        async with lock.held(size, place, deadline=math.inf):
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


async def leave(*guests: Guest) -> None:
    for guest in guests:
        await guest.leave()


async def entering(guests: list[Guest]) -> list[Guest]:
    """Let the first guest leave, then whoever came in after it, and so on; give their order."""
    order: list[Guest] = []
    while len(order) < len(guests):
        await settled()
        [guest, *_] = [each for each in guests if each.is_in and each not in order]
        order.append(guest)
        await guest.leave()
    return order


@pytest.fixture
def lock() -> ByteLock:
    return ByteLock(SIZE)


async def test_what_fits_is_let_in_and_what_does_not_waits(lock: ByteLock) -> None:
    one, two, three = Guest(lock, 400), Guest(lock, 300), Guest(lock, 101)
    before = await settled(one, two, three)
    await two.leave()
    after = await settled(one, two, three)
    await leave(one, three)

    assert (before, after) == ([True, True, False], [True, True, True])


async def test_a_small_request_waits_neither_for_larger_ones_nor_for_those_before_it(
    lock: ByteLock,
) -> None:
    large = [Guest(lock, FOR_ALL) for _ in range(3)]
    await settled()
    small = Guest(lock, FOR_SMALL)
    is_in = await settled(small, *large)
    await leave(small, *large)

    assert is_in == [True, True, False, False]


async def test_what_is_small_is_no_more_than_some_spans() -> None:
    lock = ByteLock(1024 * SMALL_BYTES)
    large = [Guest(lock, 1024 * SMALL_BYTES) for _ in range(2)]
    await settled()
    small, larger = Guest(lock, SMALL_BYTES), Guest(lock, SMALL_BYTES + 1)
    is_in = await settled(small, larger)
    await leave(small, large[0], larger, large[1])

    assert is_in == [True, False]


async def test_small_requests_have_what_is_for_all_as_well(lock: ByteLock) -> None:
    small = [Guest(lock, 50) for _ in range(SIZE // 50)]
    one_more = Guest(lock, 50)
    before = await settled(*small, one_more)
    await small[0].leave()
    after = await settled(one_more)
    await leave(*small[1:], one_more)

    assert before == [True] * len(small) + [False]
    assert after == [True]


async def test_a_part_of_a_large_request_is_not_small(lock: ByteLock) -> None:
    whole = Guest(lock, FOR_ALL)
    await settled()
    rest = Guest(lock, 10, lock.place(FOR_ALL))
    is_in = await settled(rest)
    await leave(whole, rest)

    assert is_in == [False]


async def test_those_of_one_size_are_let_in_as_they_came(lock: ByteLock) -> None:
    guests = [Guest(lock, size) for size in (FOR_ALL, 699, 690, 695)]

    assert await entering(guests) == guests


async def test_who_came_first_goes_first_until_all_of_it_is_sent(lock: ByteLock) -> None:
    first, second = lock.place(FOR_ALL), lock.place(FOR_ALL)
    began = Guest(lock, FOR_ALL, first)
    other = Guest(lock, FOR_ALL, second)
    await settled()
    goes_on = Guest(lock, FOR_ALL, first)

    assert await entering([began, other, goes_on]) == [began, goes_on, other]


async def test_sizes_have_turns_by_bytes_however_many_there_are_of_one(lock: ByteLock) -> None:
    """A line of large ones: what is a quarter as large goes in between, four for one."""
    large = [Guest(lock, FOR_ALL) for _ in range(6)]
    medium = [Guest(lock, FOR_ALL // 4, lock.place(FOR_ALL // 4)) for _ in range(8)]

    order = await entering([*large, *medium])

    assert [guest in large for guest in order[:7]].count(True) <= 3
    assert [guest for guest in order if guest in medium] == medium
    assert [guest for guest in order if guest in large] == large


async def test_no_stream_of_smaller_ones_keeps_a_large_one_out(lock: ByteLock) -> None:
    stream = [Guest(lock, 150) for _ in range(4)]
    await settled()
    large = Guest(lock, FOR_ALL)
    overtook = 0
    while not large.is_in:
        stream.append(Guest(lock, 150))
        await stream.pop(0).leave()
        await settled()
        overtook += stream[-1].is_in
    waiting = await settled(*stream)
    await leave(large, *stream)

    assert overtook <= FOR_ALL // 150 + 1
    assert not any(waiting)


async def test_a_line_that_nobody_waited_in_saves_up_no_turns(lock: ByteLock) -> None:
    for guest in [Guest(lock, 150) for _ in range(50)]:
        await guest.leave()
    large = [Guest(lock, FOR_ALL) for _ in range(4)]
    medium = [Guest(lock, 150) for _ in range(4)]

    order = await entering([*large, *medium])

    assert order.index(medium[0]) <= 2


async def test_what_is_larger_than_the_lock_is_let_in_alone(lock: ByteLock) -> None:
    first, huge, next_ = Guest(lock, 101), Guest(lock, 10_000), Guest(lock, 9_000)
    before = await settled(huge, next_)
    await first.leave()
    alone = await settled(huge, next_)
    await huge.leave()
    after = await settled(next_)
    await next_.leave()

    assert (before, alone, after) == ([False, False], [True, False], [True])


async def test_a_lock_of_one_byte_lets_one_in_after_the_other() -> None:
    lock = ByteLock(1)
    one, two = Guest(lock, 5), Guest(lock, 5)
    before = await settled(one, two)
    await leave(one, two)

    assert before == [True, False]


async def test_whoever_gives_up_takes_no_lock_along(lock: ByteLock) -> None:
    first, second, third = (Guest(lock, FOR_ALL) for _ in range(3))
    await settled(first, second, third)
    await second.give_up()
    await first.leave()
    after = await settled(third)
    await third.leave()
    async with AsyncExitStack() as whole, asyncio.timeout(1):
        await whole.enter_async_context(lock.held(SIZE, lock.place(SIZE), deadline=math.inf))

    assert after == [True]


async def test_whoever_gives_up_lets_those_behind_it_in(lock: ByteLock) -> None:
    first, large, other = Guest(lock, 101), Guest(lock, FOR_ALL), Guest(lock, 650)
    after = Guest(lock, 500, lock.place(FOR_ALL))
    before = await settled(first, large, other, after)
    await large.give_up()
    await other.give_up()
    after_that = await settled(after)
    await leave(first, after)

    assert before == [True, False, False, False]
    assert after_that == [True]


async def test_whoever_gives_up_as_it_is_let_in_gives_back_what_it_got(lock: ByteLock) -> None:
    first, second, third = (Guest(lock, FOR_ALL) for _ in range(3))
    await settled()
    leaving = asyncio.create_task(first.leave())
    await asyncio.sleep(0)  # the first has been told, and has not left yet
    giving_up = asyncio.create_task(second.give_up())
    await asyncio.wait([leaving, giving_up])
    is_in = await settled(third)
    await third.leave()

    assert is_in == [True]


async def test_nobody_waits_longer_than_to_its_deadline(lock: ByteLock) -> None:
    first, other = Guest(lock, FOR_ALL), Guest(lock, FOR_ALL)
    await settled()
    deadline = asyncio.get_running_loop().time() + 0.05
    with pytest.raises(TimeoutError):
        async with lock.held(FOR_ALL, lock.place(FOR_ALL), deadline=deadline):
            pass
    await first.leave()
    after = await settled(other)
    await other.leave()

    assert after == [True]


async def test_a_deadline_that_has_passed_keeps_nobody_out_where_there_is_room(
    lock: ByteLock,
) -> None:
    async with lock.held(FOR_ALL, lock.place(FOR_ALL), deadline=0):
        pass


class QueueingLock(ByteLock):
    """Has everybody stand in line, where nobody waits as well."""

    def _is_waited_for(self) -> bool:
        return True


async def held_after_each(lock: ByteLock, steps: list[int]) -> list[list[bool]]:
    """Let a guest come for each size above 0, and one leave for each other; give who is in."""
    guests: list[Guest] = []
    seen = []
    for step in steps:
        inside = [guest for guest in guests if guest.is_in]
        if step > 0:
            guests.append(Guest(lock, step))
        elif inside:
            gone = inside[step % len(inside)]
            await gone.leave()
            guests.remove(gone)
        seen.append(await settled(*guests))
    for guest in guests:
        await guest.give_up()
    return seen


@given(st.lists(st.integers(-3, SIZE), max_size=20))
def test_what_has_room_at_once_is_let_in_as_from_a_line(steps: list[int]) -> None:
    at_once = asyncio.run(held_after_each(ByteLock(SIZE), steps))
    queued = asyncio.run(held_after_each(QueueingLock(SIZE), steps))

    assert at_once == queued
