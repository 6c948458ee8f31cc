"""The texts that wait for a worker, each with everybody who wants it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otel_embedder.errors import EmbeddingError

if TYPE_CHECKING:
    import asyncio

    from otel_embedder.embedder.embedding import Embedding


@dataclass(slots=True, eq=False)
class Entry:
    """A wanted text, and everybody who waits for it.

    Attributes:
        content: the text.
        queued_at: since when it is wanted, in the event loop's time.
        waiters: what those who want it wait for.
        outcome: what became of it, None as long as that is open.

    """

    content: str
    queued_at: float
    waiters: list[asyncio.Future[Embedding]] = field(default_factory=list)
    outcome: Embedding | EmbeddingError | None = None

    def is_wanted(self) -> bool:
        """Tell whether somebody still waits."""
        return any(not waiter.done() for waiter in self.waiters)

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


class Waiting:
    """A queue of distinct texts, of which the urgent ones go first.

    Nothing here is a search: a text that becomes urgent, or that nobody wants
    any more, is taken out of the middle by its content.
    """

    def __init__(self) -> None:
        self._urgent: OrderedDict[str, Entry] = OrderedDict()
        self._others: OrderedDict[str, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    def add(self, entry: Entry) -> None:
        """Let a text wait, behind all others."""
        self._others[entry.content] = entry

    def hasten(self, content: str) -> None:
        """Let a text that waits here go before all that are not urgent."""
        entry = self._others.pop(content, None)
        if entry is not None:
            self._urgent[content] = entry

    def take(self) -> Entry:
        """Take out the text whose turn it is.

        Raises:
            KeyError: none waits.

        """
        _, entry = (self._urgent or self._others).popitem(last=False)
        return entry

    def take_unwanted(self) -> list[Entry]:
        """Take out the texts that nobody wants any more."""
        return [
            queue.pop(entry.content)
            for queue in (self._urgent, self._others)
            for entry in list(queue.values())
            if not entry.is_wanted()
        ]

    def take_all(self) -> list[Entry]:
        """Take out whatever waits."""
        return [self.take() for _ in range(len(self))]
