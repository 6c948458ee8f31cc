"""An embedding as encoded span attributes, to be put behind a span's own bytes. Pure.

OpenInference's names are used where it has one (embedding.vector,
embedding.model_name, embedding.text); embedding.source and
embedding.text_version are ours, and by the latter we know our own.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.wire import message

if TYPE_CHECKING:
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


class Annotator:
    """Encodes embeddings as attributes, and finds those that a span carries already."""

    def __init__(
        self,
        origin: Origin,
        *,
        encoding: Encoding,
        prefix: str,
        attach_text: bool,
        max_remembered: int,
    ) -> None:
        self._origin = origin
        self._encode_vector = VECTOR_ENCODINGS[encoding]
        self._attach_text = attach_text
        self._mark = prefix.encode()
        self._names = Names(*(f"{prefix}{name}".encode() for name in Names._fields))
        self._remembered = lru_cache(max_remembered)(self._encode)

    def attributes(self, embedding: Embedding, text: str) -> bytes:
        """Give an embedding of `text` as encoded Span.attributes fields.

        A model's embedding recurs, so its encoding is remembered; a stand-in's does not.
        """
        if embedding.source == "model":
            return self._remembered(embedding, text)
        return self._encode(embedding, text)

    def _encode(self, embedding: Embedding, text: str) -> bytes:
        fields = [
            _attribute(self._names.vector, self._encode_vector(embedding.vector)),
            _attribute(self._names.model_name, _string(embedding.model)),
            _attribute(self._names.source, _string(embedding.source)),
            _attribute(self._names.text_version, _string(self._origin.text_version)),
        ]
        if self._attach_text:
            fields.append(_attribute(self._names.text, _string(text)))
        return b"".join(fields)

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

    def stripped(self, span: bytes) -> bytes:
        """Give an encoded span without our attributes; all else is kept.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
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


def _bytes(vector: Vector) -> list[bytes]:
    return message(BYTES_TAG, [vector.astype("<f4").tobytes()])


def _base64(vector: Vector) -> list[bytes]:
    return message(STRING_TAG, [base64.b64encode(vector.astype("<f4").tobytes())])


VECTOR_ENCODINGS = {"array": _array, "bytes": _bytes, "base64": _base64}
