"""Rows of the tables of groups in SQLite, and counts of their traces, within a transaction."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from otel_embedder.search.groups.kept import Decision
from otel_embedder.search.times import MINUTE, NANOSECONDS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from otel_embedder.search.groups.kept import Seen
    from otel_embedder.search.groups.templates import Group

    # Adds to what a writer counted in a minute: its number, the start of the minute, how many
    # traces by the numbers of their groups; some may be less than none.
    Count = Callable[[int, int, dict[int, int]], None]

# Half a surrogate, as JSON may have it, is no UTF-8.


class GroupTables:
    """What a transaction sets."""

    def __init__(self, connection: sqlite3.Connection, count: Count) -> None:
        """Take the connection that is in the transaction.

        Args:
            connection: to the database that has the tables of `schema.GROUPS`.
            count: adds to counts in the same transaction, or in the same lock.

        """
        self.connection = connection
        self._count = count
        self._counted: Counter[tuple[int, int, int]] = Counter()

    def count(self, writer: int, ended: int, number: int, *, by: int) -> None:
        """Count so many traces of a group that a writer saw fail at a time; see `finish_counts`."""
        self._counted[writer, ended // NANOSECONDS // MINUTE * MINUTE, number] += by

    def finish_counts(self) -> None:
        """Add what was counted."""
        cells: defaultdict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        for (writer, minute, number), traces in self._counted.items():
            if traces:
                cells[writer, minute][number] = traces
        for (writer, minute), counted in cells.items():
            self._count(writer, minute, counted)
        self._counted.clear()

    def put_seen(self, number: int, seen: Seen) -> None:
        """Keep when and where a group was seen."""
        self.connection.execute(
            "UPDATE groups SET first_seen = ?, last_seen = ?, silent_since = ?, came_again = ?,"
            " services = ?, operations = ? WHERE number = ?",
            (*_values(seen), number),
        )

    def decision(self, id_: str) -> Decision:
        """Give what somebody decided about a group."""
        found = self.connection.execute(
            "SELECT state, decided, until, note, into_id FROM decisions WHERE id = ?", (id_,)
        ).fetchone()
        return Decision(*found) if found else Decision()

    def put_decision(self, id_: str, decision: Decision) -> None:
        """Keep what somebody decided about a group."""
        self.connection.execute(
            "INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?, ?, ?)", (id_, *decision)
        )

    def insert(self, group: Group, seen: Seen) -> int:
        """Keep a group that is new; give its number."""
        self.connection.execute(
            "INSERT INTO groups (id, service, type, length, first_word, template, first_words,"
            " pinned, first_seen, last_seen, silent_since, came_again, services, operations)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                group.id,
                *group.key,
                " ".join(group.template),
                group.first,
                json.dumps(sorted(group.pinned)),
                *_values(seen),
            ),
        )
        number: int = self.connection.execute("SELECT last_insert_rowid()").fetchone()[0]
        return number


def _values(seen: Seen) -> tuple[int | str, ...]:
    times = seen.first, seen.last, seen.silent_since, seen.came_again
    return (*times, json.dumps(seen.services), json.dumps(seen.operations))


def storable(words: str) -> str:
    """Give words as SQLite takes them: half a surrogate, as JSON may have it, becomes a ?."""
    return words if words.isascii() else words.encode(errors="replace").decode()
