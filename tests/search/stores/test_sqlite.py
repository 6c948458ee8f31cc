"""What can go wrong with a file, and that each is one clear message."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from otel_embedder.errors import StoreError
from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.stores.schema import MIGRATIONS
from otel_embedder.search.stores.sqlite import SqliteStore
from tests.support.catalogue_writer import WriterProcess, check
from tests.support.catalogues import a_batch, a_row, counts, embedded, seen

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 4_000  # texts: some hundred pages


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.db"


def fill(path: Path, texts: int = 10) -> None:
    with closing(SqliteStore(path)) as store:
        store.write(a_batch(texts=[seen(f"text {i}", vector=embedded(i)) for i in range(texts)]))


def executed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_nobody_else_may_read_it(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.write(a_batch())
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    assert modes == dict.fromkeys((path.name, f"{path.name}-wal", f"{path.name}-shm"), 0o600)


def test_a_reader_sees_what_a_writer_writes_and_writes_nothing(path: Path) -> None:
    with closing(SqliteStore(path)) as writer, closing(SqliteStore(path, readonly=True)) as reader:
        writer.write(a_batch(texts=[seen("pay")]))

        assert [entry.words for entry in reader.entries(reader.columns().keys)] == ["pay"]
        with pytest.raises(StoreError, match="read only"):
            reader.write(a_batch(2))


def test_a_time_that_is_being_read_stays_as_it_is(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.write(a_batch(1, minutes={0: counts(1), 60: counts(1)}))
        buckets = store.buckets(since=0, until=3600)
        next(buckets)
        store.write(a_batch(2, minutes={60: counts(1)}))

        assert [bucket.counts.roots for bucket in buckets] == [1]


def test_what_was_written_is_there_when_it_is_opened_again(path: Path) -> None:
    fill(path)
    with closing(SqliteStore(path)) as store:
        assert len(store.columns().keys) == 10
        assert store.last_number("writer") == 1


def test_there_must_be_a_file_to_read(path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no catalogue .*catalogue.db: name another"):
        SqliteStore(path, readonly=True)

    assert not path.exists()


def test_an_empty_file_is_none_to_read_but_one_to_begin_with(path: Path) -> None:
    path.touch()
    with pytest.raises(StoreError, match="is no catalogue"):
        SqliteStore(path, readonly=True)

    fill(path)


@pytest.mark.parametrize("readonly", [True, False])
def test_a_newer_release_s_file_is_refused(path: Path, *, readonly: bool) -> None:
    fill(path)
    executed(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(
        StoreError, match=rf"a newer release made .*catalogue.db \(version {len(MIGRATIONS) + 1}"
    ):
        SqliteStore(path, readonly=readonly)


@pytest.mark.parametrize("readonly", [True, False])
def test_another_program_s_database_is_left_alone(path: Path, *, readonly: bool) -> None:
    executed(path, "CREATE TABLE theirs (number INTEGER)")
    before = path.read_bytes()

    with pytest.raises(StoreError, match="of another program"):
        SqliteStore(path, readonly=readonly)
    assert path.read_bytes() == before


@pytest.mark.parametrize("readonly", [True, False])
def test_a_file_that_is_no_database_is_left_alone(path: Path, *, readonly: bool) -> None:
    path.write_text("a diary" * 2_000)

    with pytest.raises(StoreError, match="no catalogue, or a broken one"):
        SqliteStore(path, readonly=readonly)
    assert path.read_text() == "a diary" * 2_000


def test_a_file_that_broke_says_so(path: Path) -> None:
    fill(path, LARGE)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])

    with pytest.raises(StoreError, match="go back to a copy of it, or move it away"):
        read_all(path)


def read_all(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.entries(store.columns().keys)
        list(store.vectors("model"))


def test_a_folder_must_be_there(path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory: make its folder"):
        SqliteStore(path / "deeper.db")


@pytest.mark.parametrize("readonly", [True, False])
def test_a_folder_is_no_file(tmp_path: Path, *, readonly: bool) -> None:
    with pytest.raises(StoreError, match=r"let this user|there is no catalogue"):
        SqliteStore(tmp_path, readonly=readonly)


def test_whom_another_process_keeps_waiting_it_tells_so(path: Path) -> None:
    fill(path)
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(SqliteStore(path, patience=0.05)) as store,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process holds it: try again"):
            store.write(a_batch(2))
        other.execute("ROLLBACK")

        store.write(a_batch(2))
        assert store.last_number("writer") == 2


def test_a_disk_that_is_full_keeps_what_was_taken(path: Path) -> None:
    command = (
        f"ulimit -f 1000; exec {sys.executable} -m tests.support.catalogue_writer {path} w 999"
    )
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    written = int(ended.stdout.split()[-1])

    assert "StoreError" in ended.stderr
    assert "the disk" in ended.stderr
    with closing(SqliteStore(path)) as store:
        check(store, {"w": written})
    with WriterProcess(path, "w", batches=5) as writer:
        writer.wait()
    with closing(SqliteStore(path)) as store:
        check(store, {"w": written + 5})


def test_once_closed_it_is_closed(path: Path) -> None:
    store = SqliteStore(path)
    store.close()
    store.close()

    for act in (store.columns, lambda: store.write(a_batch())):
        with pytest.raises(StoreError, match="is closed"):
            act()


def test_a_path_may_have_any_characters(tmp_path: Path) -> None:
    path = tmp_path / "50% of it? #1 'día'.db"
    fill(path)

    assert path.exists()
    with closing(open_store(f"sqlite:///{path}", readonly=True)) as store:
        assert len(store.columns().keys) == 10


def test_an_older_catalogue_loses_its_index_of_words_to_the_last_byte(path: Path) -> None:
    fill(path)
    with closing(sqlite3.connect(path)) as older:
        older.execute("CREATE VIRTUAL TABLE stems USING fts5(said, content = '')")
        older.execute("CREATE TABLE stem_counts (stem TEXT PRIMARY KEY)")
        older.execute("INSERT INTO stems (rowid, said) VALUES (1, 'clandestin')")
        older.execute("INSERT INTO stem_counts VALUES ('undercov')")
        older.execute("PRAGMA user_version = 2")
        older.commit()
    with pytest.raises(StoreError, match="of an older release: write to it once"):
        SqliteStore(path, readonly=True)
    with closing(SqliteStore(path)) as store:
        assert len(store.columns().keys) == 10
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}

    assert not {name for name in tables if name.startswith("stem")}
    for word in (b"clandestin", b"undercov"):
        assert word not in path.read_bytes()


def test_vectors_of_one_model_that_are_not_of_one_length_are_said(path: Path) -> None:
    texts = [seen("one", vector=embedded(1)), seen("other", vector=embedded(1, 2))]
    with closing(SqliteStore(path)) as store:
        store.write(a_batch(texts=texts))

        with pytest.raises(StoreError, match="reembed"):
            list(store.vectors("model"))


def test_of_a_service_that_was_taken_out_no_byte_stays(path: Path) -> None:
    rows = [a_row("shop"), a_row("clandestine")]
    texts = [seen(f"clandestine {i} undercover", row=1, vector=embedded(i)) for i in range(500)]
    with closing(SqliteStore(path)) as store:
        store.write(a_batch(rows=rows, services=["clandestine"], texts=[*texts, seen("shop")]))
        store.delete_service("clandestine")
        left = b"".join(file.read_bytes() for file in path.parent.iterdir())

        assert [entry.words for entry in store.entries(store.columns().keys)] == ["shop"]
    for word in (b"clandestine", b"clandestin", b"undercov"):
        assert word not in left + path.read_bytes()


def test_a_file_that_was_moved_is_not_written_any_more(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        for act in (lambda: path.rename(path.with_name("moved.db")), lambda: fill(path)):
            act()
            with pytest.raises(StoreError, match="was moved, or another was put in its place"):
                store.write(a_batch())
            with pytest.raises(StoreError, match="start anew what has it open"):
                store.columns()
