"""How much of a span is read: one purse of bytes, spent on what tells most first.

Whatever a byte is part of, it takes a microsecond or two to make words of it. So a
bound of bytes is one of time, if it holds for all that is read of a span together:
name, status, errors, attributes, and what is nested in them. What the purse does
not pay for is cut off while it is still encoded, and the renderer reads a small span.
The same span is always cut in the same way, whatever was seen before it.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.otlp.fields import fields
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.errors import error_events, stack_traces
from otel_embedder.text.values import ELLIPSIS, MAX_BYTES, MAX_ITEMS, MAX_NESTING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

# What takes longest to read, digits as of cards in arrays in arrays, takes 40 ms.
SPAN_BYTES = 12 * 1024
# A string as long as it is read, and its key.
ATTRIBUTE_BYTES = MAX_BYTES + 512
# So many fields of a span are passed to find what is read, and so many within what is cut.
MAX_FIELDS = 4_096
# What stands before a part: its tag and its length.
PREFIX_BYTES = 2

# Of a message that is longer than this there is read so much, and the cause that its end tells.
MESSAGE_BYTES, MESSAGE_HEAD_BYTES = MAX_BYTES, MAX_BYTES // 2
# What of a stack trace is read that is longer: its ends, and what stands around its outer causes.
TRACE_BYTES = 8 * 1024
# So much of a span's stack trace if the span is cut.
CUT_TRACE_BYTES = 4 * 1024
# How far from its ends causes are looked for.
SEARCHED_BYTES = 32 * 1024
GAP = f"\n{stack_traces.GAP}\n".encode()
# What stands before a cause at the end of a message.
MESSAGE_MARKS = (
    *(b"nested exception is ", b"nested: ", b"with root cause", b"aused by: ", b" ---> "),
    *(b"[cause]: ", b"nner exception: ", b"nnerException: ", b"iginal exception: ", b"Cause: "),
)
# An event that is no larger is not read if it has no word that an error would have.
HINT_BYTES = 2 * 1024
# And of so many of these together; a byte takes 30 ns.
LOOK_BYTES = 64 * 1024

SERVICE_KEY = b"service.name"

UNREAD_VALUE = pb.AnyValue(string_value=ELLIPSIS.encode()).SerializeToString()
UNREAD_PAIR = pb.KeyValue(key=ELLIPSIS.encode(), value=UNREAD_VALUE).SerializeToString()


class Place(NamedTuple):
    """Where a part of the bytes starts and ends."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.end - self.start


NOWHERE = Place(0, 0)


def cut_span(encoded: bytes, size: int = SPAN_BYTES) -> bytes:
    """Give an encoded Span with about as much in it as so many bytes pay for.

    Name, status and errors go first, then attributes as they come. The value of one that is
    too large for what is left is `...`; smaller ones behind it may still have theirs.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    if len(encoded) <= size:
        return encoded
    head, cut = pb.SpanHead.FromString(encoded), _Cut(encoded)
    status = pb.Status.FromString(head.status)
    status = pb.Status(message=cut_message(status.message), code=status.code)
    span = pb.Span(
        name=_as_read(head.name),
        kind=head.kind,
        start_time_unix_nano=head.start_time_unix_nano,
        end_time_unix_nano=head.end_time_unix_nano,
        status=status.SerializeToString(),
    )
    attributes, events = cut.places(pb.Span.ATTRIBUTES_FIELD_NUMBER, pb.Span.EVENTS_FIELD_NUMBER)
    size -= len(span.name) + len(span.status)
    span.events.extend(cut.errors(events, size))
    size -= sum(map(len, span.events))
    span.attributes.extend(cut.pairs(attributes, size))
    return span.SerializeToString()


def cut_resource(encoded: bytes) -> bytes:
    """Give an encoded Resource; if it is large, with nothing in it but its service's name.

    Raises:
        google.protobuf.message.DecodeError: it is not a Resource, as far as it is read. To look
            into all of a request's bytes would take a tenth of a second.

    """
    if len(encoded) <= SPAN_BYTES:
        return encoded
    cut = _Cut(encoded)
    (attributes,) = cut.places(pb.Resource.ATTRIBUTES_FIELD_NUMBER)
    named = cut.of_key(SERVICE_KEY, attributes)
    return pb.Resource(attributes=cut.pairs(named, SPAN_BYTES)).SerializeToString()


def cut_attribute(encoded: bytes) -> bytes:
    """Give an encoded KeyValue with about as much in it as is read of one.

    Raises:
        google.protobuf.message.DecodeError: it is not a KeyValue.

    """
    if len(encoded) <= ATTRIBUTE_BYTES:
        return encoded
    return _Cut(encoded).pair(Place(0, len(encoded)), ATTRIBUTE_BYTES)


def cut_value(encoded: bytes) -> bytes:
    """Give an encoded AnyValue with about as much in it as is read of one.

    Raises:
        google.protobuf.message.DecodeError: it is not an AnyValue.

    """
    if len(encoded) <= ATTRIBUTE_BYTES:
        return encoded
    return _Cut(encoded).value(Place(0, len(encoded)), ATTRIBUTE_BYTES)


def cut_message(encoded: bytes) -> bytes:
    """Give what is read of an error's message: all, or its beginning and a cause at its end.

    Between the two there is a line of its own, `GAP`.
    """
    return _cut_message(encoded, Place(0, len(encoded)))


def _cut_message(encoded: bytes, place: Place) -> bytes:
    start, end = place
    if place.size <= MESSAGE_BYTES:
        return encoded[start:end]
    head, room = start + MESSAGE_HEAD_BYTES, MESSAGE_BYTES - MESSAGE_HEAD_BYTES - len(GAP)
    cause = max(encoded.rfind(mark, max(head, end - room), end) for mark in MESSAGE_MARKS)
    return encoded[start:head] + GAP + (encoded[cause:end] if cause >= 0 else b"")


def cut_trace(encoded: bytes, size: int = TRACE_BYTES) -> bytes:
    """Give what is read of a stack trace: all, or its ends and what is around its causes.

    Between them there are lines of their own, `GAP`.
    """
    return _cut_trace(encoded, Place(0, len(encoded)), size)


def _cut_trace(encoded: bytes, place: Place, size: int) -> bytes:
    start, end = place
    if place.size <= size:
        return encoded[start:end]
    share, middle = size // 4 - len(GAP), start + SEARCHED_BYTES
    found = [encoded.find(mark, start, min(middle, end)) for mark in stack_traces.MARKS]
    first = min((place for place in found if place >= 0), default=start)
    searched = max(start, end - SEARCHED_BYTES)
    last = max(encoded.rfind(mark, searched, end) for mark in stack_traces.MARKS)
    around = [(first - share // 2, first + share // 2), (last, last + share)]
    places = [(start, start + share), *around, (end - share, end)]
    return GAP.join(encoded[max(start, low) : min(high, end)] for low, high in _apart(places))


def _apart(places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give places in order, those as one that overlap or touch."""
    apart: list[tuple[int, int]] = []
    for low, high in sorted(places):
        if apart and low <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(high, apart[-1][1]))
        else:
            apart.append((low, high))
    return apart


