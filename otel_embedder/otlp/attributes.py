"""Attributes as encoded bytes, written and read without an object for each number."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.otlp.wire import message
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_embedder.annotation.settings import Encoding
    from otel_embedder.embedder.embedding import Vector

ATTRIBUTES_TAG = b"\x4a"  # Span.attributes = 9
KEY_TAG = b"\x0a"  # KeyValue.key = 1
VALUE_TAG = b"\x12"  # KeyValue.value = 2
STRING_TAG = b"\x0a"  # AnyValue.string_value = 1
ARRAY_TAG = b"\x2a"  # AnyValue.array_value = 5
BYTES_TAG = b"\x3a"  # AnyValue.bytes_value = 7
# An element of an ArrayValue that is a double: ArrayValue.values = 1, a message
# of nine bytes, AnyValue.double_value = 4, the double.
ARRAY_DOUBLE = np.dtype([("head", "V3"), ("double", "<f8")])
ARRAY_DOUBLE_HEAD = np.void(b"\x0a\x09\x21")


@dataclass(frozen=True, slots=True)
class Syntax:
    """How attributes are written; a value is pieces of bytes to be joined.

    Attributes:
        vectors: what writes a vector as a value, by the encoding.
        string: what writes a string as a value.
        attribute: what writes an attribute, of its key and its value.
        separator: what stands between two attributes.
        array_bytes: about what an array of 384 doubles takes.

    """

    vectors: Mapping[Encoding, Callable[[Vector], list[bytes]]]
    string: Callable[[str], list[bytes]]
    attribute: Callable[[bytes, list[bytes]], bytes]
    separator: bytes
    array_bytes: int


def _attribute(key: bytes, value: list[bytes]) -> bytes:
    """Give a Span.attributes field: a KeyValue of a key and the parts of an AnyValue."""
    parts = [*message(KEY_TAG, [key]), *message(VALUE_TAG, value)]
    return b"".join(message(ATTRIBUTES_TAG, parts))


def _string(value: str) -> list[bytes]:
    return message(STRING_TAG, [value.encode()])


def _array(vector: Vector) -> list[bytes]:
    elements = np.empty(len(vector), ARRAY_DOUBLE)
    elements["head"] = ARRAY_DOUBLE_HEAD
    elements["double"] = vector
    return message(ARRAY_TAG, [elements.tobytes()])


def packed(vector: Vector) -> bytes:
    """Give a vector as bytes and base64 have it: float32, little-endian."""
    return vector.astype("<f4").tobytes()


def _bytes(vector: Vector) -> list[bytes]:
    return message(BYTES_TAG, [packed(vector)])


def _base64(vector: Vector) -> list[bytes]:
    return message(STRING_TAG, [base64.b64encode(packed(vector))])


VECTOR_ENCODINGS: Mapping[Encoding, Callable[[Vector], list[bytes]]] = {
    "array": _array,
    "bytes": _bytes,
    "base64": _base64,
}
PROTOBUF = Syntax(VECTOR_ENCODINGS, _string, _attribute, separator=b"", array_bytes=4_300)


def decode_vector(value: bytes) -> Vector:
    """Read a vector from an encoded AnyValue, in any of our encodings.

    Raises:
        ValueError: it holds no vector.
        google.protobuf.message.DecodeError: it is not an AnyValue.

    """
    parsed = pb.AnyValue.FromString(value)
    match parsed.WhichOneof("value"):
        case "array_value":
            return _read_array(parsed.array_value)
        case "bytes_value":
            return np.frombuffer(parsed.bytes_value, "<f4")
        case "string_value":
            return np.frombuffer(base64.b64decode(parsed.string_value, validate=True), "<f4")
        case kind:
            raise ValueError(f"a vector is not kept as {kind}")


def _read_array(encoded: bytes) -> Vector:
    elements = np.frombuffer(encoded, ARRAY_DOUBLE)
    if (elements["head"] != ARRAY_DOUBLE_HEAD).any():
        raise ValueError("an array that is a vector holds nothing but doubles")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        return elements["double"].astype(np.float32)
