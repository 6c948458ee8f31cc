"""How often what was seen: sparse tables of whole numbers that add up, packed as bytes.

A bucket is a minute, an hour or a day. Whoever saw spans of it has a `Counts` of it, and the
sum over all who did is what is true. Keys in tables are positions in a batch's lists as long
as a batch is on its way, and the numbers that a store gave them from then on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Integers = npt.NDArray[np.int64]

# Of a table: its name, and the widths of its keys and values.
SHAPES = {
    # row -> spans, own errors (error spans without an error child)
    "rows": (1, 2),
    # row, cell of self time (see `trees.cell`) -> spans
    "times": (2, 1),
    # row, row of the child that started last (NOTHING: it has none) -> spans
    "nexts": (2, 1),
    # row, another service that it called -> children of that service
    "calls": (2, 1),
    # text -> spans, spans whose duration is known, sum of these ones' `millidecades`
    "texts": (1, 3),
    # group of failures -> traces that failed
    "groups": (1, 1),
}
# What the columns of its keys are numbers of.
KEYS = {
    "rows": ("row",),
    "times": ("row", "cell"),
    "nexts": ("row", "row"),
    "calls": ("row", "service"),
    "texts": ("text",),
    "groups": ("group",),
}
NOTHING = 0  # as a key: no row. Numbers that a store gives begin with 1.


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Whole numbers by keys.

    Attributes:
        keys: shape (n, width of a key), each once, sorted.
        values: shape (n, width of a value).

    """

    keys: Integers
    values: Integers

    @classmethod
    def of(cls, keys: Integers, values: Integers) -> Self:
        """Add up values by keys, which may come in any order and several times."""
        if not len(keys):
            return cls(keys, values)
        order = np.lexsort(keys.T[::-1])
        keys, values = keys[order], values[order]
        is_first = np.ones(len(keys), bool)
        is_first[1:] = (keys[1:] != keys[:-1]).any(axis=1)
        starts = np.flatnonzero(is_first)
        return cls(keys[starts], np.add.reduceat(values, starts, axis=0))

    @classmethod
    def empty(cls, name: str) -> Self:
        """Give a table of this name with nothing in it."""
        keys, values = SHAPES[name]
        return cls(np.zeros((0, keys), np.int64), np.zeros((0, values), np.int64))

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What was counted in a bucket.

    Attributes:
        roots: spans without a parent.
        tables: by the names of SHAPES; what has nothing in it may be missing.

    """

    roots: int = 0
    tables: dict[str, Table] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        """Give the table of a name."""
        return self.tables.get(name) or Table.empty(name)

    def check(self, sizes: Mapping[str, int]) -> None:
        """Refuse keys above what there is of their kind, by the words of KEYS.

        Raises:
            ValueError: says which table.

        """
        for name, table in self.tables.items():
            for column, kind in zip(table.keys.T, KEYS[name], strict=True):
                size = sizes.get(kind)
                if (
                    size is not None
                    and len(column)
                    and not 0 <= column.min() <= column.max() <= size
                ):
                    raise ValueError(f"the table {name} speaks of a {kind} that is not there")

    def numbered(self, numbers: Mapping[str, Integers]) -> Counts:
        """Give these with the store's numbers, by the words of KEYS, for positions in a batch."""
        return Counts(
            self.roots,
            {name: _numbered(name, table, numbers) for name, table in self.tables.items()},
        )

    def without(self, gone: Mapping[str, Integers]) -> Counts:
        """Give these without what speaks of the numbers that are gone, by the words of KEYS.

        The same object if nothing does.
        """
        tables = {name: _without(name, table, gone) for name, table in self.tables.items()}
        is_same = all(tables[name] is table for name, table in self.tables.items())
        return self if is_same else Counts(self.roots, tables)

    @classmethod
    def sum(cls, counts: Iterable[Counts]) -> Counts:
        """Add up."""
        known = list(counts)
        names = {name for each in known for name in each.tables}
        # Each by its own name alone: a newer release's tables are added up unknown.
        tables = {
            name: _sum([each.tables[name] for each in known if name in each.tables])
            for name in sorted(names)
        }
        return cls(sum(each.roots for each in known), tables)


def group_counts(traces: Mapping[int, int]) -> Counts:
    """Give counts of traces by the numbers of their groups."""
    keys = np.array([[number] for number in traces], np.int64).reshape(-1, 1)
    values = np.array([[count] for count in traces.values()], np.int64).reshape(-1, 1)
    return Counts(0, {"groups": Table.of(keys, values)})


def _sum(tables: list[Table]) -> Table:
    if len(tables) == 1:  # most minutes have one writer, and to sort costs more than all else
        return tables[0]
    keys = np.concatenate([each.keys for each in tables])
    return Table.of(keys, np.concatenate([each.values for each in tables]))


def _numbered(name: str, table: Table, numbers: Mapping[str, Integers]) -> Table:
    keys = table.keys.copy()
    for column, kind in zip(keys.T, KEYS[name], strict=True):
        if kind in numbers:
            column[:] = numbers[kind][column]
    return Table.of(keys, table.values)


def _without(name: str, table: Table, gone: Mapping[str, Integers]) -> Table:
    stays = np.ones(len(table), bool)
    for column, kind in zip(table.keys.T, KEYS.get(name, ()), strict=False):
        if kind in gone:
            stays &= ~np.isin(column, gone[kind])
    return table if stays.all() else Table(table.keys[stays], table.values[stays])


def with_nothing(numbers: Iterable[int]) -> Integers:
    """Give numbers by positions plus one; 0 stays nothing."""
    return np.array([NOTHING, *numbers], np.int64)