def _looked_at(events: Sequence[Place]) -> list[Place]:
    """Give the last events, as many as so many bytes pay to look at, and the first."""
    looked: list[Place] = []
    bytes_left = LOOK_BYTES
    for event in reversed(events):
        # A large one is read without a look.
        bytes_left -= event.size if event.size <= HINT_BYTES else 0
        if bytes_left < 0:
            return [events[0], *reversed(looked)]
        looked.append(event)
    return looked[::-1]


def _as_read(string: bytes) -> bytes:
    """Give what is read of a string, and a byte more to tell that there was more."""
    return string[: MAX_BYTES + 1]


class _Cut:
    """Cuts parts out of an encoded message, without a copy of what is left out."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded
        self._fields_left = MAX_FIELDS

    def places(self, *numbers: int) -> list[list[Place]]:
        """Give where the message has fields of these numbers, for each of them."""
        found = [*islice(fields(self._encoded, 0, len(self._encoded)), MAX_FIELDS)]
        return [
            [Place(start, end) for field, start, end in found if field == number]
            for number in numbers
        ]

    def of_key(self, key: bytes, pairs: Iterable[Place]) -> list[Place]:
        """Give those KeyValues that have a key, and maybe some that have another."""
        encoded, key = self._encoded, pb.KeyValue(key=key).SerializeToString()
        # An SDK writes the key first, a Collector the value.
        return [
            pair for pair in pairs if encoded.startswith(key, *pair) or encoded.endswith(key, *pair)
        ]

    def errors(self, events: Sequence[Place], room: int) -> list[bytes]:
        """Give those of these Events that tell of errors, with what is read of them."""
        told = [event for event in _looked_at(events) if self._may_tell(event)]
        cut: list[bytes] = []
        for event in error_events.read(list(filter(None, map(self._error, told)))):
            name, pairs = event
            attributes = _together(pairs, room, self._error_attribute)
            cut.append(pb.Event(name=name, attributes=attributes).SerializeToString())
            room -= len(cut[-1]) + PREFIX_BYTES
        return cut[::-1]

    def _may_tell(self, event: Place) -> bool:
        """Tell whether an Event may tell of an error; to look is cheaper than to read it."""
        return (
            event.size > HINT_BYTES or error_events.HINT.search(self._encoded, *event) is not None
        )

    def _error(self, event: Place) -> tuple[bytes, list[Place]] | None:
        """Give the name of an Event and those KeyValues that are read, if it tells of an error."""
        if self._fields_left < MAX_FIELDS // 2:
            return None  # attributes need some, too
        parts = [*self._parts(event)]
        name = self._bytes(dict(parts).get(pb.Event.NAME_FIELD_NUMBER, NOWHERE), MAX_BYTES)
        pairs: list[Place] = []
        values: dict[bytes, bytes] = {}
        for pair in (place for field, place in parts if field == pb.Event.ATTRIBUTES_FIELD_NUMBER):
            key, value = self._key_value(pair)
            plain = error_events.plain(self._bytes(key, error_events.MAX_NAME_BYTES))
            if plain in error_events.READ:
                pairs.append(pair)
                values[plain] = self.value(value, error_events.MAX_NAME_BYTES)
        return (name, pairs) if error_events.tells_error(name, values) else None

    def _error_attribute(self, pair: Place, room: int) -> bytes:
        key, value = self._key_value(pair)
        kind, content = ([*self._parts(value)] or [(0, NOWHERE)])[-1]
        if kind != pb.AnyValue.STRING_VALUE_FIELD_NUMBER:
            return self._attribute(pair, room)
        cut = (
            _cut_trace(self._encoded, content, CUT_TRACE_BYTES)
            if error_events.plain(self._bytes(key)) in error_events.WITH_CAUSES
            else _cut_message(self._encoded, content)
        )
        cut = cut if len(cut) <= room else ELLIPSIS.encode()
        string = pb.AnyValue(string_value=cut).SerializeToString()
        return pb.KeyValue(key=self._bytes(key), value=string).SerializeToString()

    def _key_value(self, pair: Place) -> tuple[Place, Place]:
        """Give where a KeyValue's key and its value are."""
        parts = dict(self._parts(pair))
        key = parts.get(pb.KeyValue.KEY_FIELD_NUMBER, NOWHERE)
        return key, parts.get(pb.KeyValue.VALUE_FIELD_NUMBER, NOWHERE)

    def pairs(self, places: Iterable[Place], room: int) -> Iterator[bytes]:
        """Give KeyValues in about so many bytes together, each with what is read of it."""
        return _together(places, room, self._attribute)

    def _attribute(self, place: Place, room: int) -> bytes:
        return self.pair(place, min(room, ATTRIBUTE_BYTES))

    def pair(self, place: Place, room: int, depth: int = 0) -> bytes:
        """Give a KeyValue in about so many bytes, at the cost of its value."""
        if place.size <= room:
            return self._bytes(place)
        key, value = self._key_value(place)
        if key.size >= room:
            return UNREAD_PAIR
        encoded = self.value(value, room - key.size, depth)
        return pb.KeyValue(key=self._bytes(key), value=encoded).SerializeToString()

    def value(self, place: Place, room: int, depth: int = 0) -> bytes:
        """Give an AnyValue in about so many bytes: as much as is read of a string, or `...`."""
        if place.size <= room:
            return self._bytes(place)
        kind, content = ([*self._parts(place)] or [(0, NOWHERE)])[-1]
        match kind if room else 0:
            case pb.AnyValue.STRING_VALUE_FIELD_NUMBER if min(content.size, MAX_BYTES) < room:
                cut = pb.AnyValue(string_value=self._bytes(content, MAX_BYTES + 1))
            case pb.AnyValue.BYTES_VALUE_FIELD_NUMBER:
                cut = pb.AnyValue(string_value=f"<{content.size} bytes>".encode())
            case pb.AnyValue.ARRAY_VALUE_FIELD_NUMBER:
                items = pb.ArrayValue(values=self._items(content, room, depth + 1, self.value))
                cut = pb.AnyValue(array_value=items.SerializeToString())
            case pb.AnyValue.KVLIST_VALUE_FIELD_NUMBER:
                pairs = pb.KeyValueList(values=self._items(content, room, depth + 1, self.pair))
                cut = pb.AnyValue(kvlist_value=pairs.SerializeToString())
            case _:
                return UNREAD_VALUE
        return cut.SerializeToString()

    def _items(
        self, place: Place, room: int, depth: int, cut: Callable[[Place, int, int], bytes]
    ) -> Iterator[bytes]:
        items = islice(self._parts(place), MAX_ITEMS if depth <= MAX_NESTING else 0)
        return _together(
            (item for _, item in items), room, lambda item, left: cut(item, left, depth)
        )

    def _parts(self, place: Place) -> Iterator[tuple[int, Place]]:
        """Give the fields of a part, their numbers and where they are, as far as the purse goes."""
        for number, start, end in islice(fields(self._encoded, *place), self._fields_left):
            self._fields_left -= 1
            yield number, Place(start, end)

    def _bytes(self, place: Place, size: int | None = None) -> bytes:
        """Give a part, or so many bytes of it at most."""
        end = place.end if size is None else min(place.end, place.start + size)
        return self._encoded[place.start : end]


def _together(
    places: Iterable[Place], room: int, cut: Callable[[Place, int], bytes]
) -> Iterator[bytes]:
    """Give parts in about so many bytes together, and one without room if there are more."""
    for place in places:
        part = cut(place, max(0, room))
        yield part
        if room <= 0:
            return
        room -= len(part) + PREFIX_BYTES
