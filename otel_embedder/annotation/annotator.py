"""An embedding as encoded span attributes, to be put behind a span's own bytes. Pure."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

from otel_embedder.annotation.names import Names
from otel_embedder.annotation.standing import Origin, Standing, judge, says
from otel_embedder.annotation.text_id import text_id
from otel_embedder.annotation.vectors import ENCODERS, whole_vector
from otel_embedder.embedder.models.weights import known_dimension, model_name
from otel_embedder.otlp.attributes import (
    PROTOBUF,
    Syntax,
    attributes_of,
    read_value,
    without_attributes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_embedder.annotation.settings import AnnotationSettings, Encoding
    from otel_embedder.embedder.embedding import Embedding, Vector

# What is remembered of embeddings as attributes takes at most this much memory.
MAX_ENCODED_BYTES = 43_000_000


class Annotator:
    """Encodes embeddings as attributes, and finds those that a span carries already.

    Attributes:
        keys: the names of our attributes, encoded.
        tells_text: whether spans of one embedding and two texts have two encodings.

    """

    def __init__(  # noqa: PLR0913 - each is one choice
        self,
        origin: Origin,
        *,
        encoding: Encoding,
        prefix: str,
        attach_text: bool,
        attach_text_id: bool = True,
        max_remembered: int,
        syntax: Syntax | None = None,
    ) -> None:
        """Prepare to annotate.

        Args:
            origin: what a vector of ours says of itself.
            encoding: how a vector is kept.
            prefix: what the names of our attributes begin with.
            attach_text: whether the text is attached as well.
            attach_text_id: whether its id is, too.
            max_remembered: how many embeddings are remembered as attributes.
            syntax: how attributes are written; as protobuf, if it is None.

        """
        self._origin = origin
        self._syntax = syntax or PROTOBUF
        self._encode_vector = partial(ENCODERS[encoding], self._syntax)
        self._attaches_text = attach_text
        self._attaches_text_id = attach_text_id
        self.tells_text = attach_text or attach_text_id
        self._mark = prefix.encode()
        self._names = Names.with_prefix(prefix)
        self.keys = frozenset(name.encode() for name in self._names)
        self._remembered = lru_cache(max_remembered)(self._encode)
        self._referring = lru_cache(max_remembered)(self._refer)

    def attributes(self, embedding: Embedding, text: str | None) -> bytes:
        """Give an embedding of `text` as attributes, in this annotator's syntax.

        Of a span that was not rendered the text is None, and so is not told.
        A model's embedding recurs, so its encoding is remembered; a stand-in's does not.
        """
        if embedding.source == "model":
            return self._remembered(embedding, text)
        return self._encode(embedding, text)

    def references(self, embedding: Embedding, text: str | None) -> bytes:
        """Give what leads to a model's vector, which another span has; of a stand-in `attributes`.

        The id is a hash of model, text version and text, so it alone says whose vector it leads to.
        """
        if embedding.source == "model" and text is not None:
            return self._referring(text)
        return self.attributes(embedding, text)

    def first_seen(self, embedding: Embedding, text: str | None) -> bytes:
        """Give what `attributes` does, and that this is the span which brings the vector."""
        fields = self._vector_field(embedding) | self._fields(embedding, text)
        return self._joined(fields | {self._names.first_seen: self._syntax.true})

    def _encode(self, embedding: Embedding, text: str | None) -> bytes:
        return self._joined(self._vector_field(embedding) | self._fields(embedding, text))

    def _refer(self, text: str) -> bytes:
        return self._joined(self._text_fields(text))

    def _joined(self, fields: Mapping[str, list[bytes]]) -> bytes:
        attribute = self._syntax.attribute
        return self._syntax.separator.join(
            attribute(name.encode(), value) for name, value in fields.items()
        )

    def _vector_field(self, embedding: Embedding) -> dict[str, list[bytes]]:
        return {self._names.vector: self._encode_vector(embedding.vector)}

    def _fields(self, embedding: Embedding, text: str | None) -> dict[str, list[bytes]]:
        string, names = self._syntax.string, self._names
        fields = {
            names.model_name: string(embedding.model),
            names.source: string(embedding.source),
            names.text_version: string(self._origin.text_version),
        }
        if text is not None:
            fields |= self._text_fields(text)
        return fields

    def _text_fields(self, text: str) -> dict[str, list[bytes]]:
        string, names = self._syntax.string, self._names
        fields: dict[str, list[bytes]] = {}
        if self._attaches_text_id:
            fields[names.text_id] = string(text_id(self._origin, text))
        if self._attaches_text:
            fields[names.text] = string(text)
        return fields

    def standing(self, span: bytes) -> Standing:
        """Tell what an encoded span has of an embedding already.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        # Nearly no span has our attributes, and then no look at them is needed.
        if self._mark not in span:
            return Standing.NONE
        return judge(self._found(span), self._names, self._origin)

    def _found(self, span: bytes) -> dict[str, object]:
        """Give the attributes of our names that an encoded span has."""
        return {
            key.decode(): read_value(value)
            for key, value in attributes_of(span, prefix=self._mark)
            if key in self.keys
        }

    def vector(self, span: bytes, *, dimension: int) -> Vector | None:
        """Give the vector that an encoded span carries, if it is the one that we would make.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        if self.standing(span) is not Standing.CURRENT:
            return None
        return whole_vector(self._found(span)[self._names.vector], dimension)

    def is_of(self, span: bytes, text: str) -> bool:
        """Tell whether what an encoded span has of ours is of this text, as far as it says.

        Something on the way may have changed the span since: have hidden a value, say.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        found, names = self._found(span), self._names
        ours = {names.text_id: text_id(self._origin, text), names.text: text}
        return all(name not in found or says(found, name, said) for name, said in ours.items())

    def stripped(self, span: bytes) -> bytes:
        """Give an encoded span without our attributes; all else is kept, foreign ones too.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        if self.standing(span) in {Standing.NONE, Standing.FOREIGN}:
            return span
        return without_attributes(span, self.keys, prefix=self._mark)


def annotator(
    settings: AnnotationSettings, text_version: str, syntax: Syntax = PROTOBUF
) -> Annotator:
    """Give what the settings say of the attributes."""
    return Annotator(
        Origin(model_name(settings.model), text_version, known_dimension(settings.model)),
        encoding=settings.encoding,
        prefix=settings.attribute_prefix,
        attach_text=settings.attach_text,
        attach_text_id=settings.text_id,
        max_remembered=min(settings.cache_size, MAX_ENCODED_BYTES // (384 * syntax.double_bytes)),
        syntax=syntax,
    )
