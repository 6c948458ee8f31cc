from __future__ import annotations

import io
import os

import pytest

from otel_embedder.errors import UnreadableFileError
from otel_embedder.files.forms import LOOK_BYTES, Look, look_at
from tests.support.otlp_samples import field, request, span

MESSAGE = request(span()).SerializeToString()


def look(content: bytes) -> Look:
    seen, file = look_at(io.BufferedReader(io.BytesIO(content)))
    assert file.read() == content
    return seen


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", Look.NOTHING),
        (b"{", Look.JSON),
        (b"[5", Look.JSON),
        (b' \r\n\t{ "a\\"b" : 1}', Look.JSON),
        (b"\xef\xbb\xbf\n[ ]", Look.JSON),
        (b"\0\0\0\0\0" + b'{"a":1}', Look.JSON),
        (b"\0" * LOOK_BYTES + b'{"a":1}', Look.JSON),
        (b"  \n", Look.JSON),
        (b'ue":"x"}]}\n{"resourceSpans":[]}\n', Look.JSON),
        (MESSAGE, Look.ALONE),
        (b"\n\0", Look.ALONE),
        (len(MESSAGE).to_bytes(4) + MESSAGE, Look.LENGTHS),
        (bytes(4), Look.LENGTHS),
        (bytes(3), Look.LENGTHS),
        ((0x7B).to_bytes(4) + field(1, b"x" * 121), Look.LENGTHS),
        ((0x5B).to_bytes(4) + field(1, b"x" * 89), Look.LENGTHS),
    ],
    ids=range(16),
)
def test_a_form_is_seen_at_the_beginning(content: bytes, expected: Look) -> None:
    assert look(content) is expected


@pytest.mark.parametrize("length", range(300))
def test_protobuf_is_never_taken_for_json(length: int) -> None:
    message = field(1, field(1, b"x" * length))

    assert look(message) is Look.ALONE
    assert look(len(message).to_bytes(4) + message) is Look.LENGTHS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        ('{"a": 1}'.encode("utf-16-le"), "UTF-16"),
        ('{"a": 1}'.encode("utf-16-be"), "UTF-16"),
        (b"PK\x03\x04 and so on", "zip archive"),
        (b"BZh91AY", "bzip2"),
        (b"\x04\x22\x4d\x18" + bytes(9), "lz4"),
        (b"span_id,name\n1,pay\n", "no JSON.*other text"),
        (b'"resourceSpans"', "no JSON.*other text"),
    ],
    ids=["UTF-16", "little", "big", "zip", "bzip2", "lz4", "CSV", "a string"],
)
def test_what_is_not_read_is_named(content: bytes, words: str) -> None:
    with pytest.raises(UnreadableFileError, match=words):
        look(content)


def test_a_pipe_is_looked_at_as_far_as_needed() -> None:
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as pipe, open(write_end, "wb") as writer:  # noqa: PTH123 - descriptors
        writer.write(b'\n{"resourceSpans":')
        writer.flush()

        # The writer is still there, so to read more would never end.
        assert look_at(pipe)[0] is Look.JSON
