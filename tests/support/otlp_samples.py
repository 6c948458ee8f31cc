"""OTLP messages for tests, built from the official ones.

`span`, `request` and what they are made of are for examples. `messages` lets
hypothesis think of any message of a kind: it follows the descriptors, so a
field that OTLP gets tomorrow is in the tests without a word here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from random import randbytes
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

Fields = dict[str, st.SearchStrategy[object]]
MessageType = TypeVar("MessageType", bound=Message)

Value = str | bool | int | float | bytes | None | Sequence["Value"] | Mapping[str, "Value"]

NOTHING: Mapping[str, Value] = MappingProxyType({})

TRACE_ID = bytes.fromhex("5b8efff798038103d269b633813fc60c")
SPAN_ID = bytes.fromhex("eee19b7ec3c1b174")
START = 1_700_000_000_000_000_000
NANOSECONDS = 1_000_000  # in a millisecond


def any_value(value: Value) -> AnyValue:  # noqa: PLR0911 - one for each kind
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case str():
            return AnyValue(string_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case Mapping():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
        case _:
            return AnyValue(array_value=ArrayValue(values=map(any_value, value)))


def key_value(key: str, value: Value) -> KeyValue:
    return KeyValue(key=key, value=any_value(value))


def key_values(values: Mapping[str, Value]) -> list[KeyValue]:
    return [key_value(key, value) for key, value in values.items()]


def resource(
    service: str | None = "mahavishnu", attributes: Mapping[str, Value] = NOTHING
) -> Resource:
    named = {} if service is None else {"service.name": service}
    return Resource(attributes=key_values({**attributes, **named}))


def event(name: str = "exception", attributes: Mapping[str, Value] = NOTHING) -> Span.Event:
    return Span.Event(name=name, time_unix_nano=START, attributes=key_values(attributes))


def span(
    name: str = "process_repository",
    attributes: Mapping[str, Value] = NOTHING,
    *,
    code: Status.StatusCode.ValueType = Status.STATUS_CODE_UNSET,
    message: str = "",
    milliseconds: float = 2500,
    events: Iterable[Span.Event] = (),
    trace_id: bytes = TRACE_ID,
) -> Span:
    """Give a span; one of no status has none at all, not an empty one."""
    made = Span(
        trace_id=trace_id,
        span_id=SPAN_ID,
        name=name,
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=START,
        end_time_unix_nano=START + round(milliseconds * NANOSECONDS),
        attributes=key_values(attributes),
        events=events,
    )
    if code or message:
        made.status.CopyFrom(Status(code=code, message=message))
    return made


def new_span(name: str, *, code: Status.StatusCode.ValueType = Status.STATUS_CODE_UNSET) -> Span:
    """Give a span of now that no other is, though it reads as others do."""
    new = span(name, code=code)
    new.span_id, new.trace_id = randbytes(8), randbytes(16)
    new.start_time_unix_nano = time.time_ns()
    new.end_time_unix_nano = new.start_time_unix_nano + 5 * NANOSECONDS
    return new


def request(*spans: Span, service: str | None = "mahavishnu") -> ExportTraceServiceRequest:
    """Give a request of these spans, in one scope of one service."""
    scope = InstrumentationScope(name="tests", version="1.0")
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=resource(service), scope_spans=[ScopeSpans(scope=scope, spans=spans)]
            )
        ]
    )


def varint(number: int) -> bytes:
    digits = []
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*digits, number))


def field(number: int, payload: bytes) -> bytes:
    """Encode a field of bytes, a string or a message by hand."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


# One unknown field for each wire type: varint, 64 bits, bytes, group, 32 bits.
UNKNOWN_FIELDS = (
    varint(1000 << 3 | 0) + varint(300),
    varint(1001 << 3 | 1) + b"12345678",
    field(1002, b"of a later version"),
    varint(1003 << 3 | 3) + field(1, b"in a group") + varint(1003 << 3 | 4),
    varint(1005 << 3 | 5) + b"1234",
)

SIGNED_32 = st.integers(-(2**31), 2**31 - 1)
SIGNED_64 = st.integers(-(2**63), 2**63 - 1)
UNSIGNED_32 = st.integers(0, 2**32 - 1)
UNSIGNED_64 = st.integers(0, 2**64 - 1)

UNKNOWN = st.lists(st.sampled_from(UNKNOWN_FIELDS), max_size=2).map(b"".join)

# A future field of another type is a KeyError, and so noticed.
SCALARS: Mapping[int, st.SearchStrategy[object]] = {
    FieldDescriptor.TYPE_STRING: st.text(st.characters(codec="utf-8"), max_size=20),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=20),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
    FieldDescriptor.TYPE_ENUM: SIGNED_32,
    FieldDescriptor.TYPE_INT32: SIGNED_32,
    FieldDescriptor.TYPE_INT64: SIGNED_64,
    FieldDescriptor.TYPE_UINT32: UNSIGNED_32,
    FieldDescriptor.TYPE_UINT64: UNSIGNED_64,
    FieldDescriptor.TYPE_FIXED32: UNSIGNED_32,
    FieldDescriptor.TYPE_FIXED64: UNSIGNED_64,
}


def messages(
    kind: type[MessageType], *, depth: int = 9, unknown: bool = False
) -> st.SearchStrategy[MessageType]:
    """Give any message of a kind, nested up to `depth`, on request with unknown fields."""
    return _messages(kind.DESCRIPTOR, depth, unknown).map(
        lambda made: kind.FromString(made.SerializeToString())
    )


@lru_cache
def _messages(kind: Descriptor, depth: int, unknown: bool) -> st.SearchStrategy[Message]:  # noqa: FBT001 - cached by position
    known = st.builds(
        lambda fields: GetMessageClass(kind)(**fields), _fields(kind, depth, unknown=unknown)
    )
    return st.builds(_with_unknown, known, UNKNOWN) if unknown else known


def _with_unknown(message: Message, unknown: bytes) -> Message:
    message.MergeFromString(unknown)
    return message


def _fields(kind: Descriptor, depth: int, *, unknown: bool) -> st.SearchStrategy[dict[str, object]]:
    fields = [field for field in kind.fields if depth or field.message_type is None]
    values = {field.name: _values(field, depth, unknown=unknown) for field in fields}
    if kind.oneofs:  # only AnyValue has one, of all its fields
        return st.one_of([st.fixed_dictionaries(chosen) for chosen in _choices(values)])
    # A list may be empty, so it need not be left out, and there are more spans to see.
    lists = {field.name: values.pop(field.name) for field in fields if field.is_repeated}
    return st.fixed_dictionaries(lists, optional=values)


def _choices(values: Fields) -> list[Fields]:
    return [{}, *({name: value} for name, value in values.items())]


def _values(field: FieldDescriptor, depth: int, *, unknown: bool) -> st.SearchStrategy[object]:
    one = (
        SCALARS[field.type]
        if field.message_type is None
        else _messages(field.message_type, depth - 1, unknown)
    )
    return st.lists(one, max_size=2) if field.is_repeated else one
