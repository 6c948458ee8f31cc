"""Where the fields of an encoded message lie: a message of any size, without a copy of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Wire types, the last three bits of a tag: https://protobuf.dev/programming-guides/encoding/
KIND_BITS, KIND_MASK = 3, 7
VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}

VARINT_MORE = 128  # this bit of a byte says that another follows
VARINT_BITS = 7
MAX_VARINT_BYTES = 10


def fields(encoded: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Give the length-delimited fields of a message that is a part of these bytes.

    Each is its number, and where its content starts and ends. Behind a group, which
    OTLP has none of, nothing is found.

    Raises:
        google.protobuf.message.DecodeError: it is not a message.

    """
    while start < end:
        tag, start = _varint(encoded, start)
        kind = tag & KIND_MASK
        if kind == LENGTH_DELIMITED:
            length, start = _varint(encoded, start)
            if start + length > end:
                break
            yield tag >> KIND_BITS, start, start + length
            start += length
        elif kind == VARINT:
            _, start = _varint(encoded, start)
        elif kind in FIXED_BYTES:
            start += FIXED_BYTES[kind]
        else:
            return
    else:
        if start == end:
            return
    raise DecodeError("a field goes beyond the end of its message")


def _varint(encoded: bytes, start: int) -> tuple[int, int]:
    """Give a number, and where it ends."""
    number = bits = 0
    for byte in encoded[start : start + MAX_VARINT_BYTES]:
        start += 1
        if byte < VARINT_MORE:
            return number | byte << bits, start
        number |= byte - VARINT_MORE << bits
        bits += VARINT_BITS
    raise DecodeError("a number has no end")
