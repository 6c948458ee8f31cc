"""What a span says of its error, in parts: what was told, and the causes that it came from.

An error reaches a span in several ways, often in all at once: the status's message, exceptions and
log lines among its events, and stack traces, which alone have the causes. Here they become parts of
one kind, the outermost first, each said once. Whoever renders them decides what they look like.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.message import DecodeError

from otel_embedder.otlp.remembered import Remembered
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.errors import error_events
from otel_embedder.text.errors.error_events import first
from otel_embedder.text.errors.stack_traces import GAP, has_frames, headers
from otel_embedder.text.hiding.secrets import SECRET, SECRET_CHARACTERS
from otel_embedder.text.purse import cut_message, cut_trace, cut_value
from otel_embedder.text.values import render_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_embedder.text.hiding.secrets import Secrets

# What an encoded Event begins with, or ends: Event.time_unix_nano = 1, and eight bytes.
TIME_TAG, TIME_BYTES = b"\x09", 9

# Types that say no more than that there is one.
ANY_ERROR = frozenset(("", "Error", "Exception", "Throwable"))

# The class of an exception, in any language: a.b.C, a::b::C, A\B\C, with a code perhaps.
_TYPED = re.compile(
    r"""
    (?P<type>[A-Za-z_$][\w$`]*(?:(?:\.|::|\\)[\w$`]+)*)
    (?:\ \((?:0x)?[\dA-Fa-f]{1,10}\)|\ \[(?P<code>[\w.-]+)\])?
    (?::\ (?P<message>.*)|:?\ ?)
    """,
    re.VERBOSE | re.DOTALL,
)
# A word that is no class's name: neither is it made of several, nor does it tell of an error.
_PLAIN_WORD = re.compile(r"[a-z_]+(?<!error)(?<!exception)(?<!exit)(?<!timeout)")
# What a message has before the cause that it was made of. Blanks are single by then.
_BEFORE_CAUSE = re.compile(
    r"""
    [;,.]?\ ?nested\ exception\ is:?\ |;\ ?nested:\ |\]?\ ?with\ root\ cause:?\ ?
    |[;,.:]?\ ?[\[(]?\b[Cc]aused\ by:\ |\ --->\ (?:\(Inner\ Exception\ \#\d+\)\ )?|\[cause\]:\ ?
    |[;,.:]?\ ?[\[(]?\b(?:[Ii]nner|[Oo]riginal|[Uu]nderlying|[Rr]oot)
     [ -]?(?:[Ee]xception|[Ee]rror|[Cc]ause)(?:\ (?:was|is))?\ ?[:=]\ ?
    |\bCause:\ (?=[\w$]+\.)
    """,
    re.VERBOSE,
)
# To look for this costs a thirtieth.
_CAUSE_HINT = re.compile(
    r"nested|root cause|aused by: |---> |\[cause\]: |Cause: "
    r"|(?:nner|riginal|nderlying|oot)[ -]?(?:[Ee]xception|[Ee]rror|[Cc]ause)"
)
_AROUND = " ;:[]("
_SEPARATOR = re.compile(r"\.|::|\\")
GAP_LINE = f"\n{GAP}\n"


class Part(NamedTuple):
    """One error of a chain.

    Attributes:
        type: its class's name as it was given, with its package; empty if there is none.
        message: what it says, on one line, without secrets; perhaps empty.

    """

    type: str
    message: str

    @property
    def short_type(self) -> str:
        """The name of its class without the package."""
        return _SEPARATOR.split(self.type)[-1]

    def split(self) -> tuple[Part, ...]:
        """Give it without the causes that its message tells, and then these."""
        if not _CAUSE_HINT.search(self.message):
            return (self,)
        message, *causes = _BEFORE_CAUSE.split(self.message)
        if not causes:
            return (self,)
        causes = [cause.strip(_AROUND) for cause in causes]
        return (Part(self.type, message.strip(_AROUND)), *map(typed, filter(None, causes)))


def typed(text: str) -> Part:
    """Take `Type: message` apart, if that is what a text is."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    found = _TYPED.fullmatch(text)
    if not found or _PLAIN_WORD.fullmatch(found["type"]):
        return Part("", text)
    return Part(found["type"], found["message"] or found["code"] or "")


def each_once(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Give parts without those of which all was said by one before."""
    said: list[Part] = []
    for part in parts:
        if any(part) and not any(_says(earlier, part) for earlier in said):
            said.append(part)
    return tuple(said)


def _says(earlier: Part, part: Part) -> bool:
    if part.message not in earlier.message:
        return False
    type_ = part.short_type
    return type_ in ANY_ERROR or type_ == earlier.short_type or type_ in earlier.message


def timeless(event: bytes) -> bytes:
    """Give an encoded Event without its time: what is left may recur.

    An SDK writes the first field first, a Collector last; where it is elsewhere it is left.
    """
    if len(event) < TIME_BYTES:
        return event
    if event.startswith(TIME_TAG):
        return event[TIME_BYTES:]
    if event[-TIME_BYTES:].startswith(TIME_TAG) and _is_event(rest := event[:-TIME_BYTES]):
        return rest  # all fields end there, so a tag is behind it
    return event


def _is_event(encoded: bytes) -> bool:
    try:
        pb.Event.FromString(encoded)
    except DecodeError:
        return False
    return True


class ErrorText:
    """Reads what a span says of its error, without its secrets.

    Attributes:
        events: gives what `of_event` does of an event by `timeless`, remembering what recurs.

    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self.events = Remembered(self.of_event)

    def parts(self, message: bytes, events: Sequence[bytes]) -> tuple[Part, ...]:
        """Give all that a span says of its error.

        Args:
            message: its status's, encoded.
            events: its encoded Events.

        Raises:
            google.protobuf.message.DecodeError: one of them is no Event.

        """
        told = error_events.read([*filter(None, map(self.of_event, events))])
        return each_once([*self.of_message(message), *(part for event in told for part in event)])

    def of_message(self, message: bytes) -> tuple[Part, ...]:
        """Give what a status's message says; nothing if it is empty."""
        return each_once(self._told("", message))

    def of_event(self, encoded: bytes) -> tuple[Part, ...]:
        """Give what an encoded Event says of an error; nothing if it tells of none.

        Raises:
            google.protobuf.message.DecodeError: it is not an Event.

        """
        event = pb.Event.FromString(encoded)
        pairs = [pb.KeyValue.FromString(pair) for pair in event.attributes]
        values = {error_events.plain(pair.key): pair.value for pair in pairs}
        if not error_events.tells_error(event.name, values):
            return ()
        return each_once(self._of_values(event.name, values))

    def _of_values(self, name: bytes, values: dict[bytes, bytes]) -> Iterator[Part]:
        kind, message = first(error_events.TYPES, values), first(error_events.MESSAGES, values)
        logged = first(error_events.LOG_MESSAGES, values)
        objects = [values[key] for key in error_events.OBJECTS if key in values]
        trace = first(error_events.TRACES, values)
        is_all = not (kind or message or objects or trace)
        if logged is None and is_all:
            message = first(error_events.REASONS, values)
        if logged is None and _is_logged(name, is_all=is_all):
            logged = pb.AnyValue(string_value=name).SerializeToString()
        if message is None:
            message, logged = logged, None
        if logged is not None:
            yield from self._told("", self._string(logged))
        typed = "" if kind is None else self._one_line(self._string(kind))
        yield from self._told(typed, b"" if message is None else self._string(message))
        for each in filter(_is_told, objects):
            yield from self._chain(self._string(each))
        if trace is not None:
            yield from self._chain(self._string(trace))

    def _told(self, kind: str, message: bytes) -> Iterator[Part]:
        """Give a message, and the causes that a stack trace within it has."""
        if b"\n" in message and has_frames(text := _decoded(cut_trace(message))):
            [outermost, *causes] = [*map(self._hidden, headers(text))] or [""]
            yield Part(kind, outermost)
            yield from map(typed, causes)
        else:
            yield Part(kind, self._one_line(message))

    def _chain(self, trace: bytes) -> Iterator[Part]:
        """Give an error with its causes, as a stack trace has them."""
        return map(typed, map(self._hidden, headers(_decoded(cut_trace(trace)))))

    def _string(self, encoded: bytes) -> bytes:
        """Give the characters of an encoded AnyValue, encoded, of whatever kind it is."""
        value = pb.AnyValue.FromString(encoded)
        if value.WhichOneof("value") == "string_value":
            return value.string_value
        return render_value(cut_value(encoded), self._secrets).encode()

    def _one_line(self, message: bytes) -> str:
        """Give a message on one line, with the last cause that its end tells."""
        head, gap, cause = _decoded(cut_message(message)).partition(GAP_LINE)
        if not gap:
            return self._hidden(head)
        return f"{_without_end(self._secrets.hidden(head))} {self._hidden(cause)}".strip()

    def _hidden(self, text: str) -> str:
        return _joined(self._secrets.hidden(text))


def _is_told(encoded: bytes) -> bool:
    """Tell whether a value says more than that there was an error."""
    return pb.AnyValue.FromString(encoded).WhichOneof("value") not in {None, "bool_value"}


def _is_logged(name: bytes, *, is_all: bool) -> bool:
    """Tell whether an event's name is what was logged: a sentence, or all that it tells."""
    return (is_all or b" " in name.strip()) and not error_events.is_generic(name)


def _decoded(encoded: bytes) -> str:
    return encoded.decode(errors="replace")


def _joined(text: str) -> str:
    return " ".join(text.replace("\0", " ").split())


def _without_end(text: str) -> str:
    """Give a text that was cut without its end, which may be the beginning of a secret."""
    before, word, rest = text.rpartition(SECRET)
    return _joined(before + word + rest[:-SECRET_CHARACTERS])
