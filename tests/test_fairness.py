from __future__ import annotations

import asyncio

from otel_embedder.fairness import Floor


async def test_of_long_loops_one_works_at_a_time_and_each_in_turn() -> None:
    floor = Floor()
    order: list[str] = []

    async def work(name: str) -> None:
        with floor.job() as job:
            for _ in range(3):
                order.append(name)
                await job.rest()

    await asyncio.gather(*map(work, "abc"))

    # The first turn waits for nobody.
    assert order == [*"abc", *"abc", *"abc"]


async def test_between_two_turns_of_long_loops_others_go_on() -> None:
    floor = Floor()
    steps: list[str] = []

    async def work(name: str, turns: int) -> None:
        with floor.job() as job:
            for _ in range(turns):
                steps.append(name)
                await job.rest()

    async def others() -> None:
        for _ in range(20):
            steps.append("-")
            await asyncio.sleep(0)

    await asyncio.gather(work("a", 5), work("b", 5), others())

    after_the_first = "".join(steps[3:])
    assert "ab" not in after_the_first
    assert "ba" not in after_the_first


async def test_a_loop_that_ends_within_its_turn_leaves_the_floor() -> None:
    floor = Floor()
    with floor.job() as first:
        await first.rest()
        waiting = asyncio.create_task(resting(floor))
        await asyncio.sleep(0)
    await asyncio.wait_for(waiting, 10)


async def resting(floor: Floor) -> None:
    with floor.job() as job:
        await job.rest()
