"""OTLP/JSON requests: read for their spans, and written with more attributes on these.

A request stays the text that it came as. Its spans are encoded one by one, for
whoever renders them, and where a span's text takes more attributes is noted;
what is appended is put in there. So all that nobody looks into stays as it was:
fields of a later version, the order of keys, how a number is spelt.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp

from otel_embedder.errors import FieldError
from otel_embedder.otlp.attributes import ATTRIBUTES_TAG, PROTOBUF
from otel_embedder.otlp.fields import fields as wire_fields
from otel_embedder.otlp.json_form.cursor import ESCAPED, JsonCursor, json_faults
from otel_embedder.otlp.json_form.fields import (
    KEY_VALUE,
    message_fields,
    plain_name,
    shown,
    utf8,
)
from otel_embedder.otlp.json_form.names import (
    BESIDE_WRAPPED,
    RESOURCE_SPANS,
    SCOPE_SPANS,
    SPANS,
    WRAPPING,
    foreign,
)
from otel_embedder.otlp.remembered import Remembered
from otel_embedder.otlp.wire import ResourceSpans, ScopeSpans, Span, TraceRequest, length_delimited
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from otel_embedder.otlp.json_form.names import Name

Child = TypeVar("Child")

SPAN = message_fields(otlp.Span.DESCRIPTOR)
RESOURCE = message_fields(otlp.ResourceSpans.DESCRIPTOR)
SCOPE = message_fields(otlp.ScopeSpans.DESCRIPTOR)


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


class Found(NamedTuple, Generic[Child]):
    """An object of which one list was walked over.

    Attributes:
        key: the list's key; empty if the object has no such list.
        children: the elements of that list.
        rest: the text of all other values, by their keys.

    """

    key: str
    children: list[Child]
    rest: dict[str, str]

    def header(self) -> bytes:
        """Give the object's text without the list."""
        members = ",".join(f"{json.dumps(key)}:{value}" for key, value in self.rest.items())
        return f"{{{members}}}".encode(errors=ESCAPED)


@dataclass(frozen=True, slots=True)
class JsonRequest:
    """An OTLP/JSON request.

    Attributes:
        text: the request as it came; what of it is not UTF-8, as lone surrogates.
        request: the same as protobuf, but what is appended to its spans is to be JSON.
        scopes: all scopes in it, in the order of the text.

    """

    text: str
    request: TraceRequest
    scopes: list[JsonScope]

    def pieces(self) -> Iterator[bytes]:
        """Give the text with what was appended to its spans, in pieces."""
        position = 0
        for slot, added in self._added():
            yield (self.text[position : slot.start] + slot.before).encode(errors=ESCAPED)
            yield added
            yield slot.after.encode()
            position = slot.end
        yield self.text[position:].encode(errors=ESCAPED)

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
        """Read a request, or several behind each other as one; where there is no text, none.

        Raises:
            MalformedRequestError: it is not OTLP/JSON of traces, or a field holds what it can't.

        """
        if not content:
            return JsonRequest("", TraceRequest.of([]), [])
        with json_faults():
            return self._request(JsonCursor(content.decode(errors=ESCAPED)))

    def _request(self, cursor: JsonCursor) -> JsonRequest:
        resources = self._resources(cursor)
        while cursor.is_before_more():
            resources += self._resources(cursor)
        request = TraceRequest.of([resource.spans for resource in resources])
        scopes = [scope for resource in resources for scope in resource.scopes]
        return JsonRequest(cursor.text, request, scopes)

    def _resources(self, cursor: JsonCursor) -> list[JsonResource]:
        start = cursor.position
        found = _read_object(cursor, RESOURCE_SPANS, self._resource)
        if found.key or not found.rest:
            return found.children
        return self._unwrapped(JsonCursor(cursor.text, start), found)

    def _unwrapped(self, cursor: JsonCursor, found: Found[JsonResource]) -> list[JsonResource]:
        """Read an object without resourceSpans: what stands around these, or what stands within.

        Raises:
            ForeignContentError: it is neither.

        """
        start = cursor.position
        if len(keys := found.rest.keys() - BESIDE_WRAPPED) == 1 and keys <= WRAPPING:
            members = cursor.members()
            while next(members) not in keys:
                cursor.value()
            inner = _read_object(cursor, RESOURCE_SPANS, self._resource)
            if inner.key or not inner.rest:
                return inner.children
        # Java's logging exporter writes each ResourceSpans by itself.
        if any(key == SCOPE_SPANS.usual or SCOPE_SPANS.is_spelt(key) for key in found.rest):
            cursor.position = start
            return [self._resource(cursor)]
        raise foreign(found.rest.keys(), cursor.text)

    def _resource(self, cursor: JsonCursor) -> JsonResource:
        found = _read_object(cursor, SCOPE_SPANS, self._scope)
        header = self._resource_headers[found.header()]
        spans = [scope.spans for scope in found.children]
        resource = ResourceSpans(header.header, header.resource_places, spans)
        return JsonResource(resource, found.children)

    def _scope(self, cursor: JsonCursor) -> JsonScope:
        found = _read_object(cursor, SPANS, self._span)
        header = self._scope_headers[found.header()]
        scope = ScopeSpans(header, [Span(span.encoded) for span in found.children])
        return JsonScope(scope, [span.slot for span in found.children])

    def _span(self, cursor: JsonCursor, attributes: str = "attributes") -> JsonSpan:
        start = cursor.position
        rest: dict[str, Any] = {}
        fields: list[bytes] = []
        slot: Slot | None = None
        for key in cursor.members():
            if key == attributes:
                _check(cursor, ("[", "null"), "a list", key)
                fields, slot = self._attributes(cursor)
            else:
                rest[key] = cursor.value()
        if slot is None and (other := _attributes_key(rest)):
            cursor.position = start
            return self._span(cursor, other)
        slot = slot or _slot_of_none(cursor.position, is_first=not rest)
        return JsonSpan(SPAN.encode(rest) + b"".join(fields), slot)

    def _attributes(self, cursor: JsonCursor) -> tuple[list[bytes], Slot]:
        """Give the attributes here as fields, and where in the array's text others go."""
        start = cursor.position
        texts = [_text_of_value(cursor) for _ in cursor.elements()]
        attributes = [self._read_attributes[text.encode(errors=ESCAPED)] for text in texts]
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
    cursor: JsonCursor, name: Name, read: Callable[[JsonCursor], Child]
) -> Found[Child]:
    """Walk over the list of one name in the object here, and note what else it has."""
    rest: dict[str, str] = {}
    children: list[Child] = []
    found = ""
    for key in cursor.members():
        if key == name.usual or (key not in name.beside and name.is_spelt(key)):
            before, children = children, _read_all(cursor, key, read)
            if before and children:
                raise FieldError(f"is the same as {shown(found)}, which has more", key)
            found, children = key, children or before
        else:
            rest[key] = _text_of_value(cursor)
    return Found(found, children, rest)


