"""Long loops that leave others their turn.

A loop that runs beside no other of its kind lets go of the event loop now and then
(`Turn`). Where many may run beside each other, whoever waits for the event loop would
wait for a turn of each: these take one turn at a time, all together (`Turns`). A sidecar
has one `Turns` for all that it does at length: of several kinds each would take its own, and a
health check, which goes round the event loop some eight times, would wait for eight of each.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Freed = TypeVar("Freed")

# For so long a loop may keep the event loop from others: health checks, answers. With each round of
# the event loop gRPC takes one call in: where a round took 12 ms, 60 calls a second were too many.
TURN_SECONDS = 0.002

# To ask the clock costs as much as a small step of work, such as a span of so many bytes.
STEP_BYTES = 512
LOOK_BYTES = 32 * STEP_BYTES

# A turn has some length, where only its number of steps is bounded.
LEAST_SECONDS = 1e-6

# A step that can't be cut, such as a span of a rare shape, may take 20 ms. Whoever goes round the
# event loop eight times would wait for eight of these: so behind a turn of so many, but a task's
# first one, nobody has a turn for a share of the time that it took. A health check needs some
# milliseconds.
LONG_TURNS = 4
REST_SHARE = 1 / 8

# To join so many bytes takes some milliseconds, most of them for memory that is new.
JOINED_BYTES = 8 * 1024 * 1024

# gRPC copies a message several times in one step, to hand it over: 60 MB in 50 ms.
READ_SECONDS_A_BYTE = 0.8e-9

# To free so many objects takes a tenth of a millisecond.
FREED = 1_024

# Of so many turns one goes to whoever has waited longest, however much it has had.
PATIENCE_TURNS = 4


async def joined(join: Callable[[], bytes], size: int) -> bytes:
    """Give what `join` does; where it is large from a thread, since Python joins beside others.

    Args:
        join: joins pieces that are `bytes`: of others Python would let nobody go first.
        size: how many bytes they have at most.

    """
    return await asyncio.to_thread(join) if size > JOINED_BYTES else join()


async def rest_behind_reading(size: int) -> None:
    """Rest behind a message that gRPC has read, if it is large.

    Whoever has waited for that would else wait for what is done with the message next as well.

    Args:
        size: its bytes.

    """
    if size > JOINED_BYTES:
        await asyncio.sleep(REST_SHARE * READ_SECONDS_A_BYTE * size)


class Turn:
    """Tells a long loop on the event loop when it has had its share of time.

    ::

        turn = Turn(seconds=TURN_SECONDS)
        for span in spans:
            ...
            if turn.is_over(len(span)):
                await asyncio.sleep(0)
    """

    __slots__ = ("_bytes", "_clock", "_end", "_seconds")

    def __init__(self, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._bytes = 0
        self._end = clock() + seconds

    def is_over(self, size: int = STEP_BYTES) -> bool:
        """Count a step; tell whether to let others go first, and if so begin a new turn.

        Args:
            size: the bytes that the step had to do with, if they may be many.

        """
        self._bytes += STEP_BYTES + size
        if self._bytes < LOOK_BYTES:
            return False
        self._bytes = 0
        now = self._clock()
        if now < self._end:
            return False
        self._end = now + self._seconds
        return True


class Turns:
    """The turns of tasks that run beside each other, of which one has its turn at a time.

    The next turn is for the task that has had the least time so far, in classes of a factor
    of four; so what is small goes in between whatever is large. Within a class it is for the
    one that came first: else all that are alike would be done late together. Of
    PATIENCE_TURNS one is for the task that has waited longest, so nobody waits for ever. The
    event loop goes round between any two, and behind a long one for as long as others may need.

    ::

        turns = Turns()
        async with turns.task() as turn:
            for span in spans:
                ...
                if turn.is_over(len(span)):
                    await turn.let_others()
    """

    def __init__(
        self,
        *,
        seconds: float = TURN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        """Begin without a task.

        Args:
            seconds: how long a turn is.
            clock: tells the time, in seconds.
            worked: tells for how many seconds the event loop's thread has had the CPU. A machine
                with much else to do makes turns long as well, and a rest then is of no use.

        """
        self._seconds = seconds
        self._clock = clock
        self._worked = worked
        self._is_taken = False
        self._given = 0
        self._tasks = 0
        # Whoever has waited longest is the first.
        self._waiting: list[_Waiting] = []

    def task(self) -> SharedTurn:
        """Give the turns of a task that has had none yet."""
        self._tasks += 1
        return SharedTurn(
            self, self._tasks, seconds=self._seconds, clock=self._clock, worked=self._worked
        )

    def take_free(self) -> bool:
        """Take the turn if nobody has it, and tell whether it was so."""
        is_free = not self._is_taken
        self._is_taken = True
        return is_free

    async def take(self, task: SharedTurn) -> None:
        """Wait for a turn, which somebody else has."""
        await self._wait(self._queued(task))

    async def take_next(self, task: SharedTurn, *, rest: float) -> None:
        """Give the turn back and wait for the next; the event loop goes round before that.

        Args:
            task: which had it, and wants another.
            rest: seconds for which nobody is to have one.

        """
        waiting = self._queued(task)
        loop = asyncio.get_running_loop()
        if rest:
            loop.call_later(rest, self.give_back)
        else:
            loop.call_soon(self.give_back)
        await self._wait(waiting)

    def give_back(self) -> None:
        """Let the next task have its turn."""
        if not self._waiting:
            self._is_taken = False
            return
        self._waiting = [each for each in self._waiting if not each.begins.cancelled()]
        self._is_taken = bool(self._waiting)
        if self._waiting:
            waiting = self._next()
            self._waiting.remove(waiting)
            waiting.begins.set_result(None)

    def _queued(self, task: SharedTurn) -> _Waiting:
        waiting = _Waiting(task, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        return waiting

    async def _wait(self, waiting: _Waiting) -> None:
        try:
            await waiting.begins
        except asyncio.CancelledError:
            if not waiting.begins.cancelled():  # it was given its turn as it left
                self.give_back()
            raise

    def _next(self) -> _Waiting:
        self._given += 1
        if self._given % PATIENCE_TURNS == 0:
            return self._waiting[0]
        return min(self._waiting, key=lambda waiting: waiting.task.rank())


class SharedTurn(Turn):
    """A task's turns; within `async with` it has one, or waits for the next."""

    __slots__ = ("_began", "_had", "_number", "_turns", "_was_long", "_worked", "_worked_before")

    def __init__(
        self,
        turns: Turns,
        number: int,
        *,
        seconds: float,
        clock: Callable[[], float],
        worked: Callable[[], float],
    ) -> None:
        """Begin with no time had.

        Args:
            turns: where it gets them from.
            number: how many tasks there were when it came.
            seconds: how long a turn is.
            clock: tells the time, in seconds.
            worked: tells for how many of them the event loop's thread has had the CPU.

        """
        super().__init__(seconds=seconds, clock=clock)
        self._worked = worked
        # Its thread's time as the turn began: to ask costs some microseconds, so it is known only
        # behind a turn that was long by the clock.
        self._worked_before: float | None = None
        self._was_long = False
        self._turns = turns
        self._number = number
        self._had = 0.0
        self._began: float | None = None

    async def __aenter__(self) -> Self:
        if not self._turns.take_free():
            await self._turns.take(self)
        self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._began is not None:  # else it was cancelled while it waited
            self._ended()
            self._turns.give_back()

    async def let_others(self) -> None:
        """Let others have their turns, before the next of this task."""
        await self._turns.take_next(self, rest=self._ended())
        self._begin()

    def rank(self) -> tuple[int, int]:
        """Give what is least for the task that is to have the next turn."""
        turns = int(self._had / max(self._seconds, LEAST_SECONDS))
        return turns.bit_length() // 2, self._number

    def _begin(self) -> None:
        self._began = self._clock()
        self._end = self._began + self._seconds
        self._worked_before = self._worked() if self._was_long else None

    def _ended(self) -> float:
        """Note that a turn has ended; give the seconds for which nobody is to have the next."""
        if self._began is None:
            return 0.0
        seconds = self._clock() - self._began
        self._began = None
        self._had += seconds
        self._was_long = seconds >= LONG_TURNS * self._seconds
        if not self._was_long or self._worked_before is None:
            return 0.0
        worked = self._worked() - self._worked_before
        return REST_SHARE * worked if worked >= LONG_TURNS * self._seconds else 0.0


async def let_go(objects: list[Freed], turn: SharedTurn) -> None:
    """Free what a list holds, piece by piece: to free all of a large request's takes 40 ms.

    Args:
        objects: the list, which is empty then. Whoever else has it has nothing, either.
        turn: of whoever lets go.

    """
    while objects:
        del objects[-FREED:]
        if turn.is_over(LOOK_BYTES):
            await turn.let_others()


class _Waiting(NamedTuple):
    """A task that waits, and what its turn begins with."""

    task: SharedTurn
    begins: asyncio.Future[None]
