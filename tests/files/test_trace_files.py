from __future__ import annotations

import gzip
import io
import sys
from typing import TYPE_CHECKING, TextIO, cast

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.errors import CutOffFileError, UnreadableFileError
from otel_embedder.files.trace_files import STDIN, TraceFiles
from tests.support.otlp_json import otlp_line
from tests.support.otlp_samples import UNKNOWN_FIELDS, field, request, span
from tests.support.trace_files import reading

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


def test_files_are_read_one_after_the_other(file: Callable[[bytes], str]) -> None:
    names = [file(LINE * 2), file(b""), file(gzip.compress(LINE))]

    assert [stored.position for stored in reading(*names).stored_requests()] == [
        *(f"{names[0]}: line 1", f"{names[0]}: line 2", f"{names[2]}: line 1")
    ]


def test_it_is_told_how_many_bytes_were_read(file: Callable[[bytes], str]) -> None:
    packed = gzip.compress(LINE * 3)
    files = reading(file(LINE), file(packed))
    positions = [files.position(), *(files.position() for _ in files.stored_requests())]

    assert positions == [0, len(LINE), *[len(LINE) + len(packed)] * 3]
    assert files.position() == len(LINE) + len(packed)


def test_stdin_is_read_but_has_no_position(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = FakeStdin(b"")
    stdin.buffer = io.BufferedReader(Pipe(LINE))
    monkeypatch.setattr(sys, "stdin", cast("TextIO", stdin))
    files = reading(STDIN)
    files.refuse_mixture()

    assert [stored.content for stored in files.stored_requests()] == [LINE.strip()]
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
        [*reading(str(tmp_path / "missing")).stored_requests()]


def test_a_damaged_file_is_named(file: Callable[[bytes], str]) -> None:
    name = file(gzip.compress(LINE)[:-1] + b"x")

    with pytest.raises(UnreadableFileError, match=f"{name}: the file is damaged"):
        [*reading(name).stored_requests()]


def test_a_file_that_is_cut_off_is_named(file: Callable[[bytes], str]) -> None:
    name = file(LINE + LINE[:5])
    requests = reading(name).stored_requests()

    assert next(requests).position == f"{name}: line 1"
    with pytest.raises(CutOffFileError, match=f"{name}: the file is cut off"):
        next(requests)


def test_behind_a_file_that_is_cut_off_the_next_is_read_on_request(
    file: Callable[[bytes], str],
) -> None:
    errors: list[CutOffFileError] = []
    names = [file(LINE + LINE[:5]), file(b"{"), file(LINE)]
    files = TraceFiles(names, on_cut_off=errors.append)

    assert [stored.position for stored in files.stored_requests()] == [
        *(f"{names[0]}: line 1", f"{names[2]}: line 1")
    ]
    assert [str(error).split(":")[0] for error in errors] == names[:2]
    assert files.position() == 2 * len(LINE) + 6


REQUEST = request(span("one"), span("two"))
ENCODED = REQUEST.SerializeToString()


def with_length(encoded: bytes) -> bytes:
    return len(encoded).to_bytes(4) + encoded


def test_requests_are_read_whatever_their_form(file: Callable[[bytes], str]) -> None:
    names = [file(otlp_line(REQUEST)), file(ENCODED), file(with_length(ENCODED))]

    assert [each.encode() for each in reading(*names).requests()] == [ENCODED] * 3


def test_a_request_keeps_its_bytes(file: Callable[[bytes], str]) -> None:
    encoded = field(1, field(2, field(2, UNKNOWN_FIELDS[0]))) + UNKNOWN_FIELDS[1]

    [came] = reading(file(with_length(encoded))).requests()

    assert came.encode() == encoded


def test_a_malformed_request_is_named_with_its_file(file: Callable[[bytes], str]) -> None:
    names = [file(LINE), file(with_length(ENCODED) + with_length(b"\xff"))]
    requests = reading(*names).requests()

    assert [next(requests).spans for _ in names] == [0, 2]
    with pytest.raises(UnreadableFileError, match=f"^{names[1]}: request 2 is not OTLP protobuf: "):
        next(requests)


def read_spans(files: TraceFiles) -> None:
    with files.naming_faults():
        for each in files.requests():
            for _, scope in each.scopes():
                Span.FromString(scope.spans[0].encoded)


def test_what_cannot_be_read_within_a_request_is_named_with_its_file(
    file: Callable[[bytes], str],
) -> None:
    name = file(with_length(b"") + with_length(field(1, field(2, field(2, b"\xff")))) * 2)
    files = reading(name)

    with pytest.raises(UnreadableFileError, match=f"^{name}: request 2 is not OTLP protobuf: "):
        read_spans(files)


def test_what_cannot_be_read_before_any_request_is_of_no_file(file: Callable[[bytes], str]) -> None:
    with pytest.raises(DecodeError), reading(file(LINE)).naming_faults():
        Span.FromString(b"\xff")


def test_a_fault_of_stdin_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", cast("TextIO", FakeStdin(LINE + b"{\n")))

    with pytest.raises(UnreadableFileError, match=r"^<stdin>: line 2 is not OTLP/JSON: "):
        [*reading(STDIN).requests()]
