"""The tables of a catalogue in SQLite, and how older ones are brought up.

Numbers of rows, texts and the like are never given twice (AUTOINCREMENT), so that a reader that
remembers one can't be misled. Texts and rows are found by a digest of their words: an index over
the words themselves would keep them twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.errors import StoreError

if TYPE_CHECKING:
    import sqlite3

APPLICATION = 0x6F746563  # "otec": tells a catalogue from others' files
# Five vectors of 384 numbers fit on one page; on one of 4096 bytes two, with a quarter left over.
PAGE_BYTES = 8192

_FIRST = (
    "CREATE TABLE state (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO state VALUES ('changed', 0), ('generation', 0)",
    "CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "INSERT INTO names VALUES (0, '')",
    """CREATE TABLE writers (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        last INTEGER NOT NULL
    )""",
    """CREATE TABLE rows (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        digest BLOB NOT NULL UNIQUE,
        day INTEGER NOT NULL,
        service TEXT NOT NULL,
        operation TEXT NOT NULL,
        kind TEXT NOT NULL,
        words TEXT NOT NULL
    )""",
    """CREATE TABLE services (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        day INTEGER NOT NULL,
        name TEXT NOT NULL UNIQUE
    )""",
    """CREATE TABLE texts (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        digest BLOB NOT NULL UNIQUE,
        words TEXT NOT NULL,
        hashes BLOB NOT NULL
    )""",
    # What changes of a text, apart from its words: each write sets it anew.
    """CREATE TABLE entries (
        key INTEGER PRIMARY KEY,
        changed INTEGER NOT NULL UNIQUE,
        row INTEGER NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        slowest INTEGER NOT NULL,
        status INTEGER NOT NULL,
        text_version INTEGER NOT NULL,
        model INTEGER NOT NULL,
        brought_from INTEGER NOT NULL,
        examples BLOB NOT NULL
    )""",
    # By their change, so that what is new is read from the end.
    """CREATE TABLE vectors (
        changed INTEGER PRIMARY KEY,
        key INTEGER NOT NULL UNIQUE,
        model INTEGER NOT NULL,
        vector BLOB NOT NULL
    )""",
    """CREATE TABLE cells (
        start INTEGER NOT NULL,
        level INTEGER NOT NULL,
        writer INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        made INTEGER NOT NULL,
        counts BLOB NOT NULL
    )""",
    "CREATE UNIQUE INDEX cells_by_time ON cells (start, level, writer)",
)
GROUPS = (
    """CREATE TABLE groups (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        service TEXT NOT NULL,
        type TEXT NOT NULL,
        length INTEGER NOT NULL,
        first_word TEXT NOT NULL,
        template TEXT NOT NULL,
        first_words TEXT NOT NULL,
        pinned TEXT NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        silent_since INTEGER NOT NULL,
        came_again INTEGER NOT NULL,
        services TEXT NOT NULL,
        operations TEXT NOT NULL
    )""",
    "CREATE INDEX groups_by_service ON groups (service)",
    """CREATE TABLE members (
        trace_id BLOB PRIMARY KEY,
        span_id BLOB NOT NULL,
        number INTEGER NOT NULL,
        ended INTEGER NOT NULL,
        writer INTEGER NOT NULL,
        words TEXT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX members_by_time ON members (number, ended)",
    # By the id, which a group has again when it went and comes again.
    """CREATE TABLE decisions (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        decided INTEGER NOT NULL,
        until INTEGER NOT NULL,
        note TEXT NOT NULL,
        into_id TEXT NOT NULL
    ) WITHOUT ROWID""",
)
# Words were found by FTS5 once; see docs/catalogue.md.
_WITHOUT_INDEX = ("DROP TABLE IF EXISTS stems", "DROP TABLE IF EXISTS stem_counts")
# From version i to i + 1.
MIGRATIONS = (_FIRST, GROUPS, _WITHOUT_INDEX)


def version_of(connection: sqlite3.Connection, name: str) -> int:
    """Give the version of a catalogue's tables, 0 if there are none.

    Raises:
        StoreError: the file is another program's, or a newer release's.

    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION and (version or tables):
        raise StoreError(f"{name} is a database of another program: name another file")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"a newer release made {name} (version {version}, this one knows {len(MIGRATIONS)}):"
            " use that release or a newer one, or name another file"
        )
    return version


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Bring the tables up to this release, within a transaction that writes.

    Raises:
        StoreError: the file is another program's, or a newer release's.

    """
    version = version_of(connection, name)
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    if version < len(MIGRATIONS):
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
