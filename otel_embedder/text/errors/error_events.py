"""Which events of a span tell of an error, and by which of their attributes.

OpenTelemetry has one form for exceptions. Bridges from logs and from OpenTracing, and programs of
all kinds, have others: the same few words, spelt in many ways. So keys are compared without case,
dots, dashes and underscores.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Told = TypeVar("Told")

# Of each the first that an event has counts.
TYPES = (b"exceptiontype", b"errortype", b"errorkind", b"errorname", b"errorclass")
MESSAGES = (
    *(b"exceptionmessage", b"errormessage", b"errormsg", b"errordescription", b"errmessage"),
    b"errmsg",
)
LOG_MESSAGES = (
    *(b"message", b"logmessage", b"msg", b"body", b"logbody", b"logrecordbody"),
    b"formattedmessage",
)
# What tells of an error where nothing else does.
REASONS = (
    *(b"errorreason", b"reason", b"failurereason", b"description", b"errordetail"),
    *(b"errordetails", b"detail", b"details"),
)
# An error as a whole: its type, its message, perhaps its causes.
OBJECTS = (b"errorobject", b"error", b"err", b"exception", b"errorcause", b"cause")
TRACES = (
    *(b"exceptionstacktrace", b"errorstacktrace", b"errorstack", b"exceptionstack"),
    *(b"stacktrace", b"stack"),
)
SEVERITIES = (
    *(b"logseverity", b"severity", b"severitytext", b"logseveritytext", b"loglevel", b"level"),
    *(b"levelname", b"lvl"),
)
SEVERITY_NUMBERS = (b"severitynumber", b"logseveritynumber")
EVENTS = (b"event", b"eventname")
# What says by being there that there was an error.
MARKING = (
    *(*TYPES, *MESSAGES, b"exceptionstacktrace", b"errorstacktrace", b"errorstack"),
    *(b"errorobject", b"error", b"err", b"exception"),
)
# Values that may hold a chain of causes.
WITH_CAUSES = frozenset((*OBJECTS, *TRACES))
READ = frozenset(
    (
        *(*TYPES, *MESSAGES, *LOG_MESSAGES, *REASONS, *OBJECTS, *TRACES),
        *(*SEVERITIES, *SEVERITY_NUMBERS, *EVENTS),
    )
)

# So many events of a span are read that tell of errors: the last ones, and the first.
MAX_EVENTS = 8
# Of names and severities no more is looked at.
MAX_NAME_BYTES = 256
# SeverityNumber of OpenTelemetry's logs: from here on ERROR, FATAL.
FIRST_ERROR_NUMBER = 17

EXCEPTION = b"exception"
# What is somewhere in an event that tells of an error.
HINT = re.compile(rb"err|exc|fail|fatal|panic|crash|sever|level|lvl|event", re.IGNORECASE)
_OTHERS = re.compile(rb"gen_?ai\b|feature_flag\b", re.IGNORECASE)
_WORDS = rb"(?:error|exception|fail(?:ed|ure)|fatal|panic|crash(?:ed)?)"
_NAME = re.compile(
    rb"(?i:%b)(?![a-zA-Z])"
    rb"|.*(?:(?<![a-zA-Z])(?i:%b)|Error|Exception|Fail(?:ed|ure))"
    rb"(?<!\bno.error)(?<!\bno.failure)(?<!\bwithout.error)(?<!\bwithout.failure)$"
    % (_WORDS, _WORDS),
    re.DOTALL,
)
_ERROR_SEVERITY = re.compile(
    rb"\s*(?:err(?:or)?|fatal|crit(?:ical)?|severe|alert|emerg(?:ency)?|d?panic)\d?\s*",
    re.IGNORECASE,
)
# They say of an event what it is, and nothing of the error.
_GENERIC = re.compile(
    rb"\s*(?:log|event|message|exception|error|err|fail(?:ed|ure)|fatal|panic|critical)?\s*",
    re.IGNORECASE,
)
_NO_ERROR = {b"", b"false", b"null", b"nil", b"none", b"0"}


def plain(key: bytes) -> bytes:
    """Give a key without what its spellings differ by."""
    return key.translate(None, b"._-").lower()


def tells_error(name: bytes, values: Mapping[bytes, bytes]) -> bool:
    """Tell whether an event tells of an error.

    Args:
        name: its name.
        values: its attributes of `READ`: by their plain keys, encoded.

    """
    if name == EXCEPTION:
        return True
    name = name[:MAX_NAME_BYTES]
    if _OTHERS.match(name):
        return False
    return says_error(name) or any(
        is_told(values[key]) for key, is_told in _TELLING if key in values
    )


def read(told: Sequence[Told]) -> Sequence[Told]:
    """Give those that are read of what events told, the last first."""
    if len(told) <= MAX_EVENTS:
        return told[::-1]
    return [*told[:-MAX_EVENTS:-1], told[0]]


def says_error(name: bytes) -> bool:
    """Tell whether a name begins or ends with a word for an error."""
    return _NAME.match(name) is not None


def is_generic(name: bytes) -> bool:
    """Tell whether a name says nothing but that there was something, or an error."""
    return len(name) <= MAX_NAME_BYTES and _GENERIC.fullmatch(name) is not None


def first(keys: Iterable[bytes], values: Mapping[bytes, bytes]) -> bytes | None:
    """Give the value of the first of these keys that there is one of."""
    return next((values[key] for key in keys if key in values), None)


def _is_something(encoded: bytes) -> bool:
    value = pb.AnyValue.FromString(encoded)
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value[:MAX_NAME_BYTES].strip().lower() not in _NO_ERROR
        case "bool_value":
            return value.bool_value
        case kind:
            return kind is not None


def _is_severe(encoded: bytes) -> bool:
    return _ERROR_SEVERITY.fullmatch(_word(encoded)) is not None


def _is_severe_number(encoded: bytes) -> bool:
    word = _word(encoded)
    number = int(word) if word.isdigit() else pb.AnyValue.FromString(encoded).int_value
    return number >= FIRST_ERROR_NUMBER


def _says_error(encoded: bytes) -> bool:
    return says_error(_word(encoded))


def _word(encoded: bytes) -> bytes:
    return pb.AnyValue.FromString(encoded).string_value[:MAX_NAME_BYTES]


# By which attributes an event tells of an error, and what these must say.
_TELLING: tuple[tuple[bytes, Callable[[bytes], bool]], ...] = (
    *((key, _is_something) for key in MARKING),
    *((key, _is_severe) for key in SEVERITIES),
    *((key, _is_severe_number) for key in SEVERITY_NUMBERS),
    *((key, _says_error) for key in EVENTS),
)
