"""A catalogue in a file, by the SQLite that comes with Python."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.counts import NOTHING, Counts
from otel_embedder.search.entries import RowKey
from otel_embedder.search.store import (
    MOST_GROUPS,
    Bucket,
    Columns,
    Stems,
    Vectors,
)
from otel_embedder.search.stores import levels, sqlite_reading
from otel_embedder.search.stores.connections import Connections
from otel_embedder.search.stores.group_tables import storable
from otel_embedder.search.stores.sqlite_cells import SqliteCells
from otel_embedder.search.stores.sqlite_groups import SqliteGroups
from otel_embedder.search.stores.sqlite_reading import ENTRY, entry_of, names_of
from otel_embedder.search.stores.sqlite_writing import Writing
from otel_embedder.search.times import DAY, MINUTE, NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.entries import Embedded, Entry
    from otel_embedder.search.groups.kept import Came
    from otel_embedder.search.store import Batch, WithVector
    from otel_embedder.search.stores.group_writing import GroupWriting
    from otel_embedder.search.times import Kept

PATIENCE = 10.0
# Texts that go in one transaction: others that write wait so long.
GO_AT_ONCE = 1_000


class SqliteStore:
    """Keeps a catalogue in a file; see `store.Store`.

    Several processes may write it and read it at the same time.
    """

    def __init__(self, path: Path, *, readonly: bool = False, patience: float = PATIENCE) -> None:
        """Open a file, and make it if it is not there and may be written.

        Args:
            path: of the file.
            readonly: whether it is never written.
            patience: seconds to wait for another process that writes it.

        Raises:
            StoreError: it can't be opened, or is none that this release can use.

        """
        self._connections = Connections(path, readonly=readonly, patience=patience)
        self.groups = SqliteGroups(
            self._connections.reading, self._writing_groups, self._writer_number
        )

    @contextmanager
    def _writing(self) -> Iterator[Writing]:
        with self._connections.writing() as connection:
            writing = Writing(connection)
            yield writing
            writing.finish()

    @contextmanager
    def _writing_groups(self) -> Iterator[GroupWriting]:
        with self._writing() as writing:
            yield writing.groups

    def _writer_number(self, writer: str) -> int | None:
        with self._connections.reading() as connection:
            return sqlite_reading.writer_number(connection, writer)

    def write(self, batch: Batch) -> list[Came]:
        """Take a batch; give the groups of failures that are new, or have come again."""
        with self._writing() as writing:
            return writing.take(batch)

    def last_number(self, writer: str) -> int:
        """Give the number of the last batch of a writer."""
        with self._connections.reading() as connection:
            found = connection.execute(
                "SELECT last FROM writers WHERE name = ?", (storable(writer),)
            )
            last: tuple[int] | None = found.fetchone()
            return 0 if last is None else last[0]

    def writers(self) -> Mapping[str, int]:
        """Give who counted, each with the number of the last batch."""
        with self._connections.reading() as connection:
            return dict(connection.execute("SELECT name, last FROM writers"))

    def forget(self, writer: str) -> None:
        """Take out what a writer counted, and its number."""
        with self._writing() as writing:
            writing.forget(writer)

    def put_vectors(self, vectors: Iterable[tuple[int, Embedded]], *, text_version: str) -> None:
        """Give entries a vector, and bring them to this text version."""
        given = list(vectors)
        with self._writing() as writing:
            for key, embedded in given:
                writing.embed(key, embedded, text_version)

    def columns(self, *, after: int = 0) -> Columns:
        """Give the entries that changed after a change of this number."""
        with self._connections.reading() as connection:
            return sqlite_reading.columns_after(connection, after)

    def entries(self, keys: Iterable[int]) -> list[Entry]:
        """Give these entries, in this order."""
        wanted = [int(key) for key in keys]
        query = f"SELECT {ENTRY} FROM texts JOIN entries USING (key) WHERE key = ?"  # noqa: S608
        with self._connections.reading() as connection:
            names = names_of(connection)
            found = (connection.execute(query, (key,)).fetchone() for key in wanted)
            return [entry_of(each, names) for each in found if each is not None]

    def stems(self, *, after: int = 0) -> Iterator[Stems]:
        """Give the words of the entries whose keys are above this one."""
        some = self._some_stems(after)
        while some is not None:
            yield some
            some = self._some_stems(int(some.keys[-1]))

    def _some_stems(self, after: int) -> Stems | None:
        with self._connections.reading() as connection:
            return sqlite_reading.stems_after(connection, after)

    def with_trace(self, trace_id: bytes) -> list[int]:
        """Give the keys of the entries that have a span of this trace among their examples."""
        with self._connections.reading() as connection:
            return sqlite_reading.with_trace(connection, trace_id)

    def vectors(self, model: str, *, after: int = 0) -> Iterator[Vectors]:
        """Give the vectors of a model that changed after a change of this number."""
        some = self._some_vectors(model, after)
        while some is not None:
            yield some
            some = self._some_vectors(model, some.changed)

    def _some_vectors(self, model: str, after: int) -> Vectors | None:
        with self._connections.reading() as connection:
            return sqlite_reading.vectors_after(connection, model, after)

    def vector(self, key: int) -> Vector | None:
        """Give the vector of an entry."""
        with self._connections.reading() as connection:
            found = connection.execute("SELECT vector FROM vectors WHERE key = ?", (int(key),))
            vector: tuple[bytes] | None = found.fetchone()
            return None if vector is None else np.frombuffer(vector[0], "<f4")

    def with_vectors(self, keys: Iterable[int]) -> list[WithVector]:
        """Give what these entries say and their vectors, in this order."""
        with self._connections.reading() as connection:
            return sqlite_reading.with_vectors(connection, keys)

    def rows(self) -> Mapping[int, RowKey]:
        """Give the rows by their numbers."""
        query = "SELECT number, service, operation, kind, words FROM rows"
        with self._connections.reading() as connection:
            return {number: RowKey(*row) for number, *row in connection.execute(query)}

    def services(self) -> Mapping[int, str]:
        """Give the services by their numbers."""
        with self._connections.reading() as connection:
            return dict(connection.execute("SELECT number, name FROM services"))

    def buckets(
        self, *, since: int, until: int, finest: int = MINUTE, writer: str | None = None
    ) -> Iterator[Bucket]:
        """Give what was counted in a time; until the last is taken, a state of it is held."""
        with self._connections.reading() as connection:
            cells = SqliteCells(connection)
            number = None
            if writer is not None:  # of one that is not known there is nothing
                number = sqlite_reading.writer_number(connection, writer) or NOTHING
            for group in levels.groups(
                cells, since=since, until=until, finest=finest, writer=number
            ):
                counts = Counts.sum(cells.get(head) for head in group.heads)
                yield Bucket(group.start, group.seconds, counts)

    @property
    def generation(self) -> int:
        """Grows whenever something was taken out."""
        with self._connections.reading() as connection:
            return sqlite_reading.state_of(connection, "generation")

    def tidy(self, kept: Kept, *, now: int, most_texts: int) -> None:
        """Put minutes into hours and hours into days, and let go what is too old.

        In small steps, each a whole one, so that others that write wait for none of them long.
        """
        with self._connections.reading() as connection:
            due = levels.due(SqliteCells(connection).all(), kept, now=now)
        for head in due:
            with self._writing() as writing:
                levels.settle(writing.cells, head, kept, now=now)
        # What to look through is found before anybody has to wait.
        with self._connections.reading() as connection:
            cells = SqliteCells(connection)
            outlived = levels.outlived(cells.all(), kept, now=now)
            since = (now - kept.all) * NANOSECONDS
            texts = sqlite_reading.too_old(connection, since, most_texts)
            changed = sqlite_reading.state_of(connection, "changed")
        for start in range(0, len(texts), GO_AT_ONCE):
            with self._writing() as writing:
                writing.let_go(texts[start : start + GO_AT_ONCE], changed=changed)
                writing.begin_generation()
        with self._writing() as writing:
            writing.cells.delete(outlived)
            groups = writing.groups.let_go(before=since, most=MOST_GROUPS)
            if writing.drop_unseen(levels.begin(now - kept.all, DAY)) or outlived or groups:
                writing.begin_generation()

    def delete_service(self, service: str) -> int:
        """Take a service out, so that no byte of it stays in the file."""
        with self._writing() as writing:
            gone = writing.of_service(service)
            gone["group"] = np.array(writing.groups.delete_service(service), np.int64)
            levels.take_out(writing.cells, gone)
            writing.let_go(gone["text"].tolist())
            writing.drop("rows", gone["row"])
            writing.drop("services", gone["service"])
            writing.begin_generation()
        self._connections.empty_log()
        return len(gone["text"])

    def size(self) -> int:
        """Give how many bytes its files take."""
        return self._connections.size()

    def close(self) -> None:
        """Close the file."""
        self._connections.close()
