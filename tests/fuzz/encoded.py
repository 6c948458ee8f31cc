"""Protobuf's wire format, taken apart without a schema and put together again."""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

VARINT, FIXED_64, BYTES, GROUP, GROUP_END, FIXED_32 = range(6)
SIZES = {FIXED_32: 4, FIXED_64: 8}

Value = int | bytes | tuple["Field", ...]


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        number: its number.
        kind: its wire type.
        value: a number; the bytes of a string or a message; the fields of a group.

    """

    number: int
    kind: int
    value: Value


def fields(encoded: bytes) -> list[Field]:
    """Give the fields of a message in the order that they came.

    Raises:
        google.protobuf.message.DecodeError: it is not protobuf.

    """
    # To a message that knows no field all are unknown.
    return list(_fields(UnknownFieldSet(Empty.FromString(encoded))))


def _fields(found: UnknownFieldSet) -> tuple[Field, ...]:
    return tuple(
        Field(
            each.field_number,
            each.wire_type,
            _fields(each.data) if each.wire_type == GROUP else each.data,
        )
        for each in map(found.__getitem__, range(len(found)))
    )


def encode(field: Field) -> bytes:
    """Give a field as bytes."""
    number, kind, value = field
    if isinstance(value, tuple):
        return tag(number, GROUP) + b"".join(map(encode, value)) + tag(number, GROUP_END)
    if isinstance(value, bytes):
        return tag(number, BYTES) + varint(len(value)) + value
    if kind == VARINT:
        return tag(number, VARINT) + varint(value)
    return tag(number, kind) + value.to_bytes(SIZES[kind], "little")


def part(number: int, value: bytes) -> bytes:
    """Give a field of bytes, a string or a message as bytes."""
    return encode(Field(number, BYTES, value))


def tag(number: int, kind: int) -> bytes:
    """Give what stands in front of a field's value."""
    return varint(number << 3 | kind)


def varint(number: int) -> bytes:
    """Give a number as protobuf's digits of seven bits, the lowest first."""
    digits = []
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*digits, number))
