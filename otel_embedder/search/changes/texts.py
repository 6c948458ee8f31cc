"""How the spans of a row read in some time, with examples of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.search.asking.examples import found_example
from otel_embedder.search.changes.answers import Alike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_embedder.search.asking.answers import FoundExample
    from otel_embedder.search.asking.held import Held
    from otel_embedder.search.entries import Entry, Example, RowKey
    from otel_embedder.search.links import TraceLink
    from otel_embedder.search.store import Store

MOST_TEXTS = 100  # of a row are looked at, those seen last
MOST_EXAMPLES = 3
MOST_ALIKE = 3
ERROR = "ERROR"


class Shown(NamedTuple):
    """What shows a row in some time.

    Attributes:
        entry: the text that shows it best; None if none is left.
        examples: some spans, each of another trace.

    """

    entry: Entry | None
    examples: tuple[FoundExample, ...]


class Texts:
    """The texts of a store, as long as what is held of it is not changed."""

    def __init__(
        self, store: Store, held: Held, link: TraceLink, *, text_id: Callable[[Entry], str]
    ) -> None:
        """Prepare to look.

        Args:
            store: keeps them.
            held: of the same store, as it is now.
            link: makes the links of examples.
            text_id: gives the id by which a text can be asked for.

        """
        self._store = store
        self._held = held
        self._link = link
        self._text_id = text_id

    @cached_property
    def _numbers(self) -> dict[RowKey, int]:
        return {row: number for number, row in self._held.rows.items()}

    def shown(self, row: RowKey, since: int, until: int, *, is_ordinary: bool) -> Shown:
        """Give what shows a row in some time.

        Args:
            row: which.
            since: nanoseconds since 1970.
            until: the same.
            is_ordinary: whether all was well then: the latest come first, and not what failed, or
                took longest.

        Raises:
            StoreError: the catalogue can't be read.

        """
        number = self._numbers.get(row)
        if number is None:
            return Shown(None, ())
        keys = self._held.texts_of(number, since, until)[:MOST_TEXTS]
        found = [*self._examples(keys.tolist(), since, until)]
        worth = _ordinary if is_ordinary else _showing
        found.sort(key=lambda each: worth(*each), reverse=True)
        by_trace = {example.trace_id: example for _, example in reversed(found)}
        first = dict.fromkeys(example.trace_id for _, example in found)
        return Shown(
            found[0][0] if found else None,
            tuple(found_example(by_trace[each], self._link) for each in [*first][:MOST_EXAMPLES]),
        )

    def _examples(
        self, keys: Sequence[int], since: int, until: int
    ) -> Iterator[tuple[Entry, Example]]:
        for entry in self._store.entries(keys):
            for example in dict.fromkeys(entry.examples.all()):
                if since <= example.time < until:
                    yield entry, example

    def alike(self, entry: Entry) -> tuple[Alike, ...]:
        """Give the texts of other rows that read like one; none if it has no vector to compare.

        Raises:
            StoreError: the catalogue can't be read.

        """
        vector = self._store.vector(entry.key)
        if vector is None or not self._held.is_comparable(entry.key):
            return ()
        nearest = dict(self._held.nearest(vector, MOST_ALIKE, other_than=entry.row))
        rows = self._held.rows
        return tuple(
            Alike(
                nearest[each.key],
                rows[each.row].service,
                rows[each.row].operation,
                each.words,
                self._text_id(each),
            )
            for each in self._store.entries(nearest)
            if each.row in rows
        )


def _showing(entry: Entry, example: Example) -> tuple[bool, int, int]:
    return entry.status == ERROR, example.duration or 0, example.time


def _ordinary(entry: Entry, example: Example) -> tuple[bool, int]:
    return entry.status != ERROR, example.time
