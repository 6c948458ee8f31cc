from __future__ import annotations

import gzip
import io
import sys
from typing import TYPE_CHECKING, TextIO, cast

import pytest

from otel_embedder.errors import CutOffFileError, UnreadableFileError
from otel_embedder.files.trace_files import STDIN, TraceFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINE = b'{"resourceSpans":[]}\n'
PROTOBUF = b"\0\0\0\0"


class FakeStdin:
    """A standard input that holds some bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BufferedReader(io.BytesIO(content))


class Pipe(io.BytesIO):
    """Bytes that come once."""

    def seekable(self) -> bool:
        return False


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Callable[[bytes], str]:
    """Give what writes a new file and gives its path."""

    def write(content: bytes) -> str:
        path = tmp_path / f"traces-{len([*tmp_path.iterdir()])}"
        path.write_bytes(content)
        return str(path)

    return write


def refuse(error: CutOffFileError) -> None:
    raise error


def reading(*names: str) -> TraceFiles:
    return TraceFiles(names, on_cut_off=refuse)


def test_files_are_read_one_after_the_other(file: Callable[[bytes], str]) -> None:
    names = [file(LINE * 2), file(b""), file(gzip.compress(LINE))]

    assert [message.place for message in reading(*names).messages()] == [
        *(f"{names[0]}, line 1", f"{names[0]}, line 2", f"{names[2]}, line 1")
    ]


def test_it_is_told_how_many_bytes_were_read(file: Callable[[bytes], str]) -> None:
    packed = gzip.compress(LINE * 3)
    files = reading(file(LINE), file(packed))
    positions = [files.position(), *(files.position() for _ in files.messages())]

    assert positions == [0, len(LINE), *[len(LINE) + len(packed)] * 3]
    assert files.position() == len(LINE) + len(packed)


def test_stdin_is_read_but_has_no_position(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = FakeStdin(b"")
    stdin.buffer = io.BufferedReader(Pipe(LINE))
    monkeypatch.setattr(sys, "stdin", cast("TextIO", stdin))
    files = reading(STDIN)
    files.refuse_mixture()

    assert [message.content for message in files.messages()] == [LINE.strip()]
    assert files.position() == 0


def test_files_of_one_form_are_no_mixture(file: Callable[[bytes], str]) -> None:
    reading(file(LINE), file(b""), file(gzip.compress(LINE)), file(LINE)).refuse_mixture()


def test_files_of_different_forms_are_refused(file: Callable[[bytes], str]) -> None:
    names = [file(b""), file(LINE), file(PROTOBUF), file(LINE)]

    with pytest.raises(
        UnreadableFileError, match=f"{names[1]} OTLP/JSON and {names[2]} OTLP protobuf"
    ):
        reading(*names).refuse_mixture()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="missing can't be read: No such file"):
        [*reading(str(tmp_path / "missing")).messages()]


def test_a_damaged_file_is_named(file: Callable[[bytes], str]) -> None:
    name = file(gzip.compress(LINE)[:-1] + b"x")

    with pytest.raises(UnreadableFileError, match=f"{name}: the file is damaged"):
        [*reading(name).messages()]


def test_a_file_that_is_cut_off_is_named(file: Callable[[bytes], str]) -> None:
    name = file(LINE + LINE[:5])
    messages = reading(name).messages()

    assert next(messages).place == f"{name}, line 1"
    with pytest.raises(CutOffFileError, match=f"{name}: the file is cut off"):
        next(messages)


def test_behind_a_file_that_is_cut_off_the_next_is_read_on_request(
    file: Callable[[bytes], str],
) -> None:
    errors: list[CutOffFileError] = []
    names = [file(LINE + LINE[:5]), file(b"{"), file(LINE)]
    files = TraceFiles(names, on_cut_off=errors.append)

    assert [message.place for message in files.messages()] == [
        *(f"{names[0]}, line 1", f"{names[2]}, line 1")
    ]
    assert [str(error).split(":")[0] for error in errors] == names[:2]
    assert files.position() == 2 * len(LINE) + 6
