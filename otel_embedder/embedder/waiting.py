"""The texts that wait for a worker, each with everybody who wants it.

Whoever asks for few gets them soon, however many another asks for: parties take turns, text by
text. Whoever waits goes before those who have gone on without their vectors, and where there is no
room, who has asked for most gives some of it up.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.errors import EmbeddingError, QueueFullError

if TYPE_CHECKING:
    import asyncio

    from otel_embedder.embedder.embedding import Embedding, WantedText

# So many urgent texts in a row go before one that is not, where both wait: urgent texts without end
# leave the others a quarter.
MAX_URGENT_IN_A_ROW = 3


@dataclass(slots=True, eq=False)
class Entry:
    """A wanted text, and everybody who waits for it.

    Attributes:
        content: the text.
        queued_at: since when it is wanted, in the event loop's time.
        waiters: what those who want it wait for.
        places: how many of these have a place in a line.
        is_queued: whether it still waits for a worker.
        outcome: what became of it, None as long as that is open.

    """

    content: str
    queued_at: float
    waiters: list[asyncio.Future[Embedding]] = field(default_factory=list)
    places: int = 0
    is_queued: bool = True
    outcome: Embedding | EmbeddingError | None = None

    def add(self, waiter: asyncio.Future[Embedding]) -> None:
        """Let one more wait, if only for what is known already."""
        self.waiters.append(waiter)
        if self.outcome is not None:
            _settle(waiter, self.outcome)

    def settle(self, outcome: Embedding | EmbeddingError) -> None:
        """Tell all what became of it."""
        self.outcome = outcome
        for waiter in self.waiters:
            if not waiter.done():
                _settle(waiter, outcome)


def _settle(waiter: asyncio.Future[Embedding], outcome: Embedding | EmbeddingError) -> None:
    if isinstance(outcome, EmbeddingError):
        waiter.set_exception(outcome)
    else:
        waiter.set_result(outcome)


class Place(NamedTuple):
    """A text in a line, and for whom."""

    entry: Entry
    waiter: asyncio.Future[Embedding]

    def is_void(self) -> bool:
        """Tell whether the text has been taken out, or is not wanted here any more."""
        return not self.entry.is_queued or self.waiter.done()


class Line:
    """A party's texts of one urgency, in the order that they came."""

    __slots__ = ("is_queued", "places", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.places: deque[Place] = deque()
        self.is_queued = False


class Party:
    """Whoever asks for texts, in one call or in several: a request, as against all others."""

    __slots__ = ("_others", "_urgent", "refusal", "until")

    def __init__(self, *, until: float = math.inf) -> None:
        """Take note of how long it waits.

        Args:
            until: the event loop's time at which it goes on without what it has not got.

        """
        self.until = until
        # What its texts get for which there is no room.
        self.refusal: asyncio.Future[Embedding] | None = None
        self._urgent: Line | None = None
        self._others: Line | None = None

    def line(self, *, urgent: bool) -> Line:
        """Give where its urgent texts stand, or the others."""
        if urgent:
            self._urgent = self._urgent or Line(self.until)
            return self._urgent
        self._others = self._others or Line(self.until)
        return self._others


class Waiting:
    """A queue of distinct texts, in which parties take turns.

    Of four texts three are urgent and one is not, where both wait; parties whose time is over come
    last. Nothing here is a search through texts: one that several parties want has a place with
    each, and whichever comes first voids the others.
    """

    def __init__(self, *, max_texts: int) -> None:
        self._max_texts = max_texts
        self._entries: dict[str, Entry] = {}
        self._urgent: deque[Line] = deque()
        self._others: deque[Line] = deque()
        self._late: deque[Line] = deque()
        self._urgent_in_a_row = 0
        # Where nobody was looked for yet, or all have got shorter.
        self._longest = Line(math.inf)

    def __len__(self) -> int:
        return len(self._entries)

    def add(
        self, text: WantedText, waiter: asyncio.Future[Embedding], party: Party, now: float
    ) -> bool:
        """Let a text wait for a worker; tell whether there was room for it.

        Args:
            text: the text, which may wait already for somebody else.
            waiter: is told what became of it.
            party: who asks.
            now: the event loop's time.

        """
        line = party.line(urgent=text.urgent)
        entry = self._entries.get(text.content)
        if entry is None:
            if party.refusal is not None or not self._has_room(line, now):
                return False
            entry = self._entries[text.content] = Entry(text.content, now)
        entry.add(waiter)
        entry.places += 1
        line.places.append(Place(entry, waiter))
        if not line.is_queued:
            line.is_queued = True
            (self._urgent if text.urgent else self._others).append(line)
        return True

    def take(self, now: float) -> Entry | None:
        """Take out the text whose turn it is, None if nobody wants any."""
        turns = self._turns(now)
        if not turns:
            return None
        line = turns.popleft()
        turns.append(line)
        entry = line.places.popleft().entry
        self._take_out(entry)
        return entry

    def take_all(self) -> list[Entry]:
        """Take out whatever waits."""
        entries = [*self._entries.values()]
        for entry in entries:
            self._take_out(entry)
        return entries

    def _turns(self, now: float) -> deque[Line]:
        """Give those whose turn it is, the next one first; nobody, if nobody wants anything."""
        self._next(self._urgent, now)
        self._next(self._others, now)
        if self._urgent and (self._urgent_in_a_row < MAX_URGENT_IN_A_ROW or not self._others):
            self._urgent_in_a_row += 1
            return self._urgent
        self._urgent_in_a_row = 0
        if not self._others:
            self._next(self._late, -math.inf)
        return self._others or self._late

    def _next(self, turns: deque[Line], now: float) -> None:
        """Let a line come first of which a text can be taken."""
        while turns:
            line = turns[0]
            while line.places and line.places[0].is_void():
                self._void(line.places.popleft())
            if not line.places:
                turns.popleft().is_queued = False
            elif line.until <= now:
                self._late.append(turns.popleft())
            else:
                return

    def _has_room(self, line: Line, now: float) -> bool:
        """Tell whether there is room for one more of a line's texts, if need be made by another."""
        has_looked = False
        while len(self._entries) >= self._max_texts:
            self._next(self._late, -math.inf)
            if self._late:
                self._void(self._late[0].places.pop())
            elif len(self._longest.places) > len(line.places) + 1 and line.until > now:
                self._void(self._longest.places.pop())
            elif has_looked:
                return False
            else:
                self._longest, has_looked = self._look_through(now), True
        return True

    def _look_through(self, now: float) -> Line:
        """Give the longest line, once those who have left are gone and the late are apart."""
        longest = Line(math.inf)
        for turns in (self._urgent, self._others):
            for _ in range(len(turns)):
                line = turns.popleft()
                while line.places and line.places[-1].is_void():
                    self._void(line.places.pop())
                (self._late if line.until <= now else turns).append(line)
                if len(line.places) > len(longest.places):
                    longest = line
        return longest

    def _void(self, place: Place) -> None:
        """Let a text go that has lost a place, if it was the last one.

        Whoever still waits for it had given up a place before, while others wanted it as well.
        """
        entry = place.entry
        entry.places -= 1
        if not entry.places and entry.is_queued:
            self._take_out(entry)
            entry.settle(refusal(self._max_texts))

    def _take_out(self, entry: Entry) -> None:
        entry.is_queued = False
        del self._entries[entry.content]


def refusal(max_texts: int) -> QueueFullError:
    """Give what a text gets for which there is no room."""
    return QueueFullError(f"{max_texts} texts wait for the model already")
