"""A span as a dict, and as OTLP: for programs that have traces, but no Collector.

A dict takes the same way as a span on the wire: it becomes an OTLP span, and
that is what is rendered. So the same span has the same text, however it came.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from itertools import islice
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from otel_embedder.annotation.standing import is_ours
from otel_embedder.embedder.embedding import UNKNOWN_TRACE_ID
from otel_embedder.errors import MalformedTraceError
from otel_embedder.library.values import (
    decode_pairs,
    decode_value,
    key_value,
    plain_text,
    pruned,
    whole,
)
from otel_embedder.otlp.spans import STATUS_NAMES
from otel_embedder.text.durations import NANOSECONDS_PER_MILLISECOND
from otel_embedder.text.purse import MAX_FIELDS
from otel_embedder.text.wording.wording import KIND_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_embedder.annotation.names import Names

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
MAX_UINT64 = 2**64 - 1

# A trace that doesn't say when it began began a nanosecond after 1970: OTLP has
# no durations, and takes a start of 0 for none.
UNKNOWN_START = 1


KINDS = {
    **{name: number for number, name in KIND_NAMES.items()},
    **{str(number): number for number in KIND_NAMES},
}
STATUS_CODES = {
    **{name: code for code, name in STATUS_NAMES.items()},
    **{str(code): code for code in STATUS_NAMES},
    **dict.fromkeys(("", "0", "UNSET"), 0),
}


class Extent(NamedTuple):
    """How much of a trace is taken.

    Attributes:
        value: gives as much of a value.
        most: how many attributes and events; None is all of them.

    """

    value: Callable[[object], object]
    most: int | None


WHOLE = Extent(whole, None)
READ = Extent(pruned, MAX_FIELDS)  # by the renderer


class TraceEvent(TypedDict, total=False):
    """Something that happened during a span.

    Attributes:
        name: what; an `exception`'s type and message become part of the text.
        time_unix_nano: when, in nanoseconds since 1970.
        attributes: more of it, such as exception.type and exception.message.

    """

    name: str
    time_unix_nano: int
    attributes: Mapping[str, object]


class Trace(TypedDict, total=False):
    """A span as a dict. None of it must be there; the text says what is.

    Attributes:
        trace_id: 32 hex digits in OTLP; any text to be embedded.
        span_id: 16 hex digits.
        name: what the span is called, where there is no `operation`.
        service: the resource's service.name.
        operation: what the span is called.
        kind: INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER; any other word is none of them.
        status: UNSET, OK or ERROR; any other word is kept, as the message of UNSET.
        status_message: what the program said about it.
        duration_ms: milliseconds.
        start_time_unix_nano: nanoseconds since 1970; not part of the text.
        attributes: values of the kinds that OTLP has: text, numbers, truth, bytes, None,
            sequences and mappings of them. Others are taken as `str` has them.
        events: what happened meanwhile.

    """

    trace_id: str
    span_id: str
    name: str
    service: object
    operation: str
    kind: str
    status: str
    status_message: str
    duration_ms: float
    start_time_unix_nano: int
    attributes: Mapping[str, object]
    events: Sequence[TraceEvent]


def to_otlp(trace: Mapping[str, object]) -> ResourceSpans:
    """Give a trace as OTLP: a resource of its service, a scope without a name, one span.

    Raises:
        MalformedTraceError: an id is none, or a value is nested deeper than protobuf can be.

    """
    with reading():
        span = _span(trace, WHOLE)
        span.trace_id = _id(trace, "trace_id", TRACE_ID_BYTES)
        span.span_id = _id(trace, "span_id", SPAN_ID_BYTES)
        scope_spans = [ScopeSpans(spans=[span])]
        return ResourceSpans(resource=_resource(trace, WHOLE), scope_spans=scope_spans)


def for_text(trace: Mapping[str, object], names: Names) -> tuple[bytes, bytes]:
    """Give the encoded Resource and Span of a trace, with no more of it than a text reads.

    Args:
        trace: the trace.
        names: of the attributes that are ours, of which a text does not speak.

    Raises:
        MalformedTraceError: its objects can't be read.

    """
    with reading():
        resource, span = _resource(trace, READ), _span(_bare(trace, names), READ)
        return resource.SerializeToString(), span.SerializeToString()


def for_catalogue(trace: Mapping[str, object], names: Names, *, now: int) -> tuple[bytes, bytes]:
    """Give the encoded Resource and Span of a trace: what a text reads, ids and times.

    Args:
        trace: the trace.
        names: of the attributes that are ours, of which a text does not speak.
        now: nanoseconds since 1970: when a trace began that does not say it.

    Raises:
        MalformedTraceError: its objects can't be read.

    """
    with reading():
        resource, span = _resource(trace, READ), _span(_bare(trace, names), READ)
        span.trace_id = _known_id(trace.get("trace_id"), TRACE_ID_BYTES)
        span.span_id = _known_id(trace.get("span_id"), SPAN_ID_BYTES)
        if span.start_time_unix_nano in {0, UNKNOWN_START}:
            lasted = span.end_time_unix_nano - span.start_time_unix_nano
            span.end_time_unix_nano = now if span.end_time_unix_nano else 0
            span.start_time_unix_nano = now - max(0, lasted if span.end_time_unix_nano else 0)
        return resource.SerializeToString(), span.SerializeToString()


def _known_id(value: object, size: int) -> bytes:
    """Give an id as OTLP has it; a program's own words are none."""
    if isinstance(value, bytes):
        return value if len(value) == size else b""
    return bytes.fromhex(value) if isinstance(value, str) and _is_hex(value, size) else b""


