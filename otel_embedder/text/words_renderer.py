"""A span as words, by a profile. Pure: the same span has the same text, today and tomorrow.

An attribute is looked up by its encoded bytes, and so are name, status, resource and event. What is
then left of a span is a handful of words that come again and again, whatever its ids, times and
what its attributes have besides words: the text that is made of them is looked up by them.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.otlp.remembered import Made, Remembered
from otel_embedder.otlp.reused import Reused
from otel_embedder.otlp.spans import nanoseconds
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.durations import exact_milliseconds
from otel_embedder.text.errors.error_events import read
from otel_embedder.text.errors.error_text import ErrorText, timeless
from otel_embedder.text.errors.error_words import ErrorWordsReader
from otel_embedder.text.fragments import Fragments, LeftOut
from otel_embedder.text.purse import (
    SPAN_BYTES,
    cut_attribute,
    cut_span,
)
from otel_embedder.text.renderer import (
    KEY_END,
    MAX_TEXT_CHARACTERS,
    SHOWN_BYTES,
    UNKNOWN_OPERATION,
    Rendering,
    Saying,
    status_name,
)
from otel_embedder.text.row import SpanRow, operation_name, tells_outcome
from otel_embedder.text.service import Services
from otel_embedder.text.stand_ins import StandIns
from otel_embedder.text.values import decode, is_plain, read_key_value, render_named
from otel_embedder.text.wording.wording import KIND_NAMES, Wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.text.errors.error_text import Part
    from otel_embedder.text.errors.error_words import ErrorWords
    from otel_embedder.text.hiding.secrets import Secrets
    from otel_embedder.text.profiles.profile import Profile
    from otel_embedder.text.stand_ins import Kind
    from otel_embedder.text.wording.wording import Reading

# Of a fragment's line, so that codes sort first.
CODE, ATTRIBUTE = "0", "1"
BETWEEN = "\n"
# In the place of a fragment that is not known; to look for a string is quicker than for None.
UNREAD = "?"
# To look at all attributes of a larger span may take longer than a step of the event loop should.
MAX_BYTES_AT_HAND = 2 * 1024

# Whoever serves names itself; of whoever calls it is told what it calls.
SERVING_KINDS = {2, 5}
OWN_HOST = "server.address"

# What a row consists of; the rest is of how a span went.
ROW_PARTS = {"operation", "kind", "attributes"}

_PART_RULES = {
    "service": "words",
    "operation": "words, some with their gloss",
    "kind": "its word",
    "status": "its word",
    "error": "each part once",
    "duration": "its words",
}


class Status(NamedTuple):
    """A span's status.

    Attributes:
        name: UNSET, OK or ERROR.
        parts: what the program said, without secrets.

    """

    name: str
    parts: tuple[Part, ...]


class Said(NamedTuple):
    """What a span says, as far as its text depends on it.

    Attributes:
        service: its service's name.
        operation: the words of its own name.
        kind: SpanKind's number.
        status: UNSET, OK or ERROR.
        error: what it says of its error.
        duration: its words.
        fragments: of its attributes, in their order; empty where one adds none.

    """

    service: str
    operation: str
    kind: int
    status: str
    error: tuple[Part, ...]
    duration: str
    fragments: tuple[str, ...]

    def size(self) -> int:
        """Give about how many bytes it takes."""
        texts = (self.service, self.operation, *chain.from_iterable(self.error), *self.fragments)
        return sum(map(len, texts))


# The same without its names, which take longer to give than a look for its text.
Told = tuple[str, str, int, str, "tuple[Part, ...]", str, tuple[str, ...]]


class Fragment(NamedTuple):
    """What an attribute adds to a text.

    Attributes:
        key: by its present name, in lower case.
        words: what it says.
        is_code: whether it is one of the codes.

    """

    key: str
    words: Sequence[str]
    is_code: bool

    @classmethod
    def read(cls, line: str) -> Fragment:
        """Give the fragment that a line stands for."""
        key, _, words = line.partition(KEY_END)
        return cls(key[1:], words.split(), key[0] == CODE)

    def line(self) -> str:
        """Give it as one line, which sorts by its key, codes first."""
        return f"{CODE if self.is_code else ATTRIBUTE}{self.key}{KEY_END}{' '.join(self.words)}"


class WordsRenderer:
    """Renders spans as words, remembering what recurs.

    Attributes:
        text_version: profile and version; vectors compare only within one.

    """

    def __init__(
        self, profile: Profile, secrets: Secrets, text_version: str, *, has_stand_ins: bool
    ) -> None:
        """Prepare to render.

        Args:
            profile: what a text consists of.
            secrets: what is hidden.
            text_version: what the profile's texts are called.
            has_stand_ins: whether ids are not told apart.

        """
        self.text_version = text_version
        self._parts = profile.parts
        self._attributes_words = profile.attributes_words
        self._wording = Wording(profile)
        self._secrets = secrets
        self._spans, self._pairs = Reused(pb.Span), Reused(pb.KeyValue)
        stand_ins = StandIns(self._kind) if has_stand_ins else None
        self._left_out = LeftOut(self._leaves_out_key)
        self._fragments = Fragments(self._read_fragment, self._left_out, stand_ins)
        self._operations = Remembered(self._read_operation)
        self._services = Services(self._secrets)
        self._statuses = Remembered(self._read_status)
        self._error_text = ErrorText(secrets)
        self._error_words_reader = ErrorWordsReader(self._error_text)
        self._told = self._error_text.events
        self._renderings = Made(self._rendering, _size)

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
        return self._renderings[self._told_by(self._spans.read(encoded), service)]

    def at_hand(self, spans: Sequence[bytes], service: str) -> list[Rendering | None]:
        """Give what `render` does of encoded Spans that say what others said; None of others.

        One takes some microseconds, whatever it is: only what is left out may be new in it.

        Raises:
            google.protobuf.message.DecodeError: one is not a Span.

        """
        read = self._spans.reader()
        return [
            self._at_hand(read(span), service) if len(span) <= MAX_BYTES_AT_HAND else None
            for span in spans
        ]

    def _at_hand(self, span: pb.Span, service: str) -> Rendering | None:
        operation, status = self._operations.get(span.name), self._statuses.get(span.status)
        if operation is None or status is None or span.events:
            return None
        attributes = span.attributes[:]
        fragments = [*map(self._fragments.get, attributes, repeat(UNREAD))]
        while UNREAD in fragments:
            place = fragments.index(UNREAD)
            fragment = self._fragments.at_hand(attributes[place])
            if fragment is None:
                return None
            fragments[place] = fragment
        duration = self._wording.duration(span.start_time_unix_nano, span.end_time_unix_nano)
        told = (service, operation, span.kind, status.name, status.parts, duration, (*fragments,))
        return self._renderings.get(told)

    @property
    def silent_below(self) -> float:
        """Nanoseconds; of a span that took less a text says nothing of that."""
        return self._wording.silent_below

    def leaves_out(self, attribute: bytes) -> bool:
        """Tell whether a text has nothing of an encoded attribute, whatever its plain value."""
        return self._left_out.is_known_to_have(attribute)

    def duration(self, started: int, ended: int) -> str:
        """Give all that a text says of when a span was, in nanoseconds."""
        return self._wording.duration(started, ended)

    def row(self, encoded: bytes, service: str) -> SpanRow:
        """Give what is counted of an encoded Span of a service.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        span = pb.Span.FromString(cut_span(encoded))
        said = Said(*self._told_by(span, service))
        fragments = (
            each.line()
            for each in self._fragments_of(said)
            if not each.is_code and not tells_outcome(each.key)
        )
        parts, _ = self._words(
            said._replace(status="", error=(), duration="", fragments=tuple(fragments))
        )
        words = [word for part in self._parts if part in ROW_PARTS for word in parts[part]]
        operation = operation_name(span.name, self._secrets)
        return SpanRow(operation, KIND_NAMES.get(span.kind, ""), " ".join(words), said.status)

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
        whole = pb.Span.FromString(encoded)
        shown = pb.Span.FromString(cut_span(encoded, SHOWN_BYTES))
        said = Said(*self._told_by(pb.Span.FromString(cut_span(encoded)), service))
        parts, notes = self._words(said)
        took = nanoseconds(shown.start_time_unix_nano, shown.end_time_unix_nano)
        values = {
            "service": said.service,
            "operation": decode(shown.name, self._secrets.hidden),
            "kind": KIND_NAMES.get(said.kind, "UNSPECIFIED"),
            "status": said.status,
            "error": " ".join(filter(None, chain.from_iterable(said.error))),
            "duration": f"{exact_milliseconds(took or 0)}ms",
        }
        fields = [
            Saying(name, value.encode(), value, " ".join(parts[name]) or None, _PART_RULES[name])
            for name, value in values.items()
        ]
        pairs = zip(whole.attributes, shown.attributes, strict=False)
        return [*fields, *(self._attribute_saying(*pair, notes) for pair in pairs)]

    def _attribute_saying(self, whole: bytes, shown: bytes, notes: dict[str, str]) -> Saying:
        key, value = read_key_value(cut_attribute(shown), self._secrets)
        text = render_named(key, value, self._secrets)
        readings = self._wording.attribute(key, text)
        why = [notes.get(_fragment(each).line(), "") for each in readings]
        told = (each for each, note in zip(readings, why, strict=True) if not note)
        words = [word for each in told for word in each.words]
        rules = [note or each.rule for each, note in zip(readings, why, strict=True)]
        return Saying(
            key,
            pb.KeyValue.FromString(whole).value,
            text,
            " ".join(words) or None,
            "; ".join(dict.fromkeys(rules)),
        )

    def _told_by(self, span: pb.Span, service: str) -> Told:
        status = self._statuses[span.status]
        return (
            service,
            self._operations[span.name],
            span.kind,
            status.name,
            self._error(status, events[:]) if (events := span.events) else status.parts,
            self._wording.duration(span.start_time_unix_nano, span.end_time_unix_nano),
            # To loop over a list of them is cheaper.
            (*map(self._fragments.__getitem__, span.attributes[:]),),
        )

    def _rendering(self, told: Told) -> Rendering:
        said = Said(*told)
        return Rendering(self._text(said), said.status == "ERROR")

    def _text(self, said: Said) -> str:
        parts, _ = self._words(said)
        texts: list[str] = []
        for part, following in zip(self._parts, (*self._parts[1:], None), strict=True):
            words = " ".join(parts[part])
            if part == "status" and words and following in {"codes", "error"}:
                words += ":" if parts["codes"] or parts["error"] else ""
            texts.append(words)
        return " ".join(filter(None, texts))[:MAX_TEXT_CHARACTERS] or UNKNOWN_OPERATION

    def _words(self, said: Said) -> tuple[dict[str, Sequence[str]], dict[str, str]]:
        """Give the words of each part; and of each attribute why it adds none, empty if it does."""
        wording = self._wording
        fragments = self._fragments_of(said)
        parts: dict[str, Sequence[str]] = {
            "status": wording.status(said.status),
            "codes": [word for each in fragments if each.is_code for word in each.words],
            "error": wording.error(said.error),
            "service": wording.service(said.service),
            "operation": said.operation.split(),
            "kind": wording.kind(said.kind),
            "duration": said.duration.split(),
        }
        have = {word for part in self._parts for word in parts.get(part, ())}
        attributes: list[str] = []
        parts["attributes"] = attributes
        notes: dict[str, str] = {}
        for fragment in fragments:
            if fragment.is_code:
                continue
            if said.kind in SERVING_KINDS and fragment.key == OWN_HOST:
                notes[fragment.line()] = "its own host"
            elif have.issuperset(fragment.words):
                # What stands there twice is told once.
                notes.setdefault(fragment.line(), "said before")
            elif len(attributes) >= self._attributes_words:
                notes[fragment.line()] = f"cut after {self._attributes_words} words"
            else:
                attributes += fragment.words
                have.update(fragment.words)
                notes[fragment.line()] = ""
        del attributes[self._attributes_words :]
        return parts, notes

    def _fragments_of(self, said: Said) -> list[Fragment]:
        told = filter(None, said.fragments)
        lines = sorted(line for each in told for line in each.split(BETWEEN))
        return [Fragment.read(line) for line in lines]

    def _read_fragment(self, encoded: bytes) -> str:
        encoded = cut_attribute(encoded)
        pair = self._pairs.read(encoded)
        if self._left_out.has_key(pair.key) and is_plain(pair.value):
            return ""
        # Both taken out before anything else is read into this message.
        key, value = decode(pair.key, self._secrets.hidden_key), pair.value
        readings = self._wording.attribute(key, render_named(key, value, self._secrets))
        return BETWEEN.join(_fragment(each).line() for each in readings if each.words)

    def _kind(self, key: bytes) -> Kind:
        name = decode(key, self._secrets.hidden_key)
        return "statement" if self._wording.asks(name) else "text"

    def _leaves_out_key(self, key: bytes) -> bool:
        return self._wording.leaves_out(decode(key, self._secrets.hidden_key))

    def _read_operation(self, name: bytes) -> str:
        operation = decode(name, self._secrets.hidden) or UNKNOWN_OPERATION
        return " ".join(self._wording.operation(operation))

    def _read_status(self, encoded: bytes) -> Status:
        status = pb.Status.FromString(encoded)
        return Status(status_name(status), self._error_text.of_message(status.message))

    def _error(self, status: Status, events: Sequence[bytes]) -> tuple[Part, ...]:
        """Give what a span says of its error: in its status, and in events."""
        told = [parts for event in events if (parts := self._told[timeless(event)])]
        return (*status.parts, *chain.from_iterable(read(told)))


def _size(told: Told) -> int:
    return Said(*told).size()


def _fragment(reading: Reading) -> Fragment:
    return Fragment(reading.key, reading.words, reading.is_code)
