from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.embedder.embedding import WantedText
from otel_embedder.embedder.waiting import MAX_URGENT_IN_A_ROW, Party, Waiting
from otel_embedder.errors import QueueFullError
from tests.support.fakes import errors_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_embedder.embedder.embedding import Embedding

NOW = 100.0


class Queue:
    """A queue, and what those who ask wait for."""

    def __init__(self, *, max_texts: int = 1_000) -> None:
        self.waiting = Waiting(max_texts=max_texts)

    def ask(
        self,
        contents: Iterable[str],
        *,
        party: Party | None = None,
        urgent: bool = False,
        now: float = NOW,
    ) -> list[asyncio.Future[Embedding] | None]:
        """Ask for texts; give what is waited for, None where there was no room."""
        party = party or Party()
        return [self._ask(WantedText(content, urgent), party, now) for content in contents]

    def _ask(self, text: WantedText, party: Party, now: float) -> asyncio.Future[Embedding] | None:
        future: asyncio.Future[Embedding] = asyncio.get_running_loop().create_future()
        return future if self.waiting.add(text, future, party, now) else None

    def take(self, texts: int, *, now: float = NOW) -> str:
        """Give the texts whose turn it is; what was taken is not to be had again."""
        taken = [self.waiting.take(now) for _ in range(texts)]
        return "".join(entry.content if entry else "-" for entry in taken)


async def test_parties_take_turns() -> None:
    queue = Queue()
    for contents in ("abcd", "x", "123"):
        queue.ask(contents)

    assert queue.take(9) == "ax1b2c3d-"
    assert len(queue.waiting) == 0


async def test_who_comes_later_need_not_wait_for_those_who_have_had_turns() -> None:
    queue = Queue()
    queue.ask("abcdef")
    first = queue.take(2)
    queue.ask("xy")

    assert (first, queue.take(6)) == ("ab", "cxdyef")


async def test_of_four_texts_three_are_urgent_and_one_is_not() -> None:
    queue = Queue()
    queue.ask("abcd")
    queue.ask("1234567", urgent=True)

    assert MAX_URGENT_IN_A_ROW == 3
    assert queue.take(11) == "123a456b7cd"


async def test_urgent_texts_alone_need_not_wait_for_anything() -> None:
    queue = Queue()
    queue.ask("12345", urgent=True)
    taken = queue.take(5)
    queue.ask("ab")
    queue.ask("678", urgent=True)

    assert (taken, queue.take(5)) == ("12345", "a678b")


async def test_urgent_parties_take_turns_as_well() -> None:
    queue = Queue()
    queue.ask("123", urgent=True)
    queue.ask("789", urgent=True)

    assert queue.take(6) == "172839"


async def test_one_party_may_have_texts_of_both_kinds() -> None:
    queue = Queue()
    party = Party()
    queue.ask("ab", party=party)
    queue.ask("12", party=party, urgent=True)
    queue.ask("xy")

    assert queue.take(6) == "12axby"


async def test_a_text_of_two_parties_comes_when_the_first_of_them_has_its_turn() -> None:
    queue = Queue()
    queue.ask("abcz")
    [mine] = queue.ask("z")
    size = len(queue.waiting)

    assert size == 4
    assert queue.take(5) == "azbc-"
    assert mine is not None


async def test_a_text_that_becomes_urgent_is_taken_once() -> None:
    queue = Queue()
    queue.ask("abc")
    queue.ask("c", urgent=True)

    assert queue.take(4) == "cab-"


async def test_who_has_gone_on_comes_last() -> None:
    queue = Queue()
    queue.ask("abc", party=Party(until=NOW))
    queue.ask("123", party=Party(until=NOW), urgent=True)
    queue.ask("xy", party=Party(until=NOW + 1))

    assert queue.take(2) == "xy"
    assert sorted(queue.take(7)) == sorted("123abc-")


async def test_who_has_gone_on_still_gets_turns_among_themselves() -> None:
    queue = Queue()
    queue.ask("abc", party=Party(until=NOW + 1))
    queue.ask("xy", party=Party(until=NOW + 1))

    assert queue.take(5, now=NOW + 2) == "axbyc"


async def test_a_text_of_somebody_who_has_gone_on_moves_up_if_another_waits_for_it() -> None:
    queue = Queue()
    queue.ask("abc", party=Party(until=NOW))
    queue.ask("x")
    queue.ask("c")

    assert queue.take(4) == "xcab"


async def test_what_nobody_wants_any_more_is_not_taken() -> None:
    queue = Queue()
    left = queue.ask("abc")
    [stays] = queue.ask("b")
    for future in left:
        assert future
        future.cancel()

    assert queue.take(2) == "b-"
    assert stays is not None
    assert len(queue.waiting) == 0


async def test_where_there_is_no_room_who_asked_for_most_gives_up_its_last() -> None:
    queue = Queue(max_texts=6)
    many = queue.ask("abcdefgh")
    few = queue.ask("xy")

    assert [future is not None for future in many] == [True] * 6 + [False] * 2
    assert errors_of([future for future in many if future and future.done()]) == [
        QueueFullError,
        QueueFullError,
    ]
    assert None not in few
    assert len(queue.waiting) == 6
    assert queue.take(7) == "axbycd-"


