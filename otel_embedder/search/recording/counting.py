"""Recorded spans as what a store takes: counted by the minute of their start."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.counts import NOTHING, Counts, Table
from otel_embedder.search.entries import LAST_EXAMPLES, Example, Examples, SeenText
from otel_embedder.search.recording.trees import NOT_JOINED, cells, millidecades
from otel_embedder.search.times import MINUTE, NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_embedder.search.counts import Integers
    from otel_embedder.search.entries import Embedded, RowKey
    from otel_embedder.search.recording.columns import Recorded
    from otel_embedder.search.recording.trees import Flags, Trees
    from otel_embedder.search.recording.vocabulary import Vocabulary

# So many numbers a span are counted by adding up in their places; of more, those are sorted first.
FEW_NUMBERS = 8
STATUSES = ("UNSET", "OK", "ERROR")


class Counting:
    """Counts some of the spans that were recorded, and tells of what."""

    def __init__(self, spans: Recorded, trees: Trees, which: Flags, vocabulary: Vocabulary) -> None:
        """Prepare to count.

        Args:
            spans: those to count, and what of their trees is at hand.
            trees: of all of them.
            which: those to count, shape (n,).
            vocabulary: what they say.

        """
        self._spans = spans
        self._trees = trees
        self._vocabulary = vocabulary
        self._at = np.flatnonzero(which)
        self._text, self._row, self._service = (
            column.take(spans.sayings) for column in vocabulary.columns()
        )
        starts = spans.starts // (MINUTE * NANOSECONDS) * MINUTE
        counted = starts[self._at]
        # Most are of the same minute as the one before them.
        self._minutes = np.unique(counted[np.diff(counted, prepend=-1) != 0])
        # Of those to count alone; of the others it is any.
        self._minute = np.searchsorted(self._minutes, starts)
        self._calls = np.flatnonzero(self._is_call(which))

    def _is_call(self, which: Flags) -> Flags:
        """Tell which spans are children of one to count, and of another service."""
        parents = self._trees.parents
        is_other: Flags = self._service != self._service[parents]
        return is_other & (parents >= 0) & which[parents]

    @cached_property
    def _last(self) -> Integers:
        """The last children of those to count that have one."""
        last = self._trees.last_children[self._at]
        return last[last >= 0]

    @cached_property
    def _rows(self) -> Integers:
        return _distinct(self._row[np.concatenate([self._at, self._last])])

    @cached_property
    def _services(self) -> Integers:
        return _distinct(self._service[self._calls])

    @cached_property
    def _texts(self) -> Integers:
        return _distinct(self._text[self._at])

    def rows(self) -> list[RowKey]:
        """Give the rows that it speaks of."""
        return [self._vocabulary.rows[number] for number in self._rows.tolist()]

    def services(self) -> list[str]:
        """Give the services that it speaks of."""
        return [self._vocabulary.services[number] for number in self._services.tolist()]

    def counts(self) -> dict[int, Counts]:
        """Give the counts by the start of the minute, in seconds since 1970."""
        roots = self._at[self._spans.parents[self._at] == 0]
        begun = np.bincount(self._minute[roots], minlength=len(self._minutes)).tolist()
        parts = {name: self._parts(table) for name, table in self._tables().items()}
        return {
            start: Counts(
                begun[number],
                {name: tables[number] for name, tables in parts.items() if len(tables[number])},
            )
            for number, start in enumerate(self._minutes.tolist())
        }

    def _tables(self) -> dict[str, Table]:
        """Give each table, with minutes in front of its keys."""
        at, trees = self._at, self._trees
        row, text = _numbered(self._row, self._rows), _numbered(self._text, self._texts)
        timed = at[trees.self_times[at] >= 0]
        joined = at[trees.last_children[at] != NOT_JOINED]
        last = trees.last_children[joined]
        next_row = np.where(last >= 0, row[last], NOTHING)
        callers = trees.parents[self._calls]
        called = _numbered(self._service[self._calls], self._services)
        durations = self._spans.ends[at] - self._spans.starts[at]
        known = durations >= 0
        took = np.where(known, millidecades(durations), 0)
        return {
            "rows": self._table(at, row[at], values=[trees.own_errors[at]]),
            "times": self._table(timed, row[timed], cells(trees.self_times[timed])),
            "nexts": self._table(joined, row[joined], next_row),
            "calls": self._table(callers, row[callers], called),
            "texts": self._table(at, text[at], values=[known, took]),
        }

    def _table(
        self, at: Integers, *keys: Integers, values: Sequence[Flags | Integers] = ()
    ) -> Table:
        """Count spans, and add up values, by minute and keys."""
        columns = [self._minute[at], *keys]
        if not len(at):
            return Table(np.zeros((0, len(columns)), np.int64), np.zeros((0, 1), np.int64))
        least = [column.min() for column in columns]
        shape = [column.max() - low + 1 for column, low in zip(columns, least, strict=True)]
        number = _raveled(columns, least, shape)
        size = math.prod(map(int, shape))
        if size <= FEW_NUMBERS * len(at):
            found = np.arange(size)
        else:
            found, number = np.unique(number, return_inverse=True)
        spans = np.bincount(number, minlength=len(found))
        there = np.flatnonzero(spans)
        sums = [np.bincount(number, each, len(found))[there].astype(np.int64) for each in values]
        back = np.unravel_index(found[there], shape)
        return Table(np.stack(back, axis=1) + least, np.stack([spans[there], *sums], axis=1))

    def _parts(self, table: Table) -> list[Table]:
        """Give a table minute by minute."""
        ends = np.searchsorted(table.keys[:, 0], np.arange(1, len(self._minutes)))
        keys, values = np.split(table.keys[:, 1:], ends), np.split(table.values, ends)
        return [Table(*part) for part in zip(keys, values, strict=True)]

    def texts(self, vectors: Mapping[str, Embedded], text_version: str) -> Iterator[SeenText]:
        """Give the texts that it speaks of, with their examples.

        Args:
            vectors: what is known of them, by their words.
            text_version: of the texts.

        """
        spans, by_time = self._spans, self._by_text_and_time()
        ends = np.searchsorted(self._text[by_time], self._texts, side="right")
        begins = np.append(0, ends[:-1])
        # Of each text its first span, its last ones, and its slowest.
        last = np.maximum(ends[:, None] - np.arange(1, LAST_EXAMPLES + 1), begins[:, None])
        slowest = self._slowest(by_time, begins, ends)
        chosen = np.column_stack((by_time[begins], by_time[last], slowest))
        examples = self._examples(chosen.ravel())
        statuses = np.maximum.reduceat(spans.statuses[by_time], begins) if len(ends) else ends
        rows = np.searchsorted(self._rows, self._row[by_time[ends - 1]])
        for place, (number, row, status) in enumerate(
            zip(self._texts.tolist(), rows.tolist(), statuses.tolist(), strict=True)
        ):
            words = self._vocabulary.texts[number]
            some = examples[place * chosen.shape[1] :][: chosen.shape[1]]
            yield SeenText(
                words, text_version, row, STATUSES[status], Examples.of(*some), vectors.get(words)
            )

    def _by_text_and_time(self) -> Integers:
        """Give the spans to count by their texts, those of one by their start."""
        # Spans come about in the order of their starts, and to sort texts is a radix sort where
        # their numbers are small: together less than half of a lexsort.
        by_time = self._at[np.argsort(self._spans.starts[self._at], kind="stable")]
        small = np.min_scalar_type(len(self._vocabulary.texts))
        return by_time[np.argsort(self._text[by_time].astype(small), kind="stable")]

    def _slowest(self, at: Integers, begins: Integers, ends: Integers) -> Integers:
        """Give of each text the slowest span, of several the last one that came.

        Args:
            at: spans by their texts.
            begins: where those of each text begin.
            ends: where they end.

        """
        if not len(at):
            return at
        took = self._spans.ends[at] - self._spans.starts[at]
        most = np.repeat(np.maximum.reduceat(took, begins), ends - begins)
        slowest: Integers = np.maximum.reduceat(np.where(took == most, at, -1), begins)
        return slowest

    def _examples(self, positions: Integers) -> list[Example]:
        """Give spans as examples, all at once: to read arrays one by one takes longer."""
        spans = self._spans.at(positions)
        durations = spans.ends - spans.starts
        return [
            Example(*ids, start, duration if duration >= 0 else None)
            for ids, start, duration in zip(
                spans.all_ids(), spans.starts.tolist(), durations.tolist(), strict=True
            )
        ]


def _raveled(
    columns: Sequence[Integers], least: Sequence[np.int64], shape: Sequence[np.int64]
) -> Integers:
    """Give one number for those in the same row, as `np.ravel_multi_index` does of their places.

    In place, which takes a fifth of the time. Nobody looks whether there are too many numbers: none
    of three columns has more than there are spans at hand, which are two million.
    """
    first, *others = columns
    number = first - least[0]
    for column, low, size in zip(others, least[1:], shape[1:], strict=True):
        number *= size
        number += column
        number -= low
    return number


def _distinct(numbers: Integers) -> Integers:
    """Give the different ones of small numbers, sorted; of such `np.unique` takes longer."""
    return np.flatnonzero(np.bincount(numbers))


def _numbered(numbers: Integers, some: Integers) -> Integers:
    """Give the numbers that those have, from 1 on, which are among some; of the others 0."""
    if not len(numbers):
        return numbers
    places = np.zeros(int(numbers.max()) + 1, np.int64)
    places[some] = np.arange(1, len(some) + 1)
    return places[numbers]
