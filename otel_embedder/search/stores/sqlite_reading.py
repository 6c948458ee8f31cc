"""What is read of a catalogue in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from otel_embedder.search.entries import Embedded, Entry
from otel_embedder.search.store import Columns, Stems, Vectors, WithVector, check_of_one_length
from otel_embedder.search.stores.group_tables import storable
from otel_embedder.search.stores.packing import unpack_examples

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from otel_embedder.search.counts import Integers

# What `entry_of` takes.
ENTRY = "key, changed, words, row, status, text_version, model, brought_from, examples"
# What `Columns` has of an entry.
COLUMNS = ("key", "row", "first_seen", "last_seen", "slowest", "status", "text_version", "model")
# As many stay in the processor's cache on their way.
VECTORS_AT_ONCE = 1_000
ENTRIES_AT_ONCE = 5_000
WORDS_AT_ONCE = 50_000


def state_of(connection: sqlite3.Connection, name: str) -> int:
    """Give the number of the last change (`changed`), or the `generation`."""
    found = connection.execute("SELECT number FROM state WHERE name = ?", (name,))
    number: int = found.fetchone()[0]
    return number


def names_of(connection: sqlite3.Connection) -> dict[int, str]:
    """Give the names of statuses, text versions and models by their numbers."""
    return dict(connection.execute("SELECT number, name FROM names"))


def entry_of(
    found: tuple[int, int, str, int, int, int, int, int, bytes], names: Mapping[int, str]
) -> Entry:
    """Give the entry that was read as ENTRY says."""
    key, changed, words, row, status, text_version, model, brought_from, examples = found
    return Entry(
        key=key,
        changed=changed,
        words=words,
        text_version=names[text_version],
        brought_from=names[brought_from],
        row=row,
        status=names[status],
        examples=unpack_examples(examples),
        model=names[model],
    )


def with_vectors(connection: sqlite3.Connection, keys: Iterable[int]) -> list[WithVector]:
    """Give what entries say and their vectors, in this order, without those of none."""
    query = (
        "SELECT key, words, text_version, vectors.model, vector"
        " FROM vectors JOIN texts USING (key) JOIN entries USING (key) WHERE key = ?"
    )
    names = names_of(connection)
    found = (connection.execute(query, (int(key),)).fetchone() for key in keys)
    return [
        WithVector(key, words, names[version], Embedded(names[model], np.frombuffer(vector, "<f4")))
        for key, words, version, model, vector in filter(None, found)
    ]


def columns_after(connection: sqlite3.Connection, after: int) -> Columns:
    """Give the entries that changed after a change, by their changes."""
    columns = ", ".join(f"group_concat({name})" for name in COLUMNS)
    query = (
        f"SELECT changed, {', '.join(COLUMNS)} FROM entries WHERE changed > ?"  # noqa: S608
        " ORDER BY changed LIMIT ?"
    )
    pieces = [np.zeros((len(COLUMNS), 0), np.int64)]
    while True:
        last, *found = _joined(
            connection, f"max(changed), {columns}", query, (after, ENTRIES_AT_ONCE)
        )
        if last is None:
            table = np.concatenate(pieces, axis=1).T
            return Columns.of(table, changed=after, names=names_of(connection))
        pieces.append(np.stack([*map(_numbers, found)]))
        after = last


def _joined(
    connection: sqlite3.Connection, columns: str, query: str, parameters: Sequence[object]
) -> tuple[Any, ...]:
    """Give what aggregates make of the rows that a query finds, in their order; None of no row.

    So SQLite joins them, in one step. By rows each would be some objects, and each step to the next
    one lets go of the interpreter's lock, for which two threads that read would wait in turn.
    It keeps the order of a query within that has a limit, and joins bytes as they are, zeros too.
    """
    found = connection.execute(f"SELECT {columns} FROM ({query})", parameters)  # noqa: S608
    joined: tuple[Any, ...] = found.fetchone()
    return joined


def _numbers(joined: str) -> Integers:
    return np.fromstring(joined, np.int64, sep=",")


def too_old(connection: sqlite3.Connection, time: int, most_texts: int) -> list[int]:
    """Give the texts that were not seen since a time, and those beyond so many seen later."""
    found = connection.execute("SELECT key FROM entries WHERE last_seen < ?", (time,))
    old = [key for (key,) in found]
    total: int = connection.execute("SELECT count(*) FROM entries").fetchone()[0]
    surplus = max(total - most_texts, len(old))
    if surplus == len(old):
        return old
    first = connection.execute(
        "SELECT key FROM entries ORDER BY last_seen, key LIMIT ?", (surplus,)
    )
    return [key for (key,) in first]


def writer_number(connection: sqlite3.Connection, name: str) -> int | None:
    """Give the number of a writer, None if there is none of this name."""
    found = connection.execute("SELECT number FROM writers WHERE name = ?", (storable(name),))
    number: tuple[int] | None = found.fetchone()
    return number and number[0]


def stems_after(connection: sqlite3.Connection, after: int) -> Stems | None:
    """Give the words of the first texts whose keys are above this one, by their keys."""
    keys, lengths, hashes = _joined(
        connection,
        "group_concat(key), group_concat(bytes), CAST(group_concat(hashes, '') AS BLOB)",
        "SELECT key, length(hashes) AS bytes, hashes FROM texts WHERE key > ? ORDER BY key LIMIT ?",
        (after, WORDS_AT_ONCE),
    )
    if keys is None:
        return None
    numbers = np.frombuffer(hashes, "<u4")
    return Stems(_numbers(keys), _numbers(lengths) // numbers.itemsize, numbers)


def vectors_after(connection: sqlite3.Connection, model: str, after: int) -> Vectors | None:
    """Give the first vectors of a model that changed after a change, by it."""
    changed, keys, shortest, longest, vectors = _joined(
        connection,
        "max(changed), group_concat(key), min(bytes), max(bytes),"
        " CAST(group_concat(vector, '') AS BLOB)",
        "SELECT changed, key, length(vector) AS bytes, vector FROM vectors WHERE changed > ?"
        " AND model = (SELECT number FROM names WHERE name = ?) ORDER BY changed LIMIT ?",
        (after, model, VECTORS_AT_ONCE),
    )
    if keys is None:
        return None
    check_of_one_length((shortest // 4, longest // 4))
    matrix = np.frombuffer(vectors, "<f4").reshape(-1, longest // 4)
    return Vectors(changed, _numbers(keys), matrix)


def with_trace(connection: sqlite3.Connection, trace_id: bytes) -> list[int]:
    """Give the keys of the entries that have a span of this trace among their examples."""
    # The bytes may stand there by chance, too, and are seldom asked for: no index is kept of them.
    found = connection.execute(
        "SELECT key, examples FROM entries WHERE instr(examples, ?)", (trace_id,)
    )
    return [
        key
        for key, examples in found
        if any(each.trace_id == trace_id for each in unpack_examples(examples).all())
    ]
