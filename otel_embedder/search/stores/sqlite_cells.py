"""Cells in SQLite; see `levels.Cells`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.search.stores.levels import Head
from otel_embedder.search.stores.packing import pack, unpack

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from otel_embedder.search.counts import Counts

_HEAD = "writer, level, start, changed, made"
_THIS = "start = ? AND level = ? AND writer = ?"


class SqliteCells:
    """Cells as one transaction sees them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take the connection that is in the transaction."""
        self._connection = connection

    def head(self, writer: int, level: int, start: int) -> Head | None:
        """Give the head of a cell, if there is one."""
        found = self._connection.execute(
            f"SELECT {_HEAD} FROM cells WHERE {_THIS}",  # noqa: S608
            (start, level, writer),
        ).fetchone()
        return found and _head(found)

    def heads(self, *, since: int, until: int, writer: int | None = None) -> list[Head]:
        """Give the heads of all cells that start in this time, of one writer or all."""
        found = self._connection.execute(
            f"SELECT {_HEAD} FROM cells"  # noqa: S608
            " WHERE start >= ? AND start < ? AND coalesce(writer = ?, TRUE)",
            (since, until, writer),
        )
        return [_head(each) for each in found]

    def all(self) -> list[Head]:
        """Give the heads of all cells."""
        return [_head(each) for each in self._connection.execute(f"SELECT {_HEAD} FROM cells")]  # noqa: S608

    def get(self, head: Head) -> Counts:
        """Give what a cell counted."""
        found = self._connection.execute(f"SELECT counts FROM cells WHERE {_THIS}", _key(head))  # noqa: S608
        return unpack(found.fetchone()[0])

    def put(self, head: Head, counts: Counts) -> None:
        """Set a cell."""
        self._connection.execute(
            "INSERT INTO cells (start, level, writer, changed, made, counts)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (start, level, writer)"
            " DO UPDATE SET changed = excluded.changed, made = excluded.made,"
            " counts = excluded.counts",
            (*_key(head), head.changed, head.made, pack(counts)),
        )

    def delete(self, heads: Iterable[Head]) -> None:
        """Take cells out."""
        self._connection.executemany(f"DELETE FROM cells WHERE {_THIS}", map(_key, heads))  # noqa: S608


def _head(found: tuple[int, int, int, int, int]) -> Head:
    writer, level, start, changed, made = found
    return Head(writer, level, start, changed, made=bool(made))


def _key(head: Head) -> tuple[int, int, int]:
    return head.start, head.level, head.writer
