"""What a file seems to be, found by looking at its beginning.

A file of JSON may begin with blanks, a byte order mark or the NULs of a hole, and
the bytes of a length or of a protobuf message may look like one of these. So
JSON it is where a whole beginning of JSON stands, and not by a first byte.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING

from otel_embedder.errors import UnreadableFileError
from otel_embedder.files.decompression import seen_again
from otel_embedder.files.json_text import BLANKS

if TYPE_CHECKING:
    import io

# How much of a file is looked at, at most: a longer hole is one in JSON, for no file begins with
# so many requests of nothing.
LOOK_BYTES = 65_536
# A byte order mark, or a letter of UTF-16 and what follows it.
MIN_LOOK_BYTES = 4
# A protobuf message begins with a field's number times eight, and no field is number 0. So a
# first byte below eight is a length's, of up to 128 MiB.
MIN_TAG = 8

LEADING_BLANKS = re.compile(BLANKS)
SPACE = rb"[ \t\r\n]*+"
# Protobuf has a byte below a space where this has none.
OBJECT_START = rb'\{%b(?:"(?:[^"\\\0-\x1f]|\\.)*+"%b:|\})'.replace(b"%b", SPACE)
JSON_START = re.compile(OBJECT_START + rb"|\[%b(?:\]|".replace(b"%b", SPACE) + OBJECT_START + rb")")
CONTROL = rb"\0-\x08\x0e-\x1a\x1c-\x1f\x7f"  # what no text has
# A file may begin in the middle of a line, where it was cut.
LATER_JSON_START = re.compile(rb"[^%b]*?\n(?:".replace(b"%b", CONTROL) + JSON_START.pattern + rb")")
UTF_16 = re.compile(rb"\xff\xfe|\xfe\xff|[\{\[]\0[\"\{\[ \r\n]\0|\0[\{\[]\0[\"\{\[ \r\n]")
NO_TEXT = re.compile(rb"[" + CONTROL + rb"]")

# What files of traces are packed into that are not read here.
PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\x04\x22\x4d\x18": "compressed with lz4",
    b"\xff\x06\0\0sNaPpY": "compressed with snappy",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "a database of SQLite",
}


class Look(Enum):
    """What a file seems to be."""

    NOTHING = auto()
    JSON = auto()
    LENGTHS = auto()  # requests, each behind its length
    ALONE = auto()  # one protobuf request


def look_at(file: io.BufferedReader) -> tuple[Look, io.BufferedReader]:
    """Find out what a file seems to be; give that, and the file from its beginning.

    No more of it is read than that takes, for it may be a pipe in which little comes.

    Raises:
        UnreadableFileError: something that is not read here.

    """
    head, look = b"", None
    while look is None:
        more = file.read1(LOOK_BYTES)
        head += more
        look = seems(head, is_all=not more or len(head) >= LOOK_BYTES)
    return look, seen_again(head, file)


def seems(head: bytes, *, is_all: bool) -> Look | None:
    """Tell what a file seems to be that begins so; None if more of it is to be seen.

    Args:
        head: the beginning.
        is_all: whether there is no more, or that would tell no more.

    Raises:
        UnreadableFileError: something that is not read here.

    """
    blanks = LEADING_BLANKS.match(head)
    rest = head[blanks.end() :] if blanks else head
    if not is_all and (not rest or len(head) < MIN_LOOK_BYTES):
        return None
    if not rest:
        return _blank(head)
    if head[:1] in {b"{", b"["} or JSON_START.match(rest):
        return _checked(head, Look.JSON)
    if head[:1] != b"\n" and LATER_JSON_START.match(rest):
        return Look.JSON
    if not is_all and (rest[:1] in {b"{", b"["} or not NO_TEXT.search(rest)):
        return None
    return _checked(head, Look.LENGTHS if head[0] < MIN_TAG else Look.ALONE)


def _blank(head: bytes) -> Look:
    if head[:1] == b"\n" and b"\0" in head:
        return Look.ALONE  # resources of nothing, each a line feed and a NUL
    if head.strip(b"\0") or len(head) >= LOOK_BYTES:
        return Look.JSON
    return Look.LENGTHS if head else Look.NOTHING


def _checked(head: bytes, look: Look) -> Look:
    """Make sure that it is none of what we know and don't read."""
    if UTF_16.match(head):
        raise UnreadableFileError("the file is UTF-16 text, and UTF-8 is wanted: convert it first")
    for magic, packing in PACKED.items():
        if head.startswith(magic):
            raise UnreadableFileError(f"the file seems to be {packing}: unpack it first")
    if look is Look.ALONE and head[:1] != b"\n" and not NO_TEXT.search(head):
        raise UnreadableFileError(
            "the file, which is no JSON, is not OTLP protobuf either: it seems to be other text"
        )
    return look
