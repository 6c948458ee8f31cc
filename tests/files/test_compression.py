from __future__ import annotations

import io
from pathlib import Path

import pytest

from otel_embedder.files.compression import framed_writer
from tests.support.compression import READERS


@pytest.mark.parametrize("suffix", READERS)
def test_what_was_written_is_read_again(suffix: str) -> None:
    file = io.BytesIO()
    writer = framed_writer(Path(f"traces.jsonl{suffix}"), file)
    for part in (b"some", b" ", b"", b"bytes"):
        writer.write(part)
    writer.end_frame()

    assert READERS[suffix](file.getvalue()) == b"some bytes"


@pytest.mark.parametrize("suffix", READERS)
def test_frames_stand_alone_and_together(suffix: str) -> None:
    file = io.BytesIO()
    writer = framed_writer(Path(f"traces.jsonl{suffix}"), file)
    ends = []
    for part in (b"one", b"two"):
        writer.write(part)
        writer.end_frame()
        ends.append(file.tell())

    read, content = READERS[suffix], file.getvalue()
    assert ends[1] == len(content)
    assert [read(content[: ends[0]]), read(content[ends[0] :]), read(content)] == [
        *(b"one", b"two", b"onetwo")
    ]


@pytest.mark.parametrize("suffix", READERS)
def test_a_file_of_nothing_is_whole(suffix: str) -> None:
    file = io.BytesIO()
    framed_writer(Path(f"traces.jsonl{suffix}"), file).end_frame()

    assert READERS[suffix](file.getvalue()) == b""
    assert bool(file.getvalue()) == bool(suffix)


@pytest.mark.parametrize("suffix", READERS)
def test_equal_content_is_equal_bytes(suffix: str) -> None:
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        writer = framed_writer(Path(f"traces.jsonl{suffix}"), file)
        writer.write(b"some bytes")
        writer.end_frame()

    assert files[0].getvalue() == files[1].getvalue()
