"""What Jaeger's and Zipkin's JSON share on their way to OTLP/JSON.

Both keep in tags what they have no field for, under names that OpenTelemetry's
specification gives ("OpenTelemetry to Jaeger Transformation", "... to Zipkin ...",
"Mapping to non-OTLP formats"). Here these become fields again. Whatever else is there
stays an attribute; what would have to be dropped or guessed is an error that names
its field.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from otel_embedder.errors import FieldError
from otel_embedder.otlp.json_form.fields import integer, shown, utf8, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    # An object of JSON.
    Fields = Mapping[str, object]
    # The name and the version of a scope.
    Scope = tuple[str | None, str | None]
    Scopes = Mapping[Scope, list[Fields]]

Converted = TypeVar("Converted")

TRACE_ID_DIGITS, SPAN_ID_DIGITS = 32, 16
HEX_DIGITS = re.compile(r"[0-9a-fA-F]+")
NANOSECONDS_PER_MICROSECOND = 1_000
MAX_TIME = 2**64 - 1  # nanoseconds in OTLP

OK, ERROR = "STATUS_CODE_OK", "STATUS_CODE_ERROR"
# By what exporters write: SDKs as the specification says, the Collector's in its own words.
STATUS_CODES = {"OK": OK, "Ok": OK, OK: OK, "ERROR": ERROR, "Error": ERROR, ERROR: ERROR}
# The names of a scope, and those from before it was called so; exporters write both.
SCOPE_TAGS = {
    "name": ("otel.scope.name", "otel.library.name"),
    "version": ("otel.scope.version", "otel.library.version"),
}
DROPPED_TAGS = {
    "droppedAttributesCount": "otel.dropped_attributes_count",
    "droppedEventsCount": "otel.dropped_events_count",
    "droppedLinksCount": "otel.dropped_links_count",
}
# What exporters write where a resource has no name of a service.
NO_SERVICE = "OTLPResourceNoServiceName"


class Tags:
    """The tags of a span or of a part of it, as attributes of OTLP/JSON; some are taken out."""

    def __init__(self, attributes: Iterable[tuple[str, Fields]]) -> None:
        self._attributes = [*attributes]

    def take(self, key: str, *, fits: Callable[[str], bool] = lambda _: True) -> str | None:
        """Take a tag out that is a string, and fits."""
        for number, (name, value) in enumerate(self._attributes):
            text = value.get("stringValue")
            if name == key and isinstance(text, str) and fits(text):
                del self._attributes[number]
                return text
        return None

    def text(self, key: str) -> str | None:
        """Give a tag that is a string, and leave it."""
        found = dict(self._attributes).get(key, {}).get("stringValue")
        return found if isinstance(found, str) else None

    def take_same(self, keys: Iterable[str]) -> str | None:
        """Take the first of these tags out that is there, and the others if they say the same."""
        found = next((text for key in keys if (text := self.take(key)) is not None), None)
        for key in keys:
            self.take(key, fits=lambda text: text == found)
        return found

    def take_true(self, key: str) -> bool:
        """Take a tag out if it is true."""
        for number, (name, value) in enumerate(self._attributes):
            if name == key and (value.get("boolValue") or value.get("stringValue") == "true"):
                del self._attributes[number]
                return True
        return False

    def take_count(self, key: str) -> int | None:
        """Take a tag out that is a number of things."""
        for number, (name, value) in enumerate(self._attributes):
            count = integer(value.get("intValue", value.get("stringValue")))
            if name == key and count is not None and 0 <= count < 2**32:
                del self._attributes[number]
                return count
        return None

    def attributes(self) -> list[Fields]:
        """Give what is left."""
        return [{"key": key, "value": value} for key, value in self._attributes]


def filled(fields: Fields) -> Fields:
    """Give an object without fields that hold nothing."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def span_fields(tags: Tags) -> Fields:
    """Take those tags out that stand for fields of a span; give these."""
    counts = {name: tags.take_count(key) for name, key in DROPPED_TAGS.items()}
    return {"traceState": tags.take("w3c.tracestate"), **counts}


