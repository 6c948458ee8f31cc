"""A request of a file as what it will be written as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from otel_embedder.errors import UnwritableFileError
from otel_embedder.files.named_forms import Form
from otel_embedder.files.requests import (
    LENGTH_BYTES,
    MAX_LENGTH,
    StoredRequest,
    otlp_json,
    read_protobuf,
)
from otel_embedder.otlp.json_form.requests import JsonReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.otlp.json_form.requests import JsonRequest
    from otel_embedder.otlp.wire import TraceRequest


class Document(Protocol):
    """A request of a file, as what it will be written as."""

    @property
    def request(self) -> TraceRequest:
        """Its spans, to be rendered and annotated."""
        ...

    def pieces(self) -> Iterable[bytes]:
        """Give what goes to the file, to be written one after the other."""
        ...


@dataclass(frozen=True, slots=True)
class JsonDocument:
    """A request of OTLP/JSON, and what stands around it in its file.

    Attributes:
        stored: it as it came.
        json: it as it was read.

    """

    stored: StoredRequest
    json: JsonRequest

    @property
    def request(self) -> TraceRequest:
        """Its spans, to be rendered and annotated."""
        return self.json.request

    def pieces(self) -> Iterator[bytes]:
        """Give the text as it came, but for what was appended to spans."""
        yield self.stored.before
        yield from self.json.pieces()
        yield self.stored.after


@dataclass(frozen=True, slots=True)
class TranslatedDocument:
    """A request of another form of JSON, as OTLP/JSON.

    Attributes:
        json: it as it was read.

    """

    json: JsonRequest

    @property
    def request(self) -> TraceRequest:
        """Its spans, to be rendered and annotated."""
        return self.json.request

    def pieces(self) -> Iterator[bytes]:
        """Give a line of OTLP/JSON; nothing, where there is only what stands behind the last."""
        if self.json.text:
            yield from self.json.pieces()
            yield b"\n"


@dataclass(frozen=True, slots=True)
class ProtobufDocument:
    """A protobuf request.

    Attributes:
        request: its spans.
        is_alone: whether it is to stand in its file without its length in front.

    """

    request: TraceRequest
    is_alone: bool

    def pieces(self) -> list[bytes]:
        """Give the encoded request, with its length in front if it needs one.

        Raises:
            UnwritableFileError: no reader would take so large a message.

        """
        pieces = self.request.pieces()
        size = pieces.size
        if size > MAX_LENGTH:
            raise UnwritableFileError(
                f"with its vectors, a request has {size:,} bytes, and protobuf allows "
                f"{MAX_LENGTH:,}: choose --encoding bytes"
            )
        length = [] if self.is_alone else [size.to_bytes(LENGTH_BYTES)]
        return [*length, *pieces]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A request that could not be read, and is not written.

    Attributes:
        stored: it as it came.
        request: no spans.

    """

    stored: StoredRequest
    request: TraceRequest

    def pieces(self) -> list[bytes]:
        """Give what stood around it in OTLP/JSON; a list keeps an element in its place."""
        stored = self.stored
        if stored.form is not Form.JSON:
            return []
        return [stored.before, *([b"{}", stored.after] if stored.in_list else [])]


class Format(NamedTuple):
    """How requests of one form are read, and how attributes are written to them.

    Attributes:
        read: gives a request of a file as a document.
        annotator: encodes embeddings as attributes, in the document's syntax.

    """

    read: Callable[[StoredRequest], Document]
    annotator: Annotator


def json_format(annotator: Annotator) -> Format:
    """Give how OTLP/JSON is read and written; the annotator must write JSON."""
    reader = JsonReader(annotator.keys)
    return Format(lambda stored: JsonDocument(stored, reader.read(stored.content)), annotator)


def translated_format(annotator: Annotator) -> Format:
    """Give how other forms of JSON are read, and written as OTLP; the annotator must write JSON."""
    reader = JsonReader(annotator.keys)
    return Format(lambda stored: TranslatedDocument(reader.read(otlp_json(stored))), annotator)


def protobuf_format(annotator: Annotator, *, with_lengths: bool) -> Format:
    """Give how protobuf requests are read and written.

    Args:
        annotator: writes protobuf.
        with_lengths: put a length in front of each, even if it came alone.

    """

    def read(stored: StoredRequest) -> ProtobufDocument:
        is_alone = stored.is_alone and not with_lengths
        return ProtobufDocument(read_protobuf(stored.content), is_alone)

    return Format(read, annotator)
