"""Where spans stand in their traces, read of many at once.

A span that says what one before has said mostly has that one's bytes, but for its ids and times.
So these are cut out where the first of its kind had them, of all spans by a few passes of numpy;
and what is left of each is compared with what was left of the first. Where that differs the span
is read by protobuf, as the first was: nothing is guessed, whoever wrote it in whatever order.
"""

from __future__ import annotations

import struct
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.otlp.protobuf import Cursor
from otel_embedder.otlp.remembered import Bounded, Remembered
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.search.recording.columns import Places
from otel_embedder.search.recording.packed import NUMBER_BYTES, ZEROS
from otel_embedder.text.renderer import STATUS_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from otel_embedder.search.counts import Integers
    from otel_embedder.search.recording.packed import PackedSpans

# Of fewer spans it takes longer to begin than to read them one by one.
MANY = 32
# What is larger hardly recurs.
MAX_SPAN_BYTES = 4 * 1024
# A span is of a kind with those that say the same and are as long: in one number.
KINDS_A_SAYING = 2 * MAX_SPAN_BYTES

# The fields that are a span's own, by their tags, and how many numbers of 8 bytes each has: its
# trace's id, its own, its parent's, start and end.
OWN = {0x0A: 2, 0x12: 1, 0x22: 1, 0x39: 1, 0x41: 1}
NOWHERE = -1
# Where these numbers begin, and the status.
POSITIONS = struct.Struct("=7i")


class Shape(NamedTuple):
    """What spans of a kind have in common.

    Attributes:
        common: the bytes of each, with zeros for those of its own.
        positions: those as of `POSITIONS`, NOWHERE of what they have not.

    """

    common: bytes
    positions: bytes


COMMON_OF, POSITIONS_OF = map(attrgetter, Shape._fields)


class PlaceReader:
    """Reads the places of spans, and remembers the shapes of those that recur."""

    def __init__(self) -> None:
        """Begin without a shape."""
        self._status = Remembered(_status_code)
        # None: each is to be read by itself.
        self._shapes: Bounded[int, Shape | None] = Bounded(_length)

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        return self._shapes.memory()

    def forget(self) -> None:
        """Forget the shapes, for what is said gets other numbers."""
        self._shapes.clear()

    def read(self, spans: PackedSpans, sayings: Integers, *, known: int) -> Places:
        """Give the places of some encoded spans.

        Args:
            spans: encoded.
            sayings: of each the number of what it says, shape (n,).
            known: of so many it is known that they recur; of others no shape is kept.

        Raises:
            google.protobuf.message.DecodeError: one is not a Span.

        """
        if len(spans) < MANY:
            return self._read_each(spans)
        lengths = np.diff(spans.ends, prepend=0)
        kinds = (sayings * KINDS_A_SAYING + np.minimum(lengths, KINDS_A_SAYING - 1)).tolist()
        shapes = [*map(self._shapes.get, kinds)]
        if None not in shapes:
            return self._cut(spans, shapes)
        return self._read_in_part(spans, kinds, shapes, known)

    def _read_in_part(
        self,
        spans: PackedSpans,
        kinds: Sequence[int],
        shapes: Sequence[Shape | None],
        known: int,
    ) -> Places:
        """Cut those that have a shape, and learn those of the others."""
        is_shaped = np.array([shape is not None for shape in shapes])
        shaped, others = np.flatnonzero(is_shaped), np.flatnonzero(~is_shaped)
        rest = spans.at(others)
        read = self._read_each(rest)
        for row, span, status in zip(others.tolist(), rest, read.statuses.tolist(), strict=True):
            if kinds[row] < known * KINDS_A_SAYING:
                self._learn(kinds[row], span, status)
        if not len(shaped):
            return read
        cut = self._cut(spans.at(shaped), [*filter(None, shapes)])
        return Places.joined([cut, read]).at(np.argsort(np.concatenate([shaped, others])))

    def _learn(self, kind: int, span: bytes, status: int) -> None:
        if kind not in self._shapes and len(span) <= MAX_SPAN_BYTES:
            self._shapes.remember(kind, _shape(span, status))

    def _cut(self, spans: PackedSpans, shapes: Sequence[Shape | None]) -> Places:
        """Cut the places out of spans, of which each has a shape."""
        positions = b"".join([*map(POSITIONS_OF, shapes)])
        each = np.frombuffer(positions, np.int32).reshape(len(spans), -1)
        within, statuses = each[:, :-1], each[:, -1].astype(np.int8)
        begins = np.append(0, spans.ends[:-1])
        at = np.where(within == NOWHERE, spans.ends[-1], within + begins[:, np.newaxis])
        own = _numbers(spans.joined)[at]
        expected = bytearray().join([*map(COMMON_OF, shapes), ZEROS])
        _numbers(expected)[at] = own
        places = Places(own[:, :2], own[:, 2], own[:, 3], own[:, 4], own[:, 5], statuses)
        if expected == spans.joined:
            return places
        differing = np.flatnonzero(
            np.frombuffer(spans.joined, np.uint8) != np.frombuffer(expected, np.uint8)
        )
        rows = np.unique(np.searchsorted(spans.ends, differing, "right"))
        return self._mended(places, spans, rows)

    def _mended(self, places: Places, spans: PackedSpans, rows: Integers) -> Places:
        """Read those spans that are not of the shape that they were taken to be."""
        read = self._read_each(spans.at(rows))
        order = np.arange(len(spans))
        order[rows] = len(spans) + np.arange(len(rows))
        return Places.joined([places, read]).at(order)

    def _read_each(self, spans: PackedSpans) -> Places:
        places = [*map(pb.SpanPlace.FromString, spans)]
        return Places(
            np.array([place.trace_id for place in places], "S16").view(np.uint64).reshape(-1, 2),
            np.array([place.span_id for place in places], "S8").view(np.uint64),
            np.array([place.parent_span_id for place in places], "S8").view(np.uint64),
            np.array([place.start_time_unix_nano for place in places], np.uint64),
            np.array([place.end_time_unix_nano for place in places], np.uint64),
            np.array([self._status[place.status] for place in places], np.int8),
        )


def _numbers(joined: bytes | bytearray) -> npt.NDArray[np.uint64]:
    """Give the numbers of eight bytes that begin at each byte."""
    return np.ndarray(len(joined) - NUMBER_BYTES + 1, np.uint64, joined, strides=(1,))


def _length(kind: int) -> int:
    return kind % KINDS_A_SAYING


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
