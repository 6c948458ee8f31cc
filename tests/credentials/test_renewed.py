from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PosixPath

import pytest

from otel_embedder.credentials.renewed import RenewedFiles, state_of
from otel_embedder.errors import CredentialsError
from tests.support.fakes import PATIENCE


class CoarseFile(PosixPath):
    """A file of a system whose clock stands still."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        status = super().stat(follow_symlinks=follow_symlinks)
        return os.stat_result(status[:10], {"st_mtime_ns": 0, "st_ctime_ns": 0})


class Pair:
    """Two files that go together if they end with the same number; remembers what was told."""

    def __init__(self, directory: Path, kind: type[Path] = Path) -> None:
        self.certificate, self.key = kind(directory / "certificate"), kind(directory / "key")
        self.certificate.write_text("certificate 1")
        self.key.write_text("key 1")
        self.reads = 0
        self.complaints: list[str] = []

    def files(self) -> RenewedFiles[str]:
        return RenewedFiles((self.certificate, self.key), self.read, kept=self.complaints.append)

    def read(self) -> str:
        self.reads += 1
        try:
            numbers = {file.read_text().split()[1] for file in (self.certificate, self.key)}
        except OSError as error:
            raise CredentialsError("one is gone") from error
        if len(numbers) > 1:
            raise CredentialsError("they do not go together")
        return numbers.pop()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_what_was_read_is_read_again_only_when_it_has_changed(pair: Pair) -> None:
    files = pair.files()
    looks = [files.look() for _ in range(3)]

    assert looks == [False] * 3
    assert (files.current(), pair.reads) == ("1", 1)


def test_renewed_files_are_read_and_told_of_once(pair: Pair) -> None:
    files = pair.files()
    pair.certificate.write_text("certificate 2")
    pair.key.write_text("key 2")
    looks = [files.look() for _ in range(3)]

    assert looks == [True, False, False]
    assert (files.current(), pair.reads) == ("2", 2)
    assert pair.complaints == []


def test_files_that_are_written_again_as_they_were_are_not_renewed(pair: Pair) -> None:
    files = pair.files()
    pair.key.touch()
    looks = [files.look() for _ in range(3)]

    assert looks == [False] * 3
    assert pair.reads == 2


def test_half_renewed_files_change_nothing_and_are_told_of_once(pair: Pair) -> None:
    files = pair.files()
    pair.certificate.write_text("certificate 2")
    before = [files.look() for _ in range(3)]
    kept = files.current()
    pair.key.write_text("key 2")

    assert (before, kept) == ([False] * 3, "1")
    assert (files.look(), files.current()) == (True, "2")
    assert pair.complaints == ["they do not go together"]


def test_the_second_half_is_seen_though_the_clock_of_the_files_stands_still(tmp_path: Path) -> None:
    """Written in place and of the same size, it does not change the state of its file."""
    pair = Pair(tmp_path, CoarseFile)
    files = pair.files()
    pair.certificate.write_text("certificate  2")
    first = files.look()
    state = state_of((pair.certificate, pair.key))
    pair.key.write_text("key 2")
    is_same = state_of((pair.certificate, pair.key)) == state

    assert (first, is_same) == (False, True)
    assert (files.look(), files.current()) == (True, "2")


def test_another_complaint_is_told_too(pair: Pair) -> None:
    files = pair.files()
    pair.certificate.write_text("certificate 2")
    files.look()
    pair.key.unlink()
    files.look()

    assert pair.complaints == ["they do not go together", "one is gone"]


def test_after_a_complaint_the_same_files_are_renewed_and_may_be_complained_of_again(
    pair: Pair, tmp_path: Path
) -> None:
    files = pair.files()
    looks = []
    for _ in range(2):
        pair.key.rename(tmp_path / "elsewhere")
        looks.append(files.look())
        (tmp_path / "elsewhere").rename(pair.key)
        looks.append(files.look())

    assert looks == [False, True] * 2
    assert files.current() == "1"
    assert pair.complaints == ["one is gone"] * 2


def test_what_changes_while_it_is_read_is_seen_the_next_time(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")

    def read() -> str:
        """Read the file, to which somebody adds at the same moment."""
        content = file.read_text()
        if len(content) < 3:
            file.write_text(content + "x")
        return content

    files = RenewedFiles((file,), read, kept=pytest.fail)
    seen = [files.current()]
    while files.look():
        seen.append(files.current())

    assert seen == ["x", "xx", "xxx"]


def test_one_looks_at_a_time_so_that_what_is_newer_stays(pair: Pair) -> None:
    at_once: list[bool] = []
    reading = threading.Lock()

    def read() -> str:
        at_once.append(not reading.acquire(blocking=False))
        try:
            return pair.read()
        finally:
            reading.release()

    files = RenewedFiles((pair.certificate, pair.key), read, kept=pair.complaints.append)
    pair.certificate.write_text("certificate 2")
    with ThreadPoolExecutor(4) as threads:
        looks = [threads.submit(files.look) for _ in range(200)]
        answers = {look.result(PATIENCE) for look in looks}

    assert answers == {False}
    assert at_once == [False] * 201


def test_files_that_cannot_be_used_at_first_are_an_error(pair: Pair) -> None:
    pair.key.unlink()

    with pytest.raises(CredentialsError, match="one is gone"):
        pair.files()


def test_a_state_changes_with_any_of_the_files(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("a")
    states = [state_of((first, second))]
    second.write_text("a")
    states.append(state_of((first, second)))
    first.write_text("ab")
    states.append(state_of((first, second)))
    (tmp_path / "new").write_text("ab")
    (tmp_path / "new").rename(first)
    states.append(state_of((first, second)))
    first.chmod(0o600)
    states.append(state_of((first, second)))

    assert len(set(states)) == 5
    assert state_of((first, second)) == states[-1]
