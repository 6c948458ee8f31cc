"""What an encoded span says, as plain values: for whoever asks of it what no text shows.

Nothing is hidden, masked or cut here, so none of it may be shown or logged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_embedder.otlp.spans import STATUS_NAMES, span_milliseconds
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable

SERVICE_KEY = "service.name"
MAX_DEPTH = 32  # of a value; what is deeper is not read

# The keys and values of attributes, in their order: a key may come twice.
Pairs = tuple[tuple[str, str], ...]
Plain = str | bool | int | float | None | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What an event says: its name, and its attributes."""

    name: str
    attributes: Pairs


@dataclass(frozen=True, slots=True)
class SpanFacts:
    """What a span says.

    Attributes:
        name: its name.
        status: UNSET, OK or ERROR.
        message: what the program said of the status.
        milliseconds: how long it took, None where its times don't tell.
        attributes: a string as it is, all else as JSON.
        events: in their order.

    """

    name: str
    status: str
    message: str
    milliseconds: float | None
    attributes: Pairs
    events: tuple[EventFacts, ...]


def span_facts(encoded: bytes) -> SpanFacts:
    """Read an encoded Span. What of a string is not UTF-8 becomes a question mark.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    span = pb.Span.FromString(encoded)
    status = pb.Status.FromString(span.status)
    events = map(pb.Event.FromString, span.events)
    return SpanFacts(
        name=_decoded(span.name),
        status=STATUS_NAMES.get(status.code, "UNSET"),
        message=_decoded(status.message),
        milliseconds=span_milliseconds(encoded),
        attributes=_pairs(span.attributes),
        events=tuple(
            EventFacts(_decoded(event.name), _pairs(event.attributes)) for event in events
        ),
    )


def service_name(resource: bytes) -> str:
    """Give the `service.name` of an encoded Resource, empty if it has none.

    Raises:
        google.protobuf.message.DecodeError: it is not a Resource.

    """
    return dict(_pairs(pb.Resource.FromString(resource).attributes)).get(SERVICE_KEY, "")


def _pairs(attributes: Iterable[bytes]) -> Pairs:
    pairs = map(pb.KeyValue.FromString, attributes)
    return tuple((_decoded(pair.key), _words(_plain(pair.value, 0))) for pair in pairs)


def _words(value: Plain) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(encoded: bytes, depth: int) -> Plain:  # noqa: PLR0911 - one for each kind
    """Give an encoded AnyValue as JSON has it."""
    if depth > MAX_DEPTH:
        return None
    value = pb.AnyValue.FromString(encoded)
    match value.WhichOneof("value"):
        case "string_value":
            return _decoded(value.string_value)
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bytes_value":
            return value.bytes_value.hex()
        case "array_value":
            items = pb.ArrayValue.FromString(value.array_value).values
            return [_plain(item, depth + 1) for item in items]
        case "kvlist_value":
            pairs = map(
                pb.KeyValue.FromString, pb.KeyValueList.FromString(value.kvlist_value).values
            )
            return {_decoded(pair.key): _plain(pair.value, depth + 1) for pair in pairs}
        case _:
            return None


def _decoded(encoded: bytes) -> str:
    return encoded.decode(errors="replace")