def _bare(trace: Mapping[str, object], names: Names) -> Mapping[str, object]:
    """Leave out what we attached: a text does not speak of its own vector."""
    attributes = trace.get("attributes")
    if not isinstance(attributes, Mapping) or not is_ours(attributes, names):
        return trace
    kept = {key: value for key, value in attributes.items() if key not in names}
    return {**trace, "attributes": kept}


def trace_id_of(trace: Mapping[str, object]) -> str:
    """Give the trace id as OTLP has it in hex, if it is one; any other text as it is.

    Raises:
        MalformedTraceError: its objects can't be read.

    """
    with reading():
        return _trace_id(trace.get("trace_id"))


def _trace_id(value: object) -> str:
    match value:
        case str() as text if text:
            return text.lower() if _is_hex(text, TRACE_ID_BYTES) else text
        case bytes() as encoded if encoded:
            return encoded.hex()
        case _:
            return UNKNOWN_TRACE_ID


def from_otlp(span: Span, resource: Resource | None = None) -> Trace:
    """Give an OTLP span as a dict that has the same text, and the same vector."""
    attributes = resource.attributes if resource else ()
    services = [decode_value(pair.value) for pair in attributes if pair.key == "service.name"]
    trace = Trace(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        name=span.name,
        operation=span.name,
        service=next((service for service in services if service is not None), None),
        kind=KIND_NAMES.get(span.kind, "UNSPECIFIED"),
        status=STATUS_NAMES.get(span.status.code, "UNSET"),
        status_message=span.status.message,
        attributes=decode_pairs(span.attributes),
        events=[
            TraceEvent(
                name=event.name,
                time_unix_nano=event.time_unix_nano,
                attributes=decode_pairs(event.attributes),
            )
            for event in span.events
        ],
    )
    add_times(trace, span.start_time_unix_nano, span.end_time_unix_nano)
    return trace


def from_readable_span(span: ReadableSpan) -> Trace:
    """Give a span of the OpenTelemetry SDK as a dict.

    Raises:
        MalformedTraceError: it is something else.

    """
    if not hasattr(span, "get_span_context"):
        raise MalformedTraceError(f"a trace is a dict or a ReadableSpan, not {type(span).__name__}")
    with reading():
        return _from_readable_span(span)


@contextmanager
def reading() -> Iterator[None]:
    """Read objects of strangers, whose methods may raise anything."""
    try:
        yield
    except MalformedTraceError:
        raise
    except Exception as error:
        # Not its message, which may hold a value that is nobody else's business.
        raise MalformedTraceError(f"the trace can't be read: {type(error).__name__}") from error


def _from_readable_span(span: ReadableSpan) -> Trace:
    context = span.get_span_context()
    trace = Trace(
        trace_id=f"{context.trace_id:032x}" if context else "",
        span_id=f"{context.span_id:016x}" if context else "",
        name=span.name,
        operation=span.name,
        service=span.resource.attributes.get("service.name"),
        kind=span.kind.name,
        status=span.status.status_code.name,
        status_message=span.status.description or "",
        attributes=dict(span.attributes or {}),
        events=[
            TraceEvent(
                name=event.name,
                time_unix_nano=event.timestamp,
                attributes=dict(event.attributes or {}),
            )
            for event in span.events
        ],
    )
    add_times(trace, span.start_time or 0, span.end_time or 0)
    return trace


