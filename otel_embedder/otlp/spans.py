"""Which span it is, and how long it took: the ids and times of an encoded Span."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.message import DecodeError

from otel_embedder.otlp.reused import Reused
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Occurrence = tuple[int, int, bytes]

NANOSECONDS_PER_MILLISECOND = 1_000_000
UNSET, OK, ERROR = range(3)  # Status.StatusCode
STATUS_NAMES = {OK: "OK", ERROR: "ERROR"}  # all else is UNSET

_EVENTS = Reused(pb.SpanEvents)


class SpanIds(NamedTuple):
    """A span's ids, as bytes: 16 and 8 of them, where OTLP was kept to; none where it has none."""

    trace_id: bytes
    span_id: bytes


def span_ids(encoded: bytes) -> SpanIds:
    """Give the ids of an encoded Span.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    ids = pb.SpanIds.FromString(encoded)
    return SpanIds(ids.trace_id, ids.span_id)


def occurrences(spans: Iterable[bytes], *, max_bytes: int) -> Iterator[Occurrence | None]:
    """Take some encoded Spans apart: into what is each one's own, and what others have, too.

    All are read into one message, which takes a third less time than one each; that grows, so it is
    for some spans only.

    Args:
        spans: encoded.
        max_bytes: of a span that is read.

    Yields:
        Of each start and end, in nanoseconds, and the Span without them, ids, trace state and
        links; None where it is larger, or is not a Span.

    """
    message = pb.SpanOccurrence()
    parse, clear, serialize = message.ParseFromString, message.ClearField, message.SerializeToString
    for span in spans:
        if len(span) > max_bytes:
            yield None
            continue
        try:
            parse(span)
        except DecodeError:
            yield None
            continue
        started, ended = message.start_time_unix_nano, message.end_time_unix_nano
        clear("unread")
        clear("start_time_unix_nano")
        clear("end_time_unix_nano")
        # What it has besides are unknown fields, which protobuf keeps as they are, in their order.
        yield started, ended, serialize()


def has_events(encoded: bytes) -> bool:
    """Tell whether an encoded Span has events.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    return bool(_EVENTS.read(encoded).events)


def status_code(encoded: bytes) -> int:
    """Give the status of an encoded Span; what OTLP does not have is UNSET.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span, or its status is none.

    """
    return code_of(pb.SpanPlace.FromString(encoded).status)


def code_of(status: bytes) -> int:
    """Give the code of an encoded Status; what OTLP does not have is UNSET.

    Raises:
        google.protobuf.message.DecodeError: it is not a Status.

    """
    code = pb.Status.FromString(status).code
    return code if code in STATUS_NAMES else UNSET


def nanoseconds(started: int, ended: int) -> int | None:
    """Give how long a span took, by its times in nanoseconds; None where these don't tell."""
    return ended - started if 0 < started <= ended else None


def span_milliseconds(encoded: bytes) -> float | None:
    """Give how long an encoded Span took; None where its times don't tell.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    head = pb.SpanHead.FromString(encoded)
    took = nanoseconds(head.start_time_unix_nano, head.end_time_unix_nano)
    return None if took is None else took / NANOSECONDS_PER_MILLISECOND


def check_span(encoded: bytes) -> None:
    """Make sure that a span is one: itself, its status, attributes and events.

    Raises:
        google.protobuf.message.DecodeError: it is not.

    """
    span = pb.Span.FromString(encoded)
    pb.Status.FromString(span.status)
    for attribute in span.attributes:
        pb.KeyValue.FromString(attribute)
    for event in span.events:
        pb.Event.FromString(event)