async def test_equal_parties_do_not_push_each_other_out() -> None:
    queue = Queue(max_texts=4)
    first, second, third = queue.ask("ab"), queue.ask("cd"), queue.ask("efg")

    assert None not in [*first, *second]
    # One is what everybody could have.
    assert [future is not None for future in third] == [True, False, False]
    assert len(queue.waiting) == 4


async def test_a_text_that_another_wants_is_not_given_up() -> None:
    queue = Queue(max_texts=4)
    first = queue.ask("abcd")
    queue.ask("d")
    queue.ask("x")

    assert queue.take(5) == "adxb-"
    assert first[3]
    assert not first[3].done()


async def test_who_has_gone_on_gives_up_its_texts_before_anybody_who_waits() -> None:
    queue = Queue(max_texts=4)
    late = queue.ask("a", party=Party(until=NOW))
    queue.ask("bcd")
    queue.ask("x")

    assert late[0]
    assert isinstance(late[0].exception(), QueueFullError)
    assert queue.take(5) == "bxcd-"


async def test_who_has_gone_on_pushes_nobody_out() -> None:
    queue = Queue(max_texts=3)
    queue.ask("abc")

    assert queue.ask("x", party=Party(until=NOW)) == [None]


async def test_who_has_left_gives_up_everything() -> None:
    queue = Queue(max_texts=4)
    for future in queue.ask("abc"):
        assert future
        future.cancel()
    queue.ask("x")
    full = len(queue.waiting)
    queue.ask("y")

    assert (full, len(queue.waiting)) == (4, 2)
    assert queue.take(3) == "xy-"


async def test_who_gave_up_a_text_hears_of_it_when_the_others_leave_who_wanted_it() -> None:
    queue = Queue(max_texts=4)
    [other] = queue.ask("a")
    *_, given_up = queue.ask("bcda")
    queue.ask("x")  # gets the place of "d", and with it that of "a" goes
    assert other
    assert given_up
    waits_on = not given_up.done()
    other.cancel()

    assert queue.take(4) == "bxc-"
    assert waits_on
    assert isinstance(given_up.exception(), QueueFullError)


async def test_all_that_waits_can_be_taken_at_once() -> None:
    queue = Queue()
    queue.ask("abc")
    queue.ask("12", urgent=True)

    assert sorted(entry.content for entry in queue.waiting.take_all()) == sorted("abc12")
    assert len(queue.waiting) == 0
    assert queue.take(1) == "-"


MAX_TEXTS = 5
CONTENTS = st.sampled_from("abcdefghij")
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 3), CONTENTS, st.booleans()),
    st.tuples(st.just("leave"), st.integers(0, 30)),
    st.tuples(st.just("take")),
    st.tuples(st.just("time")),
)


@dataclass
class Story:
    """What was asked of a queue, step by step, and what must hold after each."""

    queue: Queue = field(default_factory=lambda: Queue(max_texts=MAX_TEXTS))
    now: float = NOW
    waiters: list[tuple[str, asyncio.Future[Embedding]]] = field(default_factory=list)
    parties: list[Party] = field(default_factory=lambda: [Party(until=NOW + n) for n in range(4)])

    def step(self, kind: str, *how: object) -> None:
        match kind, *how:
            case "ask", int(party), str(content), bool(urgent):
                [future] = self.queue.ask(
                    content, party=self.parties[party], urgent=urgent, now=self.now
                )
                if future is not None:
                    self.waiters.append((content, future))
            case "leave", int(number) if number < len(self.waiters):
                self.waiters[number][1].cancel()
            case ("take",):
                self.take()
            case ("time",):
                self.now += 1

    def take(self) -> str | None:
        entry = self.queue.waiting.take(self.now)
        if entry is None:
            return None
        assert any(
            not future.done() for content, future in self.waiters if content == entry.content
        )
        entry.settle(QueueFullError("done with"))
        return entry.content

    def wanted(self) -> set[str]:
        return {content for content, future in self.waiters if not future.done()}


@given(st.lists(STEPS, max_size=60))
def test_nothing_is_lost_and_nothing_taken_that_nobody_wants(
    steps: list[tuple[str, *tuple[object, ...]]],
) -> None:
    async def told() -> None:
        story = Story()
        for step in steps:
            story.step(*step)
            size = len(story.queue.waiting)
            assert len(story.wanted()) <= size <= MAX_TEXTS
        wanted = story.wanted()
        story.now = math.inf
        taken = set()
        for _ in count():
            content = story.take()
            if content is None:
                break
            taken.add(content)
        assert taken <= wanted
        assert len(story.queue.waiting) == 0
        # Who gave up a place hears of it once those have left who wanted the text as well.
        for content, future in story.waiters:
            if content in wanted - taken:
                assert future.cancelled() or "wait for the model" in str(future.exception())
        # Each has heard of it.
        for _, future in story.waiters:
            assert future.cancelled() or future.exception()

    asyncio.run(told())
