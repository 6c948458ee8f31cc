"""Where the fields of an encoded message lie: a message of any size, without a copy of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from otel_embedder.errors import MalformedRequestError
from otel_embedder.otlp.protobuf import BYTES, KIND_BITS, KIND_MASK, Cursor

if TYPE_CHECKING:
    from collections.abc import Iterator


def fields(encoded: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Give the length-delimited fields of a message that is a part of these bytes.

    Each is its number, and where its content starts and ends. Those within a group,
    which OTLP has none of, are not given.

    Raises:
        google.protobuf.message.DecodeError: it is not a message.

    """
    cursor = Cursor(encoded, start, end, level=0)
    try:
        while not cursor.is_at_end():
            field = cursor.field()
            if field.tag & KIND_MASK == BYTES:
                yield field.tag >> KIND_BITS, field.value, field.end
    except MalformedRequestError as error:
        raise DecodeError("a part of a span is not a valid protobuf message") from error
