"""Connections to an SQLite file: one that writes, some that read beside it.

Written ahead to a log (WAL), so that readers, of other processes too, and the writer don't wait
for each other. When the power goes, the last commits may go with it, but nothing breaks.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from otel_embedder.errors import StoreError
from otel_embedder.search.stores.schema import (
    MIGRATIONS,
    PAGE_BYTES,
    migrate,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODE = 0o600  # it holds texts
LOG_BYTES = 64 << 20  # what the log may keep on disk once a reader let go of it
CACHE_KIB = 16 << 10  # of the connection that writes

# What there is to do, by SQLite's primary result codes.
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another process holds it: try again, or end that one",
    sqlite3.SQLITE_LOCKED: "another process holds it: try again, or end that one",
    sqlite3.SQLITE_FULL: "make room on the disk, or let less be kept",
    sqlite3.SQLITE_READONLY: "let this user write the file and its folder, or name another",
    sqlite3.SQLITE_CANTOPEN: "let this user read and write the file and its folder",
    sqlite3.SQLITE_PERM: "let this user read and write the file and its folder",
    sqlite3.SQLITE_IOERR: "look at the disk: is it full, or broken?",
    sqlite3.SQLITE_CORRUPT: "go back to a copy of it, or move it away and begin anew",
    sqlite3.SQLITE_NOTADB: "it is no catalogue, or a broken one: name another, or move it away",
}
_PRIMARY = 0xFF


@contextmanager
def failing_as_store(name: str) -> Iterator[None]:
    """Raise what SQLite raises as a StoreError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
        remedy = _REMEDIES.get(code, "go back to a copy of it, or begin anew")
        raise StoreError(f"the catalogue {name} fails: {error}: {remedy}") from error


class Connections:
    """Connections to one file, for any thread."""

    def __init__(self, path: Path, *, readonly: bool, patience: float) -> None:
        """Open the file; make it if it is not there and may be written.

        Args:
            path: of the file.
            readonly: whether it is never written.
            patience: seconds to wait for another process that holds it.

        Raises:
            StoreError: it can't be opened, or is none that this release can use.

        """
        self._path = path
        self._name = str(path)
        self._readonly = readonly
        self._patience = patience
        self._lock = Lock()
        self._writing = Lock()
        self._idle: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        self._is_closed = False
        if readonly:
            try:
                self._find()
            except StoreError:
                self.close()
                raise
        else:
            self._create()
            self._file = self._identity()

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _check(self) -> None:
        """Refuse to go on with a file that nobody finds any more: what is written would be lost."""
        if self._identity() != self._file:
            raise StoreError(
                f"the catalogue {self._name} was moved, or another was put in its place:"
                " start anew what has it open"
            )

    def _find(self) -> None:
        self._file = self._identity()
        if not self._path.is_file():
            raise StoreError(f"there is no catalogue {self._name}: name another, or fill one first")
        with self.reading() as connection:
            version = version_of(connection, self._name)
        if version == 0:
            raise StoreError(f"{self._name} is no catalogue: name another, or fill one first")
        if version < len(MIGRATIONS):
            raise StoreError(f"{self._name} is of an older release: write to it once with this one")

    def _create(self) -> None:
        # SQLite gives the files beside it the same mode.
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, MODE))
        except OSError as error:
            raise StoreError(
                f"the catalogue {self._name} can't be written: {error.strerror}: make its folder,"
                " let this user write there, or name another file"
            ) from error
        with failing_as_store(self._name):
            # Two that begin at once: for these locks SQLite does not wait.
            for attempt in Retrying(
                stop=stop_after_delay(self._patience),
                wait=wait_fixed(0.05),
                retry=retry_if_exception(_is_busy),
                reraise=True,
            ):
                with attempt:
                    self._writer = self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        connection = self._connect("rw")
        try:
            version_of(connection, self._name)
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            # What goes is overwritten, also what is moved to other pages: else copies of it would
            # stay where nobody can find them. Some builds of SQLite do so by themselves.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            with _transaction(connection, "BEGIN IMMEDIATE"):
                migrate(connection, self._name)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(self._name)}?{_how(self._path, mode)}",
            uri=True,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time has it
        )

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees the catalogue as it is now, and as long as it is held."""
        self._check()
        with failing_as_store(self._name):
            connection = self._take()
            try:
                with _transaction(connection, "BEGIN"):
                    yield connection
            finally:
                self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._is_closed:
                raise StoreError(f"the catalogue {self._name} is closed")
            if self._idle:
                return self._idle.pop()
        return self._connect("ro")

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(connection)
                return
        connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection that writes; what is done with it is done whole, or not at all."""
        with self._writing, failing_as_store(self._name):
            if self._readonly:
                raise StoreError(f"the catalogue {self._name} was opened to be read only")
            if self._writer is None:
                raise StoreError(f"the catalogue {self._name} is closed")
            self._check()
            with _transaction(self._writer, "BEGIN IMMEDIATE"):
                yield self._writer

    def empty_log(self) -> None:
        """Put what is in the log where it belongs, and let no byte of it stay in the log."""
        with self._writing, failing_as_store(self._name):
            if self._writer is not None:
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def size(self) -> int:
        """Give the bytes of its files."""
        beside = (self._path.with_name(self._path.name + end) for end in ("", "-wal", "-shm"))
        return sum(path.stat().st_size for path in beside if path.exists())

    def close(self) -> None:
        """Close what is open; what is being read is closed when it is given back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        with self._writing, failing_as_store(self._name):
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Some failures, such as a full disk, have rolled it back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _how(path: Path, mode: str) -> str:
    """Give how a file is opened.

    Who may only read, and finds no log, can't make one: then nobody is writing, and it is read as
    what does not change.
    """
    folder_is_ours = os.access(path.parent, os.W_OK)
    log_is_there = path.with_name(f"{path.name}-wal").exists()
    if mode == "ro" and not folder_is_ours and not log_is_there:
        return "immutable=1"
    return f"mode={mode}"


def _is_busy(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    return isinstance(error, sqlite3.Error) and code == sqlite3.SQLITE_BUSY
