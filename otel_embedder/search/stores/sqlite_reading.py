"""What is read of a catalogue in SQLite."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.entries import Embedded, Entry
from otel_embedder.search.store import Stems, WithVector
from otel_embedder.search.stores.group_tables import storable
from otel_embedder.search.stores.packing import unpack_examples

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from otel_embedder.search.counts import Integers

# What `entry_of` takes.
ENTRY = "key, changed, words, row, status, text_version, model, brought_from, examples"
COLUMNS = "changed, key, row, first_seen, last_seen, slowest, status, text_version, model"


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


def columns_after(connection: sqlite3.Connection, after: int) -> Integers:
    """Give the numbers of COLUMNS of what changed after a change, shape (n, 9)."""
    found = connection.execute(f"SELECT {COLUMNS} FROM entries WHERE changed > ?", (after,))  # noqa: S608
    return np.fromiter(chain.from_iterable(found), np.int64).reshape(-1, 9)


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


def stems_after(connection: sqlite3.Connection, after: int, most: int) -> Stems:
    """Give the words of the texts whose keys are above this one, by their keys."""
    found = connection.execute(
        "SELECT key, hashes FROM texts WHERE key > ? ORDER BY key LIMIT ?", (after, most)
    ).fetchall()
    hashes = np.frombuffer(b"".join(each for _, each in found), "<u4")
    lengths = np.array([len(each) for _, each in found], np.int64) // hashes.itemsize
    return Stems(np.array([key for key, _ in found], np.int64), lengths, hashes)


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
