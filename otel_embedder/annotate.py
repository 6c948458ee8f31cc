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
from typing import TYPE_CHECKING, Literal

import numpy as np

from otel_embedder.any_value import read_key_value
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.wire import length_prefix, message

if TYPE_CHECKING:
    from otel_embedder.embedder import Embedding, Vector

Encoding = Literal["array", "bytes", "base64"]

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

# An encoded array of 384 doubles is 4.3 KB: at most some 40 MB of them.
MAX_ENCODED = 10_000


class Standing(Enum):
    """What a span that comes in has of an embedding already."""

    NONE = "none"
    CURRENT = "current"  # the vector we would make: leave it
    OUTDATED = "outdated"  # ours, but a stand-in or of another model or text: replace it
    FOREIGN = "foreign"  # somebody else's: never touch it


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
        self, origin: Origin, *, encoding: Encoding, prefix: str, attach_text: bool
    ) -> None:
        self._origin = origin
        self._encode_vector = VECTOR_ENCODINGS[encoding]
        self._attach_text = attach_text
        self._mark = prefix.encode()
        self._vector_key = f"{prefix}vector"
        self._model_key = f"{prefix}model_name"
        self._source_key = f"{prefix}source"
        self._version_key = f"{prefix}text_version"
        self._text_key = f"{prefix}text"
        self._keys = {
            *(self._vector_key, self._model_key, self._source_key),
            *(self._version_key, self._text_key),
        }
        self._remembered = lru_cache(MAX_ENCODED)(self._encode)

    def attributes(self, embedding: Embedding, text: str) -> bytes:
        """Give an embedding of `text` as encoded Span.attributes fields.

        A model's embedding recurs, so its encoding is remembered; a stand-in's does not.
        """
        if embedding.source == "model":
            return self._remembered(embedding, text)
        return self._encode(embedding, text)

    def _encode(self, embedding: Embedding, text: str) -> bytes:
        fields = [
            _attribute(self._vector_key, self._encode_vector(embedding.vector)),
            _attribute(self._model_key, _string(embedding.model)),
            _attribute(self._source_key, _string(embedding.source)),
            _attribute(self._version_key, _string(self._origin.text_version)),
        ]
        if self._attach_text:
            fields.append(_attribute(self._text_key, _string(text)))
        return b"".join(fields)

    def standing(self, span: bytes) -> Standing:
        """Tell what an encoded span has of an embedding already.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        # Nearly no span has our attributes, and then no look at them is needed.
        if self._mark not in span:
            return Standing.NONE
        found = {
            key: pb.AnyValue.FromString(value).string_value.decode(errors="replace")
            for key, value in map(read_key_value, pb.SpanAttributes.FromString(span).attributes)
            if key in self._keys
        }
        return self._judge(found)

    def _judge(self, found: dict[str, str]) -> Standing:
        if not found:
            return Standing.NONE
        if self._version_key not in found:
            return Standing.FOREIGN
        current = (
            self._vector_key in found
            and found.get(self._source_key) == "model"
            and found.get(self._model_key) == self._origin.model
            and found[self._version_key] == self._origin.text_version
        )
        return Standing.CURRENT if current else Standing.OUTDATED

    def stripped(self, span: bytes) -> bytes:
        """Give an encoded span without our attributes; all else is kept.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        parsed = pb.SpanAttributes.FromString(span)
        kept = [
            encoded for encoded in parsed.attributes if read_key_value(encoded)[0] not in self._keys
        ]
        parsed.ClearField("attributes")
        parsed.attributes.extend(kept)
        return parsed.SerializeToString()


def _attribute(key: str, value: list[bytes]) -> bytes:
    """Give a Span.attributes field: a KeyValue of a key and the parts of an AnyValue."""
    encoded_key = key.encode()
    parts = [length_prefix(KEY_TAG, len(encoded_key)), encoded_key, *message(VALUE_TAG, value)]
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
