"""OTLP/JSON requests: read for their spans, and written with more attributes on these.

A request stays the text that it came as. Its spans are encoded one by one, for
whoever renders them, and where a span's text takes more attributes is noted;
what is appended is put in there. So all that nobody looks into stays as it was:
fields of a later version, the order of keys, how a number is spelt.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from google.protobuf.json_format import ParseDict, ParseError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp

from otel_embedder.errors import MalformedRequestError
from otel_embedder.otlp.attributes import ATTRIBUTES_TAG, PROTOBUF
from otel_embedder.otlp.json_cursor import JsonCursor
from otel_embedder.otlp.remembered import Remembered
from otel_embedder.otlp.wire import ResourceSpans, ScopeSpans, Span, TraceRequest, length_delimited

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

Child = TypeVar("Child")

# What is raised where a value is not of the type that its field has. OverflowError is for an
# infinite one, SystemError is protobuf's for a key with half of a surrogate pair in it.
PARSE_ERRORS = (
    *(ParseError, ValueError, TypeError, AttributeError),
    *(RecursionError, OverflowError, SystemError),
)

# OTLP/JSON writes these in hex, unlike every other bytes field.
# Source: the OTLP specification, "JSON Protobuf Encoding".
HEX_FIELDS = {"traceId": "trace_id", "spanId": "span_id", "parentSpanId": "parent_span_id"}
TIME_FIELDS = {
    "startTimeUnixNano": "start_time_unix_nano",
    "endTimeUnixNano": "end_time_unix_nano",
}


class Slot(NamedTuple):
    """Where a span's text takes more attributes.

    Attributes:
        start: where the text begins that they replace; most often there is none.
        end: where it ends.
        before: what goes in front of them.
        after: what goes behind them.

    """

    start: int
    end: int
    before: str
    after: str = ""


class Header(NamedTuple):
    """A ResourceSpans without its scope_spans.

    Attributes:
        encoded: all of it.
        resource: the Resource in it.

    """

    encoded: bytes
    resource: bytes


class Attribute(NamedTuple):
    """An attribute of a span.

    Attributes:
        key: its key.
        field: all of it, as an encoded Span.attributes field.

    """

    key: bytes
    field: bytes


class JsonSpan(NamedTuple):
    """A span, encoded, and where its text takes more attributes."""

    encoded: bytes
    slot: Slot


class JsonScope(NamedTuple):
    """The spans of a scope, and where the text of each takes more attributes."""

    spans: ScopeSpans
    slots: list[Slot]


class JsonResource(NamedTuple):
    """The spans of a resource, and its scopes."""

    spans: ResourceSpans
    scopes: list[JsonScope]


@dataclass(frozen=True, slots=True)
class JsonRequest:
    """An OTLP/JSON request.

    Attributes:
        text: the request as it came, without a line feed.
        request: the same as protobuf, but what is appended to its spans is to be JSON.
        scopes: all scopes in it, in the order of the text.

    """

    text: str
    request: TraceRequest
    scopes: list[JsonScope]

    def pieces(self) -> Iterator[bytes]:
        """Give a line of a file, in pieces: the text with what was appended to its spans."""
        position = 0
        for slot, added in self._added():
            yield (self.text[position : slot.start] + slot.before).encode()
            yield added
            yield slot.after.encode()
            position = slot.end
        yield f"{self.text[position:]}\n".encode()

    def _added(self) -> Iterator[tuple[Slot, bytes]]:
        for scope in self.scopes:
            for slot, span in zip(scope.slots, scope.spans.spans, strict=True):
                if span.added:
                    yield slot, span.added


class JsonReader:
    """Reads OTLP/JSON requests, remembering resources, scopes and attributes, which recur."""

    def __init__(self, ours: Container[bytes] = ()) -> None:
        """Prepare to read.

        Args:
            ours: the keys of attributes that go when others are appended to their span.

        """
        self._ours = ours
        self._resource_headers = Remembered(_read_resource_header)
        self._scope_headers = Remembered(_read_scope_header)
        self._read_attributes = Remembered(_read_attribute)

    def read(self, content: bytes) -> JsonRequest:
        """Read a request.

        Raises:
            MalformedRequestError: it is not OTLP/JSON.

        """
        try:
            return self._request(JsonCursor(content.decode()))
        except json.JSONDecodeError as error:
            raise MalformedRequestError(f"{error.msg} at character {error.pos + 1}") from error
        except PARSE_ERRORS as error:
            raise MalformedRequestError(str(error)) from error

    def _request(self, cursor: JsonCursor) -> JsonRequest:
        _, resources = _read_object(cursor, "resourceSpans", self._resource)
        cursor.finish()
        request = TraceRequest.of([resource.spans for resource in resources])
        scopes = [scope for resource in resources for scope in resource.scopes]
        return JsonRequest(cursor.text, request, scopes)

    def _resource(self, cursor: JsonCursor) -> JsonResource:
        rest, scopes = _read_object(cursor, "scopeSpans", self._scope)
        header = self._resource_headers[rest]
        spans = [scope.spans for scope in scopes]
        return JsonResource(ResourceSpans(header.encoded, header.resource, spans), scopes)

    def _scope(self, cursor: JsonCursor) -> JsonScope:
        rest, spans = _read_object(cursor, "spans", self._span)
        scope = ScopeSpans(self._scope_headers[rest], [Span(span.encoded) for span in spans])
        return JsonScope(scope, [span.slot for span in spans])

    def _span(self, cursor: JsonCursor) -> JsonSpan:
        rest: dict[str, Any] = {}
        fields: list[bytes] = []
        slot: Slot | None = None
        for key in cursor.members():
            if key == "attributes":
                fields, slot = self._attributes(cursor)
            else:
                rest[key] = cursor.value()
        slot = slot or _slot_of_none(cursor.position, is_first=not rest)
        return JsonSpan(_encode_span(rest) + b"".join(fields), slot)

    def _attributes(self, cursor: JsonCursor) -> tuple[list[bytes], Slot]:
        """Give the attributes here as fields, and where in the array's text others go."""
        start = cursor.position
        texts = [_text_of_value(cursor) for _ in cursor.elements()]
        attributes = [self._read_attributes[text.encode()] for text in texts]
        kept = [
            text
            for text, attribute in zip(texts, attributes, strict=True)
            if attribute.key not in self._ours
        ]
        if len(kept) < len(texts):
            slot = Slot(start + 1, cursor.position - 1, "".join(f"{text}," for text in kept))
        else:
            slot = _slot_behind(cursor, start, is_first=not texts)
        return [attribute.field for attribute in attributes], slot


