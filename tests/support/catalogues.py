"""What writers of a catalogue have seen, made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.counts import SHAPES, Counts, Table
from otel_embedder.search.entries import Embedded, Example, Examples, RowKey, SeenText
from otel_embedder.search.store import Batch
from otel_embedder.search.times import NANOSECONDS, Kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DAY = 86_400
KEPT = Kept(minutes=DAY, hours=7 * DAY, all=14 * DAY)
MODEL = "model"

Values = dict[tuple[int, ...], tuple[int, ...]]


def a_row(service: str = "shop", operation: str = "checkout") -> RowKey:
    return RowKey(service, operation, "SERVER", f"{service} {operation}")


def an_example(second: float, *, milliseconds: int | None = 5, trace: str = "t") -> Example:
    duration = None if milliseconds is None else milliseconds * 1_000_000
    name = f"{trace}{second}".encode()
    return Example(name.ljust(16, b"."), name.ljust(8, b"."), int(second * NANOSECONDS), duration)


def embedded(*values: float, model: str = MODEL) -> Embedded:
    return Embedded(model, np.array(values, np.float32))


def seen(
    words: str,
    *examples: Example,
    row: int = 0,
    version: str = "1",
    status: str = "UNSET",
    vector: Embedded | None = None,
) -> SeenText:
    return SeenText(words, version, row, status, Examples.of(*examples or [an_example(0)]), vector)


def a_table(name: str, values: Values) -> Table:
    key_width, value_width = SHAPES[name]
    return Table.of(
        np.array(list(values), np.int64).reshape(-1, key_width),
        np.array(list(values.values()), np.int64).reshape(-1, value_width),
    )


def counts(roots: int = 0, **tables: Values) -> Counts:
    return Counts(roots, {name: a_table(name, values) for name, values in tables.items()})


def plain(counted: Counts) -> dict[str, Values]:
    """Give the tables of counts that have something in them, to be compared."""
    return {
        name: {
            tuple(key): tuple(value)
            for key, value in zip(table.keys.tolist(), table.values.tolist(), strict=True)
        }
        for name, table in counted.tables.items()
        if len(table)
    }


def a_batch(
    number: int = 1,
    *,
    writer: str = "writer",
    rows: Sequence[RowKey] = (a_row(),),
    services: Sequence[str] = (),
    texts: Sequence[SeenText] = (),
    minutes: Mapping[int, Counts] | None = None,
) -> Batch:
    return Batch(writer, number, rows, services, texts, minutes or {})
