"""Attributes as encoded bytes, in protobuf and in JSON, without an object for each number.

A value is pieces of bytes, to be joined by whoever puts an attribute around it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.otlp.wire import length_delimited
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    # Any length, one dimension.
    Floats = npt.NDArray[np.floating]

ATTRIBUTES_TAG = b"\x4a"  # Span.attributes = 9
KEY_TAG = b"\x0a"  # KeyValue.key = 1
VALUE_TAG = b"\x12"  # KeyValue.value = 2
STRING_TAG = b"\x0a"  # AnyValue.string_value = 1
ARRAY_TAG = b"\x2a"  # AnyValue.array_value = 5
TRUE = b"\x10\x01"  # AnyValue.bool_value = 2
BYTES_TAG = b"\x3a"  # AnyValue.bytes_value = 7
# An element of an ArrayValue that is a double: ArrayValue.values = 1, a message
# of nine bytes, AnyValue.double_value = 4, the double.
ARRAY_DOUBLE = np.dtype([("head", "V3"), ("double", "<f8")])
ARRAY_DOUBLE_HEAD = np.void(b"\x0a\x09\x21")


@dataclass(frozen=True, slots=True)
class Syntax:
    """How attributes are written; a value is pieces of bytes to be joined.

    Attributes:
        doubles: what writes an array of doubles as a value.
        binary: what writes bytes as a value.
        string: what writes a string as a value.
        true: the value true.
        attribute: what writes an attribute, of its key and its value.
        separator: what stands between two attributes.
        double_bytes: about what a double takes in an array.

    """

    doubles: Callable[[Floats], list[bytes]]
    binary: Callable[[bytes], list[bytes]]
    string: Callable[[str], list[bytes]]
    true: list[bytes]
    attribute: Callable[[bytes, list[bytes]], bytes]
    separator: bytes
    double_bytes: int


def _attribute(key: bytes, value: list[bytes]) -> bytes:
    """Give a Span.attributes field: a KeyValue of a key and the pieces of an AnyValue."""
    pieces = [*length_delimited(KEY_TAG, [key]), *length_delimited(VALUE_TAG, value)]
    return b"".join(length_delimited(ATTRIBUTES_TAG, pieces))


def _doubles(values: Floats) -> list[bytes]:
    elements = np.empty(len(values), ARRAY_DOUBLE)
    elements["head"] = ARRAY_DOUBLE_HEAD
    elements["double"] = values
    return length_delimited(ARRAY_TAG, [elements.tobytes()])


def _binary(value: bytes) -> list[bytes]:
    return length_delimited(BYTES_TAG, [value])


def _string(value: str) -> list[bytes]:
    return length_delimited(STRING_TAG, [value.encode()])


PROTOBUF = Syntax(_doubles, _binary, _string, [TRUE], _attribute, separator=b"", double_bytes=11)


def _json_attribute(key: bytes, value: list[bytes]) -> bytes:
    return b"".join((b'{"key":', _quoted(key.decode()), b',"value":', *value, b"}"))


def _json_doubles(values: Floats) -> list[bytes]:
    # To write each number by itself, as json.dumps would, takes twice the time.
    doubles = '},{"doubleValue":'.join(map(repr, values.tolist()))
    return [b'{"arrayValue":{"values":[{"doubleValue":', doubles.encode(), b"}]}}"]


def _json_binary(value: bytes) -> list[bytes]:
    return [b'{"bytesValue":"', base64.b64encode(value), b'"}']


def _json_string(value: str) -> list[bytes]:
    return [b'{"stringValue":', _quoted(value), b"}"]


def _quoted(value: str) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


JSON = Syntax(
    _json_doubles,
    _json_binary,
    _json_string,
    [b'{"boolValue":true}'],
    _json_attribute,
    separator=b",",
    double_bytes=37,
)


def attributes_of(span: bytes, *, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """Give attributes of an encoded Span: each key, and its encoded AnyValue.

    Args:
        span: the span.
        prefix: what the keys begin with; of what has it nowhere, however many, none is read.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    for encoded in pb.SpanAttributes.FromString(span).attributes:
        if prefix in encoded:
            pair = pb.KeyValue.FromString(encoded)
            if pair.key.startswith(prefix):
                yield pair.key, pair.value


def without_attributes(span: bytes, keys: frozenset[bytes], *, prefix: bytes = b"") -> bytes:
    """Give an encoded Span without the attributes of these keys; all else is kept.

    Args:
        span: the span.
        keys: the keys.
        prefix: what each of them begins with.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    parsed = pb.SpanAttributes.FromString(span)
    kept = [
        encoded
        for encoded in parsed.attributes
        if prefix not in encoded or pb.KeyValue.FromString(encoded).key not in keys
    ]
    parsed.ClearField("attributes")
    parsed.attributes.extend(kept)
    return parsed.SerializeToString()


def read_value(encoded: bytes) -> str | bytes | Floats | None:
    """Read an encoded AnyValue that is a string, bytes or an array of doubles; None if another.

    What of a string is not UTF-8 becomes a question mark.

    Raises:
        google.protobuf.message.DecodeError: it is not an AnyValue.

    """
    value = pb.AnyValue.FromString(encoded)
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value.decode(errors="replace")
        case "bytes_value":
            return value.bytes_value
        case "array_value":
            return _read_doubles(value.array_value)
        case _:
            return None


def _read_doubles(encoded: bytes) -> Floats | None:
    if len(encoded) % ARRAY_DOUBLE.itemsize:
        return None
    elements = np.frombuffer(encoded, ARRAY_DOUBLE)
    return None if (elements["head"] != ARRAY_DOUBLE_HEAD).any() else elements["double"]
