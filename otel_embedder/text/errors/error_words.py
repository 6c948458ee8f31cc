"""What a span says of its error before a text is made of it: the words by which failures are told.

A text leaves out words so that it reads well, and is cut. Whoever tells one failure from another
needs all of them, in their order, and numbers such as ports and codes where they stand.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.otlp.remembered import Made, Remembered
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.errors.error_events import read
from otel_embedder.text.errors.error_text import timeless
from otel_embedder.text.masking.masks import mask
from otel_embedder.text.purse import SPAN_BYTES, cut_span

if TYPE_CHECKING:
    from otel_embedder.text.errors.error_text import ErrorText, Part

# No more is read of them: see `search.groups.normal_form`.
MAX_CHARACTERS = 2_048

Parts = tuple["Part", ...]


class ErrorWords(NamedTuple):
    """What a span says of its error.

    Attributes:
        type: the class of the outermost exception that has one; empty if none has.
        words: messages, and the types and messages of causes, without secrets and ids; empty if
            nothing is said.

    """

    type: str
    words: str


class ErrorWordsReader:
    """Reads what spans say of their errors, remembering what recurs."""

    def __init__(self, error_text: ErrorText) -> None:
        """Prepare to read.

        Args:
            error_text: finds what is said, and hides secrets.

        """
        self._of_message = error_text.of_message
        self._statuses = Remembered(self._of_status)
        self._events = error_text.events
        self._words = Made(_words, _size)

    def read(self, encoded: bytes) -> ErrorWords:
        """Give what an encoded Span says of its error.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        if len(encoded) > SPAN_BYTES:
            encoded = cut_span(encoded)
        span = pb.Span.FromString(encoded)
        told = [parts for event in span.events[:] if (parts := self._events[timeless(event)])]
        return self._words[(*self._statuses[span.status], *chain.from_iterable(read(told)))]

    def _of_status(self, encoded: bytes) -> Parts:
        return self._of_message(pb.Status.FromString(encoded).message)


def _words(parts: Parts) -> ErrorWords:
    """Give what parts say, each message once: a status often says the exception's again."""
    type_ = next((part.type for part in parts if part.type), "")
    said = ""
    for part in parts:
        if part.message and part.message in said:
            continue
        for words in (part.type, part.message):
            if words and words != type_ and words not in said:
                said = f"{said} {words}" if said else words
    return ErrorWords(type_, mask(said[:MAX_CHARACTERS]))


def _size(parts: Parts) -> int:
    return sum(map(len, chain.from_iterable(parts)))