def _read_object(
    cursor: JsonCursor, field: str, read: Callable[[JsonCursor], Child]
) -> tuple[bytes, list[Child]]:
    """Read the elements of one field of the object here; give what else it has as text."""
    rest: dict[str, str] = {}
    children: list[Child] = []
    for key in cursor.members():
        if key == field:
            children = [read(cursor) for _ in cursor.elements()]
        else:
            rest[json.dumps(key)] = _text_of_value(cursor)
    members = ",".join(f"{key}:{value}" for key, value in rest.items())
    return f"{{{members}}}".encode(), children


def _text_of_value(cursor: JsonCursor) -> str:
    start = cursor.position
    cursor.value()
    return cursor.text[start : cursor.position]


def _slot_behind(cursor: JsonCursor, start: int, *, is_first: bool) -> Slot:
    """Give where more goes in the array that began at `start` and ends here."""
    if cursor.text.startswith("null", start):
        return Slot(start, cursor.position, "[", "]")
    bracket = cursor.position - 1
    return Slot(bracket, bracket, "" if is_first else ",")


def _slot_of_none(end: int, *, is_first: bool) -> Slot:
    """Give where the attributes of a span that has none go; its text ends at `end`."""
    brace = end - 1
    comma = "" if is_first else ","
    return Slot(brace, brace, f'{comma}"attributes":[', "]")


def _encode_span(fields: dict[str, Any]) -> bytes:
    """Give a span's fields, which are used up, as protobuf."""
    span = otlp.Span()
    _take_usual(fields, span)
    for link in fields.get("links") or ():
        _hex_to_base64(link)
    return ParseDict(fields, span, ignore_unknown_fields=True).SerializeToString()


def _take_usual(fields: dict[str, Any], span: otlp.Span) -> None:
    """Take from the fields what nearly every span has, and has in one spelling.

    Protobuf's own reader of JSON is written in Python, and takes longer for
    these few than all else here does.
    """
    for key, name in HEX_FIELDS.items():
        if fields.get(key) is not None:
            setattr(span, name, bytes.fromhex(fields.pop(key)))
    for key, name in TIME_FIELDS.items():
        if isinstance(fields.get(key), str) and fields[key].isdecimal():
            setattr(span, name, int(fields.pop(key)))
    if isinstance(fields.get("name"), str):
        span.name = fields.pop("name")


def _hex_to_base64(fields: dict[str, Any]) -> None:
    for key in HEX_FIELDS:
        if fields.get(key) is not None:
            fields[key] = base64.b64encode(bytes.fromhex(fields[key])).decode()


def _read_resource_header(text: bytes) -> Header:
    parsed = ParseDict(json.loads(text), otlp.ResourceSpans(), ignore_unknown_fields=True)
    return Header(parsed.SerializeToString(), parsed.resource.SerializeToString())


def _read_scope_header(text: bytes) -> bytes:
    parsed = ParseDict(json.loads(text), otlp.ScopeSpans(), ignore_unknown_fields=True)
    return parsed.SerializeToString()


def _read_attribute(text: bytes) -> Attribute:
    attribute = json.loads(text)
    # Protobuf's reader of JSON would go through a string or an array for keys that it knows.
    if not isinstance(attribute, dict):
        raise MalformedRequestError("an attribute is not an object")
    match attribute:
        # A vector. To read its numbers one by one would take some milliseconds.
        case {"key": str(key), "value": {"arrayValue": {"values": [*values]}}} if _are_doubles(
            values
        ):
            vector = np.array([value["doubleValue"] for value in values])
            array = PROTOBUF.doubles(vector)
            return Attribute(key.encode(), PROTOBUF.attribute(key.encode(), array))
    parsed = ParseDict(attribute, KeyValue(), ignore_unknown_fields=True)
    field = b"".join(length_delimited(ATTRIBUTES_TAG, [parsed.SerializeToString()]))
    return Attribute(parsed.key.encode(), field)


def _are_doubles(values: Sequence[object]) -> bool:
    return all(
        isinstance(value, dict) and len(value) == 1 and _is_number(value.get("doubleValue"))
        for value in values
    )


def _is_number(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)
