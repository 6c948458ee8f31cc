"""The groups of failures of a catalogue, in tables of SQLite; see `groups.kept.GroupStore`."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otel_embedder.search.groups.kept import FOR_EVER
from otel_embedder.search.stores import group_reading
from otel_embedder.search.stores.group_writing import GroupWriting
from otel_embedder.search.stores.schema import GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from threading import RLock

    from otel_embedder.search.groups.kept import Decided, KeptGroup, Member
    from otel_embedder.search.stores.group_tables import Count


class SqliteGroups:
    """The groups in a database, whoever opens it."""

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[sqlite3.Connection]],
        writing: Callable[[], AbstractContextManager[GroupWriting]],
        writer_number: Callable[[str], int | None],
    ) -> None:
        """Prepare to read and write.

        Args:
            reading: gives a connection to read by.
            writing: gives a transaction.
            writer_number: gives a writer's number, None if there is no such writer.

        """
        self._reading = reading
        self._writing = writing
        self._writer_number = writer_number

    def all(self) -> list[KeptGroup]:
        """Give all groups, in the order that they came."""
        with self._reading() as connection:
            return group_reading.groups(connection)

    def members(self, numbers: Sequence[int], *, most: int) -> list[Member]:
        """Give the latest traces of some groups, the latest first."""
        with self._reading() as connection:
            return group_reading.members(connection, numbers, most)

    def members_of(self, writer: str) -> Mapping[int, Sequence[Member]]:
        """Give the traces that a writer brought, by the numbers of their groups."""
        number = self._writer_number(writer)
        if number is None:
            return {}
        with self._reading() as connection:
            return group_reading.members_of_writer(connection, number)

    def find(self, name: str) -> KeptGroup:
        """Give the group of this id, or of one that begins so."""
        with self._reading() as connection:
            return group_reading.find(connection, name)

    def decide(self, name: str, state: Decided, *, now: int, until: int = FOR_EVER) -> None:
        """Keep what somebody decided about a group."""
        with self._writing() as groups:
            groups.deciding.decide(name, state, now=now, until=until)

    def note(self, name: str, text: str) -> None:
        """Keep what somebody wrote to a group."""
        with self._writing() as groups:
            groups.deciding.note(name, text)

    def merge(self, name: str, into: str) -> None:
        """Let a group count as another one from now on."""
        with self._writing() as groups:
            groups.deciding.merge(name, into)

    def split(self, name: str, place: int | None = None) -> list[str]:
        """Undo a merge, or a place of the template."""
        with self._writing() as groups:
            return groups.deciding.split(name, place)


class GroupsInMemory(SqliteGroups):
    """The groups of a catalogue in memory: in tables as well, for they are looked up in many ways.

    Attributes:
        within: sets them, for whoever holds the lock.

    """

    def __init__(
        self, lock: RLock, count: Count, writer_number: Callable[[str], int | None]
    ) -> None:
        """Begin with nothing.

        Args:
            lock: is held whenever they are read or written.
            count: adds to counts, within the lock.
            writer_number: gives a writer's number, None if there is no such writer.

        """
        self._lock = lock
        self._connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        for statement in GROUPS:
            self._connection.execute(statement)
        self.within = GroupWriting(self._connection, count)
        super().__init__(self._locked_connection, self._locked_writing, writer_number)

    @contextmanager
    def _locked_connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._connection

    @contextmanager
    def _locked_writing(self) -> Iterator[GroupWriting]:
        with self._lock:
            yield self.within

    def close(self) -> None:
        """Free what they take."""
        self._connection.close()
