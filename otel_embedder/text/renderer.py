"""A span as a short text. Pure: the same span has the same text, today and tomorrow.

An attribute is looked up by its encoded bytes. Most key-value pairs come again
and again, so only a pair never seen before is parsed, masked and filtered; the
text of a span is then a sort and a join of fragments.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, repeat, starmap
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.otlp.remembered import Remembered
from otel_embedder.otlp.reused import Reused
from otel_embedder.otlp.spans import STATUS_NAMES, nanoseconds
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.durations import exact_milliseconds, rounded_milliseconds
from otel_embedder.text.errors.error_events import read
from otel_embedder.text.errors.error_text import ErrorText, timeless
from otel_embedder.text.errors.error_words import ErrorWordsReader
from otel_embedder.text.fragments import Fragments, LeftOut
from otel_embedder.text.hiding.secrets import Secrets
from otel_embedder.text.masking.masks import is_cache_key, is_statement, mask, mask_named
from otel_embedder.text.options import TEMPLATE
from otel_embedder.text.purse import (
    SPAN_BYTES,
    cut_attribute,
    cut_span,
)
from otel_embedder.text.row import SpanRow, operation_name, tells_outcome
from otel_embedder.text.service import Services
from otel_embedder.text.stand_ins import StandIns
from otel_embedder.text.template import FIELDS, parse_template
from otel_embedder.text.values import ELLIPSIS, common_length, decode, read_key_value, render_named
from otel_embedder.text.wording.keys import any_of
from otel_embedder.text.wording.wording import KIND_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from otel_embedder.text.errors.error_text import Part
    from otel_embedder.text.errors.error_words import ErrorWords
    from otel_embedder.text.options import RenderOptions
    from otel_embedder.text.stand_ins import Kind


UNKNOWN_OPERATION = "unknown_operation"
UNKNOWN_DURATION = "?"

# The model reads 256 word pieces, some 1,000 characters. A long value must not
# take the place of the others; what lies beyond the text's end is never read.
MAX_VALUE_CHARACTERS = 256
# A value that is longer stands behind the others: prompts and payloads fill all that is read.
MAX_SHORT_CHARACTERS = 128
# Of all that an error says, so that the innermost cause, which stands last, is read.
MAX_ERROR_CHARACTERS = 512
MAX_TEXT_CHARACTERS = 2_048
# A status message often is the exception's, with a word before it and both cut off.
REPEATED_CHARACTERS = 64
# Whoever compares two spans can wait: for a second, if they are made for it.
SHOWN_BYTES = 256 * 1024

# NUL sorts below every other character, so fragments sort by their keys.
KEY_END = "\0"
# Before the key of a long value, for it sorts above ASCII; and before a key that sorts above that,
# but has a short value. A mark beyond ASCII would cost more, in every text that it is in.
LONG, BEYOND_ASCII = "\x7f", "~\x7f"


class Status(NamedTuple):
    """A span's status.

    Attributes:
        name: UNSET, OK or ERROR.
        pieces: what the program said, masked, the outermost error first.
        words: the name, and straight behind it the pieces.
        is_error: whether it is ERROR.

    """

    name: str
    pieces: tuple[str, ...]
    words: str
    is_error: bool


class Rendering(NamedTuple):
    """The text of a span.

    Attributes:
        content: the text.
        is_error: whether the span's status is ERROR.

    """

    content: str
    is_error: bool


class Saying(NamedTuple):
    """One thing that a span says, and what its text makes of it.

    Attributes:
        name: an attribute's key, or the template's field in its braces.
        encoded: the value as bytes: different values may read alike.
        value: the value in words, without secrets.
        words: the value as the text has it, masked or rounded; None where it leaves it out.
        rule: by which rule that is so.

    """

    name: str
    encoded: bytes
    value: str
    words: str | None
    rule: str = ""


class Renderer:
    """Renders spans as texts, remembering the parts that recur."""

    def __init__(self, options: RenderOptions) -> None:
        """Prepare to render.

        Raises:
            ValueError: the template is wrong.

        """
        template = parse_template(options.template)
        self.text_version = replace(options, profile=TEMPLATE).version()
        self._positions = template.positions
        self._format = template.text.format
        self._between = template.between
        self._separator = template.separator
        self._milliseconds = exact_milliseconds if options.exact_durations else rounded_milliseconds
        self._mask = mask if options.mask_values else str
        self._mask_named = mask_named if options.mask_values else _as_it_is
        self._secrets = Secrets(options.secret_keys, by_look=options.mask_secrets)
        self._volatile = any_of(options.volatile_keys)
        self._spans, self._pairs = Reused(pb.Span), Reused(pb.KeyValue)
        self._left_out = LeftOut(self._leaves_out_key)
        stand_ins = StandIns(self._kind) if options.has_stand_ins() else None
        self._fragment = Fragments(self._read_fragment, self._left_out, stand_ins).__getitem__
        self._operations = Remembered(self._read_operation)
        self._services = Services(self._secrets)
        self._statuses = Remembered(self._read_status)
        self._error = ErrorText(self._secrets)
        self._error_words_reader = ErrorWordsReader(self._error)
        self._told = Remembered(self._read_event)

    def service(self, resource: bytes) -> str:
        """Give the `service.name` of an encoded Resource.

        Raises:
            google.protobuf.message.DecodeError: it is not a Resource.

        """
        return self._services.name(resource)

    def render(self, encoded: bytes, service: str) -> Rendering:
        """Give the text of an encoded Span of a service.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        if len(encoded) > SPAN_BYTES:
            encoded = cut_span(encoded)
        span = self._spans.read(encoded)
        status = self._statuses[span.status]
        # To loop over a list of them is cheaper.
        fragments = sorted(filter(None, map(self._fragment, span.attributes[:])))
        attributes = self._separator.join(fragments)
        if LONG in attributes:
            attributes = _unmarked(attributes)
        content = self._format(
            service,
            self._operations[span.name],
            self._error_words(status, events) if (events := span.events[:]) else status.words,
            self.duration(span.start_time_unix_nano, span.end_time_unix_nano),
            attributes.replace(KEY_END, self._between),
        )
        return Rendering(content[:MAX_TEXT_CHARACTERS].rstrip(), status.is_error)

    def at_hand(self, spans: Sequence[bytes], _service: str) -> list[Rendering | None]:
        """Give None for each: of texts only fragments are remembered here."""
        return [None] * len(spans)

    def row(self, encoded: bytes, _service: str) -> SpanRow:
        """Give what is counted of an encoded Span.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        span = pb.Span.FromString(cut_span(encoded))
        read = (_unmarked(self._fragment(each)).partition(KEY_END) for each in span.attributes)
        told = sorted({(key, value) for key, _, value in read if key and not tells_outcome(key)})
        attributes = self._separator.join(f"{key}{self._between}{value}" for key, value in told)
        said = (
            self._said(FIELDS.index("operation"), self._operations[span.name]),
            self._said(len(FIELDS), attributes),
        )
        return SpanRow(
            operation_name(span.name, self._secrets),
            KIND_NAMES.get(span.kind, ""),
            " ".join(filter(None, said))[:MAX_TEXT_CHARACTERS].rstrip(),
            self._statuses[span.status].name,
        )

    @property
    def silent_below(self) -> float:
        """Nanoseconds; of a span that took less a text says nothing of that: there is none."""
        return -inf

    def leaves_out(self, attribute: bytes) -> bool:
        """Tell whether a text has nothing of an encoded attribute, whatever its plain value."""
        return self._left_out.is_known_to_have(attribute)

    def duration(self, started: int, ended: int) -> str:
        """Give all that a text says of when a span was, in nanoseconds."""
        return _duration(started, ended, self._milliseconds)

    def error_words(self, encoded: bytes) -> ErrorWords:
        """Give what an encoded Span says of its error, before a text is made of it.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        return self._error_words_reader.read(encoded)

    def sayings(self, encoded: bytes, service: str) -> list[Saying]:
        """Give what an encoded Span of a service says, and what `render` makes of each.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        whole = pb.Span.FromString(encoded).attributes
        shown = pb.Span.FromString(cut_span(encoded, SHOWN_BYTES)).attributes
        read = pb.Span.FromString(cut_span(encoded))
        parts = zip(whole, shown, chain(read.attributes, repeat(None)), strict=False)
        return [*self._field_sayings(read, service), *starmap(self._attribute_saying, parts)]

    def _field_sayings(self, span: pb.Span, service: str) -> Iterator[Saying]:
        status = self._statuses[span.status]
        times = span.start_time_unix_nano, span.end_time_unix_nano
        fields = {
            "service": (service, service),
            "operation": (self._decode(span.name), self._operations[span.name]),
            "status": (self._unmasked_words(span), self._error_words(status, span.events[:])),
            "duration_ms": (
                _duration(*times, exact_milliseconds),
                _duration(*times, self._milliseconds),
            ),
        }
        for name, (value, words) in fields.items():
            said = self._said(FIELDS.index(name), words)
            yield Saying(f"{{{name}}}", value.encode(), value, said)

    def _attribute_saying(self, whole: bytes, shown: bytes, read: bytes | None) -> Saying:
        key, value = read_key_value(cut_attribute(shown), self._secrets)
        encoded = pb.KeyValue.FromString(whole).value
        saying = Saying(key, encoded, render_named(key, value, self._secrets), words=None)
        if not (fragment := read is not None and self._fragment(read)):
            return saying
        name, _, words = _unmarked(fragment).partition(KEY_END)
        return saying._replace(name=name, words=self._said(len(FIELDS), words))

    def _said(self, position: int, words: str) -> str | None:
        """Give words that go to a position of the template, None if it hasn't got it."""
        return words if position in self._positions else None

    def _error_words(self, status: Status, events: Sequence[bytes]) -> str:
        """Give the status with all that events tell of errors behind it, each only once."""
        told = [pieces for event in events if (pieces := self._told[timeless(event)])]
        if not told:
            return status.words
        said = [*status.pieces]
        words = " ".join([status.name, *said])
        for piece in chain.from_iterable(read(told)):
            if piece[:REPEATED_CHARACTERS] not in words:
                said.append(piece)
                words += f" {piece}"
        return " ".join([status.name, *fitted(said, MAX_ERROR_CHARACTERS)])

    def _words(self, value: str) -> str:
        return self._mask(value)[:MAX_VALUE_CHARACTERS]

    def _pieces(self, parts: Iterable[Part]) -> tuple[str, ...]:
        """Give types and messages, masked; a message that is too long apart from its causes."""
        pieces: list[str] = []
        for part in parts:
            apart = part.split() if len(part.message) > MAX_ERROR_CHARACTERS else (part,)
            pieces += fitted(map(self._mask, chain.from_iterable(apart)), MAX_ERROR_CHARACTERS)
        return tuple(filter(None, pieces))

    def _read_fragment(self, encoded: bytes) -> str:
        pair = self._pairs.read(cut_attribute(encoded))
        if self._left_out.has_key(pair.key):
            return ""
        key, value = self._decode_key(pair.key), pair.value
        masked = self._mask_named(key, render_named(key, value, self._secrets))
        words = masked[:MAX_VALUE_CHARACTERS]
        if len(words) > MAX_SHORT_CHARACTERS:
            return f"{LONG}{key}{KEY_END}{words}"
        return f"{BEYOND_ASCII if key >= LONG else ''}{key}{KEY_END}{words}"

    def _kind(self, key: bytes) -> Kind:
        name = self._decode_key(key)
        if is_cache_key(name):
            return "other"
        return "statement" if is_statement(name) else "text"

    def _leaves_out_key(self, key: bytes) -> bool:
        return self._volatile.match(self._decode_key(key)) is not None

    def _decode_key(self, key: bytes) -> str:
        return decode(key, self._secrets.hidden_key)

    def _read_operation(self, name: bytes) -> str:
        return self._words(self._decode(name)) or UNKNOWN_OPERATION

    def _read_status(self, encoded: bytes) -> Status:
        status = pb.Status.FromString(encoded)
        name = status_name(status)
        pieces = self._pieces(self._error.of_message(status.message))
        words = " ".join([name, *fitted(pieces, MAX_ERROR_CHARACTERS)])
        return Status(name, pieces, words, is_error=name == "ERROR")

    def _read_event(self, encoded: bytes) -> tuple[str, ...]:
        return self._pieces(self._error.of_event(encoded))

    def _unmasked_words(self, span: pb.Span) -> str:
        """Give status, message and errors as they are, without mask."""
        status = pb.Status.FromString(span.status)
        parts = self._error.parts(status.message, span.events)
        return " ".join(filter(None, (status_name(status), *chain.from_iterable(parts))))

    def _decode(self, encoded: bytes) -> str:
        return decode(encoded, self._secrets.hidden)


def _as_it_is(_key: str, value: str) -> str:
    return value


def _duration(started: int, ended: int, words: Callable[[int], str]) -> str:
    took = nanoseconds(started, ended)
    return UNKNOWN_DURATION if took is None else words(took)


def _unmarked(fragments: str) -> str:
    return fragments.replace(BEYOND_ASCII, "").replace(LONG, "")


def status_name(status: pb.Status) -> str:
    """Give the name of a status: UNSET, OK or ERROR."""
    return STATUS_NAMES.get(status.code, "UNSET")


def fitted(pieces: Iterable[str], room: int) -> list[str]:
    """Give pieces of a text in so many characters: the longest are cut, all to one length."""
    whole = [*pieces]
    blanks = len(whole) - 1
    size = common_length(map(len, whole), room - blanks)
    return whole if size is None else [_without_middle(piece, size) for piece in whole]


def _without_middle(piece: str, size: int) -> str:
    if len(piece) <= size:
        return piece
    end = size // 3
    return f"{piece[: size - end - len(ELLIPSIS) - 2]} {ELLIPSIS} {piece[-end:]}"