def add_times(trace: Trace, started: int, ended: int) -> None:
    """Note when a span began, and how long it took, of nanoseconds since 1970; 0 is unknown."""
    if started:
        trace["start_time_unix_nano"] = started
        if ended >= started:
            trace["duration_ms"] = (ended - started) / NANOSECONDS_PER_MILLISECOND


def _resource(trace: Mapping[str, object], extent: Extent) -> Resource:
    service = trace.get("service")
    if service is None:
        return Resource()
    return Resource(attributes=[key_value("service.name", extent.value(service))])


def _span(trace: Mapping[str, object], extent: Extent) -> Span:
    span = Span(
        name=_word(trace.get("operation")) or _word(trace.get("name")),
        kind=_kind(_word(trace.get("kind"))),
        attributes=_pairs(trace.get("attributes"), extent),
        events=[
            _event(event, extent) for event in islice(_mappings(trace.get("events")), extent.most)
        ],
    )
    _set_status(span, _word(trace.get("status")), _word(trace.get("status_message")))
    _set_times(span, trace.get("start_time_unix_nano"), _nanoseconds(trace.get("duration_ms")))
    return span


def _kind(word: str) -> Span.SpanKind.ValueType:
    name = word.strip().upper().rpartition(".")[2].removeprefix("SPAN_KIND_")
    return Span.SpanKind.ValueType(KINDS.get(name, Span.SPAN_KIND_UNSPECIFIED))


def _set_status(span: Span, status: str, message: str) -> None:
    name = status.strip().upper().rpartition(".")[2].removeprefix("STATUS_CODE_")
    code = STATUS_CODES.get(name)
    words = message if code is not None else f"{status} {message}".rstrip()
    if code or words:
        span.status.CopyFrom(Status(code=Status.StatusCode.ValueType(code or 0), message=words))


def _set_times(span: Span, start: object, nanoseconds: int | None) -> None:
    started = start if isinstance(start, int) and 0 < start <= MAX_UINT64 else 0
    if nanoseconds is None:
        span.start_time_unix_nano = started
        return
    span.start_time_unix_nano = started or UNKNOWN_START
    span.end_time_unix_nano = min(span.start_time_unix_nano + nanoseconds, MAX_UINT64)


def _nanoseconds(milliseconds: object) -> int | None:
    """Give a duration, None where it is none."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, (str, Real)):
        return None
    try:
        value = float(milliseconds)
    except (ValueError, OverflowError):
        return None
    if not 0 <= value < math.inf:
        return None
    return round(value * NANOSECONDS_PER_MILLISECOND)


def _event(event: Mapping[object, object], extent: Extent) -> Span.Event:
    time = event.get("time_unix_nano")
    return Span.Event(
        name=_word(event.get("name")),
        time_unix_nano=time if isinstance(time, int) and 0 <= time <= MAX_UINT64 else 0,
        attributes=_pairs(event.get("attributes"), extent),
    )


def _mappings(values: object) -> list[Mapping[object, object]]:
    if not isinstance(values, Sequence):
        return []
    return [value for value in values if isinstance(value, Mapping)]


def _pairs(attributes: object, extent: Extent) -> Iterable[KeyValue]:
    if not isinstance(attributes, Mapping):
        return ()
    pairs = islice(attributes.items(), extent.most)
    return (key_value(key, extent.value(value)) for key, value in pairs)


def _word(value: object) -> str:
    """Give a text for a field that has one; what can't be in one is left out."""
    is_many = isinstance(value, (Mapping, Sequence, AbstractSet)) and not isinstance(value, str)
    return "" if value is None or is_many else plain_text(value)


def _id(trace: Mapping[str, object], field: str, size: int) -> bytes:
    match trace.get(field):
        case None:
            return b""
        case bytes() as encoded if len(encoded) == size:
            return encoded
        case str() as text if _is_hex(text, size):
            return bytes.fromhex(text)
        case _:
            raise MalformedTraceError(f"{field} must be {2 * size} hex digits")


def _is_hex(text: str, size: int) -> bool:
    digits = set("0123456789abcdefABCDEF")
    return len(text) == 2 * size and digits.issuperset(text)
