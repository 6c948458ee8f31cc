"""Where spans stand in their traces, read of many at once.

A span that says what one before has said mostly has that one's bytes, but for its ids and times.
So these are cut out where the first of its kind had them, of all spans by a few passes of numpy;
and what is left of each is compared with what was left of the first. Where that differs the span
is read by protobuf, as the first was: nothing is guessed, whoever wrote it in whatever order.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.otlp.protobuf import Cursor
from otel_embedder.otlp.remembered import Bounded, Remembered
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.search.recording.columns import Places
from otel_embedder.text.renderer import STATUS_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.search.counts import Integers

    # The number of what a span says, and its length.
    Kind = tuple[int, int]

# Of fewer spans it takes longer to begin than to read them one by one.
MANY = 32
# What is larger hardly recurs.
MAX_SPAN_BYTES = 4 * 1024

NUMBER_BYTES = 8
# The fields that are a span's own, by their tags, and how many numbers of 8 bytes each has: its
# trace's id, its own, its parent's, start and end.
OWN = {0x0A: 2, 0x12: 1, 0x22: 1, 0x39: 1, 0x41: 1}
NOWHERE = -1
# Where these numbers begin, and the status.
POSITIONS = struct.Struct("=7i")
# Behind the last span, for fields that one has not.
ZEROS = bytes(NUMBER_BYTES)


class Shape(NamedTuple):
    """What spans of a kind have in common.

    Attributes:
        common: the bytes of each, with zeros for those of its own.
        positions: those as of `POSITIONS`, NOWHERE of what they have not.

    """

    common: bytes
    positions: bytes


class PlaceReader:
    """Reads the places of spans, and remembers the shapes of those that recur."""

    def __init__(self) -> None:
        """Begin without a shape."""
        self._status = Remembered(_status_code)
        # None: each is to be read by itself.
        self._shapes: Bounded[Kind, Shape | None] = Bounded(lambda kind: kind[1])

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        return self._shapes.memory()

    def forget(self) -> None:
        """Forget the shapes, for what is said gets other numbers."""
        self._shapes.clear()

    def read(self, spans: Sequence[bytes], sayings: Sequence[int], *, known: int) -> Places:
        """Give the places of some encoded spans.

        Args:
            spans: encoded.
            sayings: of each the number of what it says.
            known: of so many it is known that they recur; of others no shape is kept.

        Raises:
            google.protobuf.message.DecodeError: one is not a Span.

        """
        if len(spans) < MANY:
            return self._read_each(spans)
        kinds = [*zip(sayings, map(len, spans), strict=True)]
        shapes = [*map(self._shapes.get, kinds)]
        if None not in shapes:
            return self._cut(spans, shapes)
        return self._read_in_part(spans, kinds, shapes, known)

    def _read_in_part(
        self,
        spans: Sequence[bytes],
        kinds: Sequence[Kind],
        shapes: Sequence[Shape | None],
        known: int,
    ) -> Places:
        """Cut those that have a shape, and learn those of the others."""
        shaped = [row for row, shape in enumerate(shapes) if shape is not None]
        others = [row for row, shape in enumerate(shapes) if shape is None]
        read = self._read_each([spans[row] for row in others])
        for row, status in zip(others, read.statuses.tolist(), strict=True):
            if kinds[row][0] < known:
                self._learn(kinds[row], spans[row], status)
        if not shaped:
            return read
        cut = self._cut([spans[row] for row in shaped], [shapes[row] for row in shaped])
        return Places.joined([cut, read]).at(np.argsort([*shaped, *others]))

    def _learn(self, kind: Kind, span: bytes, status: int) -> None:
        if kind not in self._shapes and len(span) <= MAX_SPAN_BYTES:
            self._shapes.remember(kind, _shape(span, status))

    def _cut(self, spans: Sequence[bytes], shapes: Sequence[Shape | None]) -> Places:
        """Cut the places out of spans, of which each has a shape."""
        common, positions = zip(*filter(None, shapes), strict=True)
        joined = bytearray().join([*spans, ZEROS])
        lengths = np.fromiter(map(len, spans), np.int64, len(spans))
        ends = np.cumsum(lengths)
        each = np.frombuffer(b"".join(positions), np.int32).reshape(len(spans), -1)
        within, statuses = each[:, :-1], each[:, -1].astype(np.int8)
        at = np.where(within == NOWHERE, ends[-1], within + (ends - lengths)[:, np.newaxis])
        # The numbers of eight bytes that begin at each byte.
        numbers = np.ndarray(len(joined) - NUMBER_BYTES + 1, np.uint64, joined, strides=(1,))
        own = numbers[at]
        numbers[at] = 0
        expected = np.frombuffer(b"".join([*common, ZEROS]), np.uint8)
        differing = np.flatnonzero(np.frombuffer(joined, np.uint8) != expected)
        places = Places(own[:, :2], own[:, 2], own[:, 3], own[:, 4], own[:, 5], statuses)
        return self._mended(places, spans, np.unique(np.searchsorted(ends, differing, "right")))

    def _mended(self, places: Places, spans: Sequence[bytes], rows: Integers) -> Places:
        """Read those spans that are not of the shape that they were taken to be."""
        if not len(rows):
            return places
        read = self._read_each([spans[row] for row in rows.tolist()])
        order = np.arange(len(spans))
        order[rows] = len(spans) + np.arange(len(rows))
        return Places.joined([places, read]).at(order)

    def _read_each(self, spans: Sequence[bytes]) -> Places:
        places = [*map(pb.SpanPlace.FromString, spans)]
        return Places(
            np.array([place.trace_id for place in places], "S16").view(np.uint64).reshape(-1, 2),
            np.array([place.span_id for place in places], "S8").view(np.uint64),
            np.array([place.parent_span_id for place in places], "S8").view(np.uint64),
            np.array([place.start_time_unix_nano for place in places], np.uint64),
            np.array([place.end_time_unix_nano for place in places], np.uint64),
            np.array([self._status[place.status] for place in places], np.int8),
        )


def _shape(span: bytes, status: int) -> Shape | None:
    """Give the shape of a span; None if something of its own is odd in length, or there twice."""
    common, found = bytearray(span), dict[int, int]()
    cursor = Cursor(span, 0, len(span), level=0)
    while not cursor.is_at_end():
        field = cursor.field()
        numbers = OWN.get(field.tag)
        if numbers is None:
            continue
        if field.tag in found or field.end - field.value != numbers * NUMBER_BYTES:
            return None
        found[field.tag] = field.value
        common[field.value : field.end] = bytes(numbers * NUMBER_BYTES)
    positions = [
        found[tag] + NUMBER_BYTES * number if tag in found else NOWHERE
        for tag, numbers in OWN.items()
        for number in range(numbers)
    ]
    return Shape(bytes(common), POSITIONS.pack(*positions, status))


def _status_code(encoded: bytes) -> int:
    code = pb.Status.FromString(encoded).code
    return code if code in STATUS_NAMES else 0
