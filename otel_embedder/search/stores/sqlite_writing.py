"""A transaction that writes to a catalogue in SQLite."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.counts import Integers, group_counts, with_nothing
from otel_embedder.search.entries import Entry
from otel_embedder.search.ranking import stem_hashes
from otel_embedder.search.stores import levels
from otel_embedder.search.stores.group_tables import storable
from otel_embedder.search.stores.group_writing import GroupWriting
from otel_embedder.search.stores.packing import pack_examples
from otel_embedder.search.stores.sqlite_cells import SqliteCells
from otel_embedder.search.stores.sqlite_reading import ENTRY, entry_of, names_of, state_of
from otel_embedder.search.times import DAY

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from otel_embedder.search.entries import Embedded, RowKey, SeenText
    from otel_embedder.search.groups.kept import Came
    from otel_embedder.search.store import Batch

DIGEST_BYTES = 16


class Writing:
    """What one transaction does; `finish` it before it is committed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take the connection that is in the transaction."""
        self._connection = connection
        self.cells = SqliteCells(connection)
        self._changed = state_of(connection, "changed")
        self.groups = GroupWriting(connection, self._count_failures)
        self._names = names_of(connection)
        self._numbers = {name: number for number, name in self._names.items()}

    def finish(self) -> None:
        """Keep the number of the last change."""
        self._connection.execute(
            "UPDATE state SET number = ? WHERE name = 'changed'", (self._changed,)
        )

    def _next_change(self) -> int:
        self._changed += 1
        return self._changed

    def take(self, batch: Batch) -> list[Came]:
        """Take a batch, if its writer's number of it was not taken before."""
        writer, last = self._writer(batch.writer)
        if batch.number <= last:
            return []
        day = levels.begin(batch.latest, DAY)
        rows = with_nothing(self._row(row, day) for row in batch.rows)
        services = with_nothing(self._service(name, day) for name in batch.services)
        texts = with_nothing(self._see(text, int(rows[text.row + 1])) for text in batch.texts)
        groups = with_nothing(self.groups.join(writer, batch.groups))
        numbers = {"row": rows, "service": services, "text": texts, "group": groups}
        for start, counts in batch.counts.items():
            changed = self._next_change()
            levels.add(self.cells, writer, start, counts.numbered(numbers), changed=changed)
        self._connection.execute(
            "UPDATE writers SET last = ? WHERE number = ?", (batch.number, writer)
        )
        return self.groups.take(writer, batch.failures) if batch.failures else []

    def _count_failures(self, writer: int, minute: int, traces: dict[int, int]) -> None:
        counts = group_counts(traces)
        levels.add(self.cells, writer, minute, counts, changed=self._next_change())

    def _writer(self, name: str) -> tuple[int, int]:
        name = storable(name)
        self._connection.execute(
            "INSERT OR IGNORE INTO writers (name, last) VALUES (?, 0)", (name,)
        )
        found = self._connection.execute("SELECT number, last FROM writers WHERE name = ?", (name,))
        number, last = found.fetchone()
        return number, last

    def _row(self, row: RowKey, day: int) -> int:
        parts = [storable(part) for part in row]
        digest = digest_of("".join(f"{len(part)}:{part}" for part in parts))
        return self._number("rows", "digest", digest, day) or self._inserted(
            "INSERT INTO rows (digest, day, service, operation, kind, words)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (digest, day, *parts),
        )

    def _service(self, name: str, day: int) -> int:
        name = storable(name)
        return self._number("services", "name", name, day) or self._inserted(
            "INSERT INTO services (day, name) VALUES (?, ?)", (day, name)
        )

    def _number(self, table: str, column: str, known_by: bytes | str, day: int) -> int | None:
        """Give the number of a row or service that is there, now seen on this day."""
        found = self._connection.execute(
            f"SELECT number, day FROM {table} WHERE {column} = ?",  # noqa: S608
            (known_by,),
        ).fetchone()
        if found is None:
            return None
        number, last_day = found
        if last_day < day:
            self._connection.execute(
                f"UPDATE {table} SET day = ? WHERE number = ?",  # noqa: S608
                (day, number),
            )
        return int(number)

    def _inserted(self, statement: str, values: tuple[object, ...]) -> int:
        self._connection.execute(statement, values)
        number: int = self._connection.execute("SELECT last_insert_rowid()").fetchone()[0]
        return number

    def _name(self, name: str) -> int:
        name = storable(name)
        number = self._numbers.get(name)
        if number is None:
            number = len(self._numbers)
            self._connection.execute("INSERT INTO names VALUES (?, ?)", (number, name))
            self._numbers[name] = number
            self._names[number] = name
        return number

    def _see(self, text: SeenText, row: int) -> int:
        words = storable(text.words)
        digest = digest_of(words)
        found = self._connection.execute(
            f"SELECT {ENTRY} FROM texts JOIN entries USING (key) WHERE digest = ?",  # noqa: S608
            (digest,),
        ).fetchone()
        if found is None:
            entry = Entry.of(text, key=self._insert(words, digest), row=row)
        else:
            entry = entry_of(found, self._names).seen_again(text, row=row)
        if text.embedded is not None and text.embedded.model != entry.model:
            entry = self._embed(entry, text.embedded)
        self._put(entry)
        return entry.key

    def _insert(self, words: str, digest: bytes) -> int:
        return self._inserted(
            "INSERT INTO texts (digest, words, hashes) VALUES (?, ?, ?)",
            (digest, words, stem_hashes(words).astype("<u4").tobytes()),
        )

    def _put(self, entry: Entry) -> None:
        names = entry.status, entry.text_version, entry.model, entry.brought_from
        self._connection.execute(
            "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.key,
                self._next_change(),
                entry.row,
                entry.first_seen,
                entry.last_seen,
                entry.slowest,
                *map(self._name, names),
                pack_examples(entry.examples),
            ),
        )

    def _embed(self, entry: Entry, embedded: Embedded) -> Entry:
        vector = embedded.vector.astype("<f4").tobytes()
        self._connection.execute(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)",
            (self._next_change(), entry.key, self._name(embedded.model), vector),
        )
        return replace(entry, model=embedded.model)

    def embed(self, key: int, embedded: Embedded, text_version: str) -> None:
        """Give an entry that is there a vector, and bring it to this text version."""
        found = self._connection.execute(
            f"SELECT {ENTRY} FROM texts JOIN entries USING (key) WHERE key = ?",  # noqa: S608
            (key,),
        ).fetchone()
        if found is not None:
            entry = entry_of(found, self._names).brought_to(text_version)
            self._put(self._embed(entry, embedded))

    def forget(self, writer: str) -> None:
        """Take out what a writer counted, and its number."""
        number, _ = self._writer(writer)
        self._connection.execute("DELETE FROM cells WHERE writer = ?", (number,))
        self._connection.execute("DELETE FROM writers WHERE number = ?", (number,))
        self.groups.forget(number)
        self.begin_generation()

    def begin_generation(self) -> None:
        """Say that something went."""
        self._connection.execute("UPDATE state SET number = number + 1 WHERE name = 'generation'")

    def of_service(self, service: str) -> dict[str, Integers]:
        """Give what is of a service: rows, texts, and itself, by the words of `counts.KEYS`."""
        queries = {
            "row": "SELECT number FROM rows WHERE service = ?",
            "service": "SELECT number FROM services WHERE name = ?",
            "text": "SELECT key FROM entries JOIN rows ON row = number WHERE service = ?",
        }
        return {
            kind: np.array(
                [number for (number,) in self._connection.execute(query, (service,))], np.int64
            )
            for kind, query in queries.items()
        }

    def let_go(self, keys: Iterable[int], *, changed: int | None = None) -> None:
        """Let texts go, with all that is known of them; those that changed after this stay."""
        latest = self._changed if changed is None else changed
        for key in keys:
            found = self._connection.execute(
                "SELECT 1 FROM entries WHERE key = ? AND changed <= ?", (key, latest)
            ).fetchone()
            # Another process may have been faster.
            if found is not None:
                for table in ("texts", "entries", "vectors"):
                    self._connection.execute(f"DELETE FROM {table} WHERE key = ?", (key,))  # noqa: S608

    def drop(self, table: str, numbers: Iterable[int]) -> None:
        """Let rows or services go."""
        self._connection.executemany(
            f"DELETE FROM {table} WHERE number = ?",  # noqa: S608
            ((int(number),) for number in numbers),
        )

    def drop_unseen(self, day: int) -> bool:
        """Let rows, services and writers go of which nothing speaks any more."""
        rows = self._connection.execute(
            "DELETE FROM rows WHERE day < ? AND number NOT IN (SELECT row FROM entries)", (day,)
        )
        services = self._connection.execute("DELETE FROM services WHERE day < ?", (day,))
        self._connection.execute(
            "DELETE FROM writers WHERE number NOT IN (SELECT writer FROM cells)"
        )
        return bool(rows.rowcount or services.rowcount)


def digest_of(words: str) -> bytes:
    """Give what words are found by."""
    return blake2b(words.encode(), digest_size=DIGEST_BYTES).digest()
