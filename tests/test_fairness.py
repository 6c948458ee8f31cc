"""Who has the next turn, by steps and a clock of the tests' own."""

from __future__ import annotations

import asyncio
from threading import get_ident
from typing import TYPE_CHECKING

import pytest

from otel_embedder.fairness import (
    JOINED_BYTES,
    LONG_TURNS,
    LOOK_BYTES,
    PATIENCE_TURNS,
    READ_SECONDS_A_BYTE,
    REST_SHARE,
    Turn,
    Turns,
    joined,
    let_go,
    rest_behind_reading,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.timeout(120)


class Clock:
    """Goes on when somebody works."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Machine:
    """A machine with one task's turn at a time, each step a second, each turn one step."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._clock = Clock()
        self._turns = Turns(seconds=1, clock=self._clock)
        self._stepped = asyncio.Condition()

    async def work(self, name: str, steps: int) -> None:
        async with self._turns.task() as turn:
            for _ in range(steps):
                self.done.append(name)
                self._clock.seconds += 1
                async with self._stepped:
                    self._stepped.notify_all()
                if turn.is_over(LOOK_BYTES):
                    await turn.let_others()

    async def has_done(self, steps: int) -> None:
        """Wait until so many steps were done, by whomever."""
        async with self._stepped:
            await self._stepped.wait_for(lambda: len(self.done) >= steps)

    async def run(self, *tasks: tuple[str, int]) -> None:
        async with asyncio.TaskGroup() as group:
            for name, steps in tasks:
                group.create_task(self.work(name, steps))


def turns_until(name: str, done: Sequence[str], *, since: int = 0) -> int:
    """Count the turns of others before a task's last one."""
    last = max(index for index, each in enumerate(done) if each == name)
    return sum(each != name for each in done[since:last])


async def test_a_task_alone_has_every_turn() -> None:
    machine = Machine()
    await machine.run(("a", 3))

    assert machine.done == ["a", "a", "a"]


async def test_the_event_loop_goes_round_between_two_turns_of_a_task_alone() -> None:
    machine, rounds = Machine(), 0
    task = asyncio.create_task(machine.work("a", 5))
    while not task.done():
        rounds += 1
        await asyncio.sleep(0)

    assert rounds >= 5


@pytest.mark.parametrize("large", [5, 50, 250])
async def test_what_is_small_waits_for_no_more_than_two_turns_however_many_are_large(
    large: int,
) -> None:
    machine = Machine()
    tasks = [asyncio.create_task(machine.work(f"large {each}", 20)) for each in range(large)]
    await machine.has_done(2 * large)
    before = len(machine.done)
    await machine.work("small", 1)

    assert turns_until("small", machine.done, since=before) <= 2
    for task in tasks:
        task.cancel()


async def test_no_task_gets_ahead_by_more_than_four_times_what_the_other_has_had() -> None:
    machine = Machine()
    await machine.run(("a", 100), ("b", 100))
    had = [(machine.done[:end].count("a"), machine.done[:end].count("b")) for end in range(200)]

    assert all(max(each) <= 4 * (min(each) + 2) for each in had)


async def test_of_tasks_that_are_alike_the_first_is_done_long_before_the_last() -> None:
    machine = Machine()
    names = [f"task {number}" for number in range(8)]
    await machine.run(*((name, 31) for name in names))
    ends = [max(index for index, each in enumerate(machine.done) if each == name) for name in names]

    assert ends[0] < 0.6 * len(machine.done)
    assert ends == sorted(ends)


async def test_a_task_that_comes_late_catches_up_first() -> None:
    machine = Machine()
    first = asyncio.create_task(machine.work("first", 100))
    await machine.has_done(10)
    before = len(machine.done)
    await machine.work("late", 8)
    first.cancel()

    assert turns_until("late", machine.done, since=before) <= 2 + 8 // (PATIENCE_TURNS - 1)


async def test_what_is_large_goes_on_however_many_small_ones_come() -> None:
    machine = Machine()
    large = asyncio.create_task(machine.work("large", 1_000))

    async def small() -> None:
        while True:
            await machine.work("small", 1)

    streams = [asyncio.create_task(small()) for _ in range(8)]
    await machine.has_done(400)

    # The longest wait is that for those who came before, each of them at the worst.
    assert machine.done.count("large") >= 400 // (PATIENCE_TURNS * (1 + len(streams)))
    for task in (large, *streams):
        task.cancel()


@pytest.mark.parametrize("rounds", range(6))
async def test_who_leaves_takes_no_turn_along(rounds: int) -> None:
    machine = Machine()
    tasks = [asyncio.create_task(machine.work(name, 9)) for name in "abc"]
    for _ in range(rounds):
        await asyncio.sleep(0)
    tasks[rounds % 3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    stayed = [name for name, task in zip("abc", tasks, strict=True) if not task.cancelled()]

    assert len(stayed) == 2
    assert all(machine.done.count(name) == 9 for name in stayed)
    await machine.work("d", 2)
    assert machine.done[-2:] == ["d", "d"]


async def test_behind_a_long_turn_nobody_has_one_for_a_share_of_its_time() -> None:
    clock, loop, seconds = Clock(), asyncio.get_running_loop(), 1 / 32
    async with Turns(seconds=seconds, clock=clock, worked=clock).task() as turn:
        clock.seconds += LONG_TURNS * seconds
        await turn.let_others()
        for turns in (LONG_TURNS, 2 * LONG_TURNS):
            clock.seconds += turns * seconds
            began = loop.time()
            await turn.let_others()

            assert loop.time() - began >= 0.99 * REST_SHARE * turns * seconds


async def test_who_fails_gives_its_turn_back() -> None:
    turns = Turns(seconds=1)
    with pytest.raises(ValueError, match="wrong"):
        async with turns.task():
            raise ValueError("wrong")

    async with asyncio.timeout(5), turns.task():
        pass


def test_a_turn_is_over_when_its_time_is_and_many_steps_cost_one_look_at_the_clock() -> None:
    clock = Clock()
    turn = Turn(seconds=1, clock=clock)
    early = [turn.is_over() for _ in range(100)]
    clock.seconds = 1

    assert not any(early)
    assert any(turn.is_over() for _ in range(16))
    assert not turn.is_over(LOOK_BYTES)


@pytest.mark.parametrize(("size", "is_beside"), [(JOINED_BYTES, False), (JOINED_BYTES + 1, True)])
async def test_what_is_large_is_joined_in_a_thread(size: int, *, is_beside: bool) -> None:
    seen: list[int] = []

    def join() -> bytes:
        seen.append(get_ident())
        return b"".join([b"a", b"b"])

    assert await joined(join, size) == b"ab"
    assert (seen != [get_ident()]) is is_beside


@pytest.mark.parametrize("size", [0, JOINED_BYTES, JOINED_BYTES + 1, 8 * JOINED_BYTES])
async def test_behind_a_large_message_that_was_read_others_have_a_share_of_its_time(
    size: int,
) -> None:
    loop = asyncio.get_running_loop()
    others: list[int] = []
    loop.call_soon(others.append, 1)
    began = loop.time()

    await rest_behind_reading(size)

    is_large = size > JOINED_BYTES
    assert bool(others) is is_large
    assert loop.time() - began >= is_large * 0.99 * REST_SHARE * READ_SECONDS_A_BYTE * size


async def test_of_a_long_list_some_are_let_go_of_with_each_turn() -> None:
    objects = [object() for _ in range(10_000)]
    lengths: list[int] = []

    async def look() -> None:
        while True:
            lengths.append(len(objects))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    async with Turns(seconds=0).task() as turn:
        await let_go(objects, turn)
    looking.cancel()

    assert objects == []
    assert len({*lengths}) >= 9