def _read_all(cursor: JsonCursor, key: str, read: Callable[[JsonCursor], Child]) -> list[Child]:
    children: list[Child] = []
    _check(cursor, ("[", "null"), "a list", key)
    try:
        for _ in cursor.elements():
            _check(cursor, ("{",), "an object")
            children.append(read(cursor))
    except FieldError as error:
        raise error.within(f"{key}[{len(children)}]") from error
    return children


def _check(cursor: JsonCursor, beginnings: tuple[str, ...], wanted: str, place: str = "") -> None:
    """Make sure that the value here is what is wanted, by how it begins.

    Raises:
        FieldError: it is not.

    """
    if not cursor.text.startswith(beginnings, cursor.position):
        raise FieldError(f"is {shown(cursor.value())}, not {wanted}", place)


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


def _attributes_key(fields: dict[str, Any]) -> str | None:
    """Give the key of a span's attributes where it is not the usual one; None if there is none."""
    if SPAN.knows(fields.keys()):
        return None
    return next((key for key in fields if plain_name(key) == "attributes"), None)


def _read_resource_header(text: bytes) -> ResourceSpans:
    """Give a ResourceSpans without its scopes."""
    encoded = RESOURCE.encode(json.loads(text.decode(errors=ESCAPED)))
    places = [
        slice(start, end)
        for number, start, end in wire_fields(encoded, 0, len(encoded))
        if number == otlp.ResourceSpans.RESOURCE_FIELD_NUMBER
    ]
    return ResourceSpans(encoded, places)


def _read_scope_header(text: bytes) -> bytes:
    return SCOPE.encode(json.loads(text.decode(errors=ESCAPED)))


def _read_attribute(text: bytes) -> Attribute:
    attribute = json.loads(text.decode(errors=ESCAPED))
    match attribute:
        # A vector. To read its numbers one by one would take some milliseconds.
        case {"key": str(key), "value": {"arrayValue": {"values": [*values]}}} if _are_doubles(
            values
        ):
            vector = np.array([value["doubleValue"] for value in values])
            array = PROTOBUF.doubles(vector)
            return Attribute(utf8(key), PROTOBUF.attribute(utf8(key), array))
    try:
        encoded = KEY_VALUE.encode(attribute)
    except FieldError as error:
        name = attribute.get("key") if isinstance(attribute, dict) else None
        raise error.within(f"attributes[{shown(name)}]" if name else "attributes") from error
    field = b"".join(length_delimited(ATTRIBUTES_TAG, [encoded]))
    return Attribute(pb.KeyValue.FromString(encoded).key, field)


def _are_doubles(values: Sequence[object]) -> bool:
    return all(
        isinstance(value, dict) and len(value) == 1 and _is_number(value.get("doubleValue"))
        for value in values
    )


def _is_number(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)