def status(tags: Tags, *, error_tells: bool) -> Fields:
    """Take the tags of a span's status out; give it.

    Args:
        tags: the span's.
        error_tells: whether any string but "false" as `error` says that it failed, and why.

    """
    said = tags.take("otel.status_code", fits=STATUS_CODES.__contains__)
    code = STATUS_CODES[said] if said else None
    message: str | None = None
    if code != OK and tags.take_true("error"):
        code = ERROR
    elif code != OK and error_tells:
        message = tags.take("error", fits=lambda text: text != "false")
        code = code if message is None else ERROR
    if code and not message:
        message = tags.take("otel.status_description")
    return filled({"code": code, "message": message})


def scope(tags: Tags) -> Scope:
    """Take the name and the version of a span's scope out."""
    name, version = (tags.take_same(keys) for keys in SCOPE_TAGS.values())
    return name, version


def known_fields(value: object, known: Container[str], *, needed: str = "") -> Fields:
    """Give an object that has no other fields than these, unless they say nothing.

    Raises:
        FieldError: it is none, or has others, or lacks the one that is needed.

    """
    if not isinstance(value, dict):
        raise wanted(value, "an object")
    if needed and needed not in value:
        raise FieldError(f"has no {shown(needed)}")
    for key, each in value.items():
        if key not in known and each not in (None, [], {}, "", False):
            raise FieldError(f"is {shown(each)}, for which OTLP has no place", key)
    return value


@contextmanager
def within(place: str) -> Iterator[None]:
    """Let an error name the outer field, too."""
    try:
        yield
    except FieldError as error:
        raise error.within(place) from error


def each_of(fields: Fields, name: str, convert: Callable[[object], Converted]) -> list[Converted]:
    """Convert the elements of a list; of one that is not there, none.

    Raises:
        FieldError: it is no list, or an element can't be converted.

    """
    values = fields.get(name)
    if values is None:
        return []
    with within(name):
        if not isinstance(values, list):
            raise wanted(values, "a list")
        converted = []
        for number, value in enumerate(values):
            with within(f"[{number}]"):
                converted.append(convert(value))
        return converted


def is_given(fields: Fields, name: str) -> bool:
    """Tell whether a field holds anything."""
    return fields.get(name) is not None and fields[name] != ""


def text_of(fields: Fields, name: str) -> str:
    """Give a field that is a string."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise FieldError(f"is {shown(value)}, not a string", name)
    return value


def id_of(fields: Fields, name: str, digits: int) -> str:
    """Give an id with so many hex digits; both formats may leave leading zeros out."""
    value = fields.get(name)
    if not isinstance(value, str) or not HEX_DIGITS.fullmatch(value) or len(value) > digits:
        raise FieldError(f"is {shown(value)}, not up to {digits} hex digits", name)
    return value.rjust(digits, "0")


def microseconds(fields: Fields, name: str) -> int:
    """Give a time in microseconds as one in nanoseconds."""
    value = fields.get(name)
    count = integer(value)
    if count is None or not 0 <= count * NANOSECONDS_PER_MICROSECOND <= MAX_TIME:
        raise FieldError(f"is {shown(value)}, not a number of microseconds", name)
    return count * NANOSECONDS_PER_MICROSECOND


def encoded(resources: Iterable[Fields]) -> bytes:
    """Give the text of an OTLP/JSON request with these resources, on one line."""
    return utf8(json.dumps({"resourceSpans": [*resources]}, ensure_ascii=False))


def resource_spans(service: str | None, attributes: Iterable[Fields], scopes: Scopes) -> Fields:
    """Give the spans of a service, by the name and version of their scopes."""
    named = [{"key": "service.name", "value": {"stringValue": service}}] if service else []
    return {
        "resource": {"attributes": [*named, *attributes]},
        "scopeSpans": [
            {"scope": filled({"name": name, "version": version}), "spans": spans}
            for (name, version), spans in scopes.items()
        ],
    }
