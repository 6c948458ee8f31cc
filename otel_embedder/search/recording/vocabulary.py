"""The texts, rows and services that a recorder has seen, each by a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_embedder.search.counts import Integers
    from otel_embedder.search.entries import RowKey

Thing = TypeVar("Thing")

# Of a text that a service says: its place in tables and lists, besides its characters.
SAYING_BYTES = 600


class Sayings(NamedTuple):
    """Texts as services say them, by columns of shape (n,).

    Attributes:
        texts: numbers of their texts.
        rows: numbers of their rows.
        services: numbers of their services.

    """

    texts: Integers
    rows: Integers
    services: Integers


class Vocabulary:
    """Numbers what spans say.

    A *saying* is a text as a service says it: by its number a span's text, row and service are
    known.

    Attributes:
        texts: by their numbers.
        rows: by their numbers.
        services: by their numbers.
        size: about how many bytes all of it takes.

    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.texts: list[str] = []
        self.rows: list[RowKey] = []
        self.services: list[str] = []
        self.size = 0
        self._texts: dict[str, int] = {}
        self._rows: dict[RowKey, int] = {}
        self._services: dict[str, int] = {}
        self._known: dict[str, dict[str | None, int]] = {}
        self._sayings: list[tuple[int, int, int]] = []
        self._columns: Sayings | None = None

    def __len__(self) -> int:
        return len(self._sayings)

    def sayings(self, service: str) -> Mapping[str | None, int]:
        """Give the numbers of what a service says, by its texts."""
        return self._known.setdefault(service, {})

    def add(self, text: str, row: RowKey) -> int:
        """Give a number to a text that a row's service has not said before."""
        saying = len(self._sayings)
        self._columns = None
        self._sayings.append(
            (
                _number(text, self._texts, self.texts),
                _number(row, self._rows, self.rows),
                _number(row.service, self._services, self.services),
            )
        )
        self._known.setdefault(row.service, {})[text] = saying
        self.size += SAYING_BYTES + len(text) + sum(map(len, row))
        return saying

    def text(self, saying: int) -> str:
        """Give the text of a saying."""
        return self.texts[self._sayings[saying][0]]

    def columns(self) -> Sayings:
        """Give all sayings by columns."""
        # Asked for several times an interval, in which few come.
        if self._columns is None:
            self._columns = Sayings(*np.array(self._sayings, np.int64).reshape(-1, 3).T)
        return self._columns

    def only(self, sayings: Integers) -> Vocabulary:
        """Give one with only some sayings, which have numbers in this order."""
        smaller = Vocabulary()
        for saying in sayings.tolist():
            text, row, _ = self._sayings[saying]
            smaller.add(self.texts[text], self.rows[row])
        return smaller


def _number(thing: Thing, numbers: dict[Thing, int], things: list[Thing]) -> int:
    number = numbers.setdefault(thing, len(things))
    if number == len(things):
        things.append(thing)
    return number
