"""An embedding as encoded span attributes, to be put behind a span's own bytes. Pure.

OpenInference's names are used where it has one (embedding.vector,
embedding.model_name, embedding.text); embedding.source and
embedding.text_version are ours, and by the latter we know our own.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.annotation.standing import Standing
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.otlp.attributes import PROTOBUF, Syntax, decode_vector
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from otel_embedder.annotation.settings import AnnotationSettings, Encoding
    from otel_embedder.embedder.embedding import Embedding, Vector


# How far from 1 the length of a vector of ours may be, for what rounding does.
UNIT_TOLERANCE = 1e-3

# What is remembered of embeddings as attributes takes at most this much memory.
MAX_ENCODED_BYTES = 43_000_000


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


def _is_whole(vector: Vector, dimension: int) -> bool:
    """Tell whether a vector has its full dimension and unit length, as all of ours have."""
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.linalg.norm(vector)
    return len(vector) == dimension and bool(abs(length - 1) < UNIT_TOLERANCE)


def annotator(
    settings: AnnotationSettings, text_version: str, syntax: Syntax = PROTOBUF
) -> Annotator:
    """Give what the settings say of the attributes."""
    return Annotator(
        Origin(model_name(settings.model), text_version),
        encoding=settings.encoding,
        prefix=settings.attribute_prefix,
        attach_text=settings.attach_text,
        max_remembered=min(settings.cache_size, MAX_ENCODED_BYTES // syntax.array_bytes),
        syntax=syntax,
    )
