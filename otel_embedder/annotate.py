"""An embedding as encoded span attributes, to be put behind a span's own bytes. Pure.

OpenInference's names are used where it has one (embedding.vector,
embedding.model_name, embedding.text); embedding.source and
embedding.text_version are ours, and by the latter we know our own.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.wire import message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_embedder.choices import Encoding
    from otel_embedder.embedder import Embedding, Vector

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

# How far from 1 the length of a vector of ours may be, for what rounding does.
UNIT_TOLERANCE = 1e-3


class Standing(Enum):
    """What a span that comes in has of an embedding already."""

    NONE = "none"
    CURRENT = "current"  # the vector we would make: leave it
    OUTDATED = "outdated"  # the vector of another model or text: replace it by a model's
    STAND_IN = "stand-in"  # ours, but no model's vector: replace it by whatever there is
    FOREIGN = "foreign"  # somebody else's: never touch it


class Names(NamedTuple):
    """The names of our attributes, encoded, with their prefix."""

    vector: bytes
    model_name: bytes
    source: bytes
    text_version: bytes
    text: bytes


@dataclass(frozen=True, slots=True)
class Origin:
    """What a vector must say of itself to be the one that we would make.

    Attributes:
        model: the name of the model.
        text_version: the version of the text.

    """

    model: str
    text_version: str


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


class Annotator:
    """Encodes embeddings as attributes, and finds those that a span carries already."""

    def __init__(  # noqa: PLR0913 - each is one choice
        self,
        origin: Origin,
        *,
        encoding: Encoding,
        prefix: str,
        attach_text: bool,
        max_remembered: int,
        syntax: Syntax | None = None,
    ) -> None:
        """Prepare to annotate.

        Args:
            origin: what a vector of ours says of itself.
            encoding: how a vector is kept.
            prefix: what the names of our attributes begin with.
            attach_text: whether the text is attached as well.
            max_remembered: how many embeddings are remembered as attributes.
            syntax: how attributes are written; as protobuf, if it is None.

        """
        self._origin = origin
        self._syntax = syntax or PROTOBUF
        self._encode_vector = self._syntax.vectors[encoding]
        self._attach_text = attach_text
        self._mark = prefix.encode()
        self._names = Names(*(f"{prefix}{name}".encode() for name in Names._fields))
        self._remembered = lru_cache(max_remembered)(self._encode)

    @property
    def keys(self) -> frozenset[bytes]:
        """Give the keys of our attributes."""
        return frozenset(self._names)

    def attributes(self, embedding: Embedding, text: str | None) -> bytes:
        """Give an embedding of `text` as attributes, in this annotator's syntax.

        Of a span that was not rendered the text is None, and so is not attached.
        A model's embedding recurs, so its encoding is remembered; a stand-in's does not.
        """
        if embedding.source == "model":
            return self._remembered(embedding, text)
        return self._encode(embedding, text)

    def _encode(self, embedding: Embedding, text: str | None) -> bytes:
        attribute, string = self._syntax.attribute, self._syntax.string
        fields = [
            attribute(self._names.vector, self._encode_vector(embedding.vector)),
            attribute(self._names.model_name, string(embedding.model)),
            attribute(self._names.source, string(embedding.source)),
            attribute(self._names.text_version, string(self._origin.text_version)),
        ]
        if self._attach_text and text is not None:
            fields.append(attribute(self._names.text, string(text)))
        return self._syntax.separator.join(fields)

    def standing(self, span: bytes) -> Standing:
        """Tell what an encoded span has of an embedding already.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        # Nearly no span has our attributes, and then no look at them is needed.
        if self._mark not in span:
            return Standing.NONE
        pairs = map(pb.KeyValue.FromString, pb.SpanAttributes.FromString(span).attributes)
        found = {
            pair.key: pb.AnyValue.FromString(pair.value).string_value
            for pair in pairs
            if pair.key in self._names
        }
        return self._judge(found)

    def _judge(self, found: dict[bytes, bytes]) -> Standing:
        if not found:
            return Standing.NONE
        if self._names.text_version not in found:
            return Standing.FOREIGN
        if self._names.vector not in found or found.get(self._names.source) != b"model":
            return Standing.STAND_IN
        current = (
            found.get(self._names.model_name) == self._origin.model.encode()
            and found[self._names.text_version] == self._origin.text_version.encode()
        )
        return Standing.CURRENT if current else Standing.OUTDATED

    def vector(self, span: bytes, *, dimension: int) -> Vector | None:
        """Give the vector that an encoded span carries, if it is the one that we would make.

        A damaged one counts as none.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        if self.standing(span) is not Standing.CURRENT:
            return None
        pairs = map(pb.KeyValue.FromString, pb.SpanAttributes.FromString(span).attributes)
        values = {pair.key: pair.value for pair in pairs}
        with suppress(ValueError):
            vector = decode_vector(values[self._names.vector])
            if _is_whole(vector, dimension):
                return vector
        return None

    def stripped(self, span: bytes) -> bytes:
        """Give an encoded span without our attributes; all else is kept.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        if self._mark not in span:
            return span
        parsed = pb.SpanAttributes.FromString(span)
        kept = [
            encoded
            for encoded in parsed.attributes
            if pb.KeyValue.FromString(encoded).key not in self._names
        ]
        parsed.ClearField("attributes")
        parsed.attributes.extend(kept)
        return parsed.SerializeToString()


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


def _is_whole(vector: Vector, dimension: int) -> bool:
    """Tell whether a vector has its full dimension and unit length, as all of ours have."""
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.linalg.norm(vector)
    return len(vector) == dimension and bool(abs(length - 1) < UNIT_TOLERANCE)
