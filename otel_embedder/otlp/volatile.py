"""Values that no text has, of a thread or a port: taken out of many encoded Spans at once.

Attributes are found by their keys, wherever these bytes stand, so what is found may be something
else: words of a statement. Still, what is left of a span tells what was taken out of it: what it is
found by is left, and none of that is in another one's value. So a span says what another one does
of which the same is left, if that one was walked over, and all that was taken out of it was such a
value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from otel_embedder.otlp.attributes import ATTRIBUTES_TAG, KEY_TAG, STRING_TAG, VALUE_TAG
from otel_embedder.otlp.protobuf import Cursor
from otel_embedder.otlp.wire import length_delimited
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Positions = npt.NDArray[np.int64]
    Octets = npt.NDArray[np.uint8]
    Flags = npt.NDArray[np.bool_]

INTEGER_TAG = b"\x18"  # AnyValue.int_value = 3
# Of an integer's bytes these bits tell how many there are; they are left where they are.
LENGTH_BITS = 0x80
MAX_INTEGER_BYTES, MAX_STRING_BYTES = 8, 48
# Bytes below are those of tags and lengths: without them no key holds what another is found by.
FIRST_OF_A_KEY = 0x20
# With its tag and length a key is to be a number of eight bytes at least; and an attribute is to
# have a length of one byte.
NUMBER_BYTES = 8
KEY_BYTES = range(NUMBER_BYTES - 2, 61)
# A Collector writes a key behind its value. So far before the key an attribute may begin.
BEFORE = 6 + MAX_STRING_BYTES
PLACES = np.arange(BEFORE - 2, dtype=np.uint8)

# Of so many values a key is taken to have more; and of so many keys that is found out.
MANY_VALUES = 8
MAX_KEYS = 1_024
# To look for one takes some hundredths of a microsecond a span, whether it is there or not.
MAX_VOLATILE = 16
# Of more bytes nothing is taken: they might be keys throughout, at 3 ms for each 64 KiB.
MAX_BYTES = 512 * 1024
UNTOUCHED = -1  # a version
ENTRY_BYTES = 300

NOWHERE = np.zeros(0, np.int64)


class Value(NamedTuple):
    """Where a value is, in its span.

    Attributes:
        start: where its own bytes begin, behind tags and lengths.
        size: how many there are.

    """

    start: int
    size: int


class Taken(NamedTuple):
    """What was taken out of spans, in the order in which it stood there.

    Attributes:
        rows: which span each was in.
        values: where they were in it, shape (n, 2), as `Value`.
        doubtful: in which spans there was something that only looks like one.
        version: what is left compares only within one.

    """

    rows: Positions
    values: Positions
    doubtful: Positions
    version: int

    def of(self, row: int) -> set[Value]:
        """Give what was taken out of a span."""
        first, end = np.searchsorted(self.rows, (row, row + 1))
        return {Value(*value) for value in self.values[first:end].tolist()}


class Found(NamedTuple):
    """What looks like attributes; each of shape (n,).

    Attributes:
        rows: which span each is in.
        begins: where it begins: where its key does, unless this stands behind its value.
        ends: where it ends.
        values: where its value begins, with the length.
        value_ends: where that ends.
        are_ambiguous: whether it may begin in more than one place.

    """

    rows: Positions
    begins: Positions
    ends: Positions
    values: Positions
    value_ends: Positions
    are_ambiguous: Flags


class VolatileValues:
    """Knows keys whose values are many and in no text, and takes these values out of spans."""

    def __init__(self, is_left_out: Callable[[bytes], bool]) -> None:
        """Begin with none.

        Args:
            is_left_out: tells of an encoded attribute whether it adds nothing to a text, nor would
                with any other string or integer; no of what is not one.

        """
        self._is_left_out = is_left_out
        self._seen: dict[bytes, set[bytes]] = {}
        # What attributes are found by: a key, and the tag behind it where the value is there, too.
        self._marks: list[bytes] = []
        self._version = 0

    def memory(self) -> int:
        """Give what they take in memory, in bytes."""
        return ENTRY_BYTES * sum(map(len, self._seen.values()))

    def take_out(self, joined: bytearray, begins: Positions, ends: Positions) -> Taken:
        """Put zeros where such values are in encoded Spans; in an integer not for LENGTH_BITS.

        Args:
            joined: the spans, with a zero between them, and BEFORE zeros before and behind all.
            begins: where each begins.
            ends: where each ends.

        """
        octets = np.frombuffer(joined, np.uint8)
        version = self._version if len(octets) <= MAX_BYTES else UNTOUCHED
        found = None if version == UNTOUCHED else self._found(octets, begins)
        if found is None:
            return Taken(NOWHERE, NOWHERE.reshape(0, 2), NOWHERE, version)
        length, kind, within = (octets[found.values + place].astype(np.int64) for place in range(3))
        are_strings = (kind == STRING_TAG[0]) & (length == within + 2) & (within > 0)
        are_integers = (kind == INTEGER_TAG[0]) & (length > 1)
        sizes = length - 1 - are_strings
        are_values = are_strings & (sizes <= MAX_STRING_BYTES)
        are_values |= are_integers & (sizes <= MAX_INTEGER_BYTES)
        are_values &= found.values + 1 + length == found.value_ends
        are_values &= found.ends <= ends[found.rows]
        are_apart = found.begins >= _ends_before(np.where(are_values, found.ends, 0))
        taken = are_values & are_apart
        starts, sizes = (found.value_ends - sizes)[taken], sizes[taken]
        rows = found.rows[taken]
        _clear(octets, starts, sizes, np.where(are_strings, 0, LENGTH_BITS)[taken])
        values = np.stack((starts - begins[rows], sizes), axis=1)
        are_doubtful = are_values & ~are_apart | found.are_ambiguous
        return Taken(rows, values, found.rows[are_doubtful], version)

    def _found(self, octets: Octets, begins: Positions) -> Found | None:
        """Give what looks like attributes in spans, in the order in which it stands there."""
        heads = [*self._heads(octets)]
        if not heads:
            return None
        head, end = np.concatenate(heads, axis=1)
        rows = np.searchsorted(begins, head, side="right") - 1
        are_behind = octets[end - 1] == VALUE_TAG[0]
        starts, count = _begins_before(octets, head, end, begins[rows])
        first = np.where(are_behind, head, starts)
        values = np.where(are_behind, end, starts + 3)
        value_ends = np.where(are_behind, end + 1 + octets[end], head)
        order = np.argsort(first, kind="stable")
        return Found(
            rows[order],
            first[order],
            np.maximum(end, value_ends)[order],
            values[order],
            value_ends[order],
            (~are_behind & (count > 1))[order],
        )

    def _heads(self, octets: Octets) -> Iterator[Positions]:
        """Give where keys begin and end, by mark, shape (2, n)."""
        if not self._marks:
            return
        numbers = np.ndarray(len(octets) - NUMBER_BYTES + 1, np.uint64, octets, strides=(1,))
        heads = np.flatnonzero(octets[:-BEFORE] == KEY_TAG[0])
        firsts = numbers[heads]
        for mark in self._marks:
            (_, first), *others = _numbers(mark)
            found = heads[firsts == first]
            for place, number in others:
                found = found[numbers[found + place] == number]
            if len(found):
                yield np.stack((found, found + len(mark)))

    def is_all(self, values: set[Value], span: bytes) -> bool:
        """Tell whether what was taken out of a span is what may be, and learn what that is.

        Raises:
            MalformedRequestError: it is not a Span.

        """
        found = [*self._values_of(span)]
        for (start, size), mark in found:
            self._note(mark, span[start : start + size])
        return values.issubset(value for value, _ in found)

    def _note(self, mark: bytes, value: bytes) -> None:
        if mark not in self._seen and len(self._seen) >= MAX_KEYS:
            self._seen.clear()
            self._marks.clear()
            self._version += 1
        seen = self._seen.setdefault(mark, set())
        if len(seen) < MANY_VALUES:
            seen.add(value)
            if len(seen) == MANY_VALUES and len(self._marks) < MAX_VOLATILE:
                self._marks.append(mark)
                self._version += 1

    def _values_of(self, span: bytes) -> Iterator[tuple[Value, bytes]]:
        """Give the values of a span that no text has, each with what it is found by."""
        cursor = Cursor(span, 0, len(span), level=0)
        while not cursor.is_at_end():
            field = cursor.field()
            if field.tag == ATTRIBUTES_TAG[0]:
                attribute = span[field.value : field.end]
                found = _value(attribute) if self._is_left_out(attribute) else None
                if found is not None:
                    (start, size), mark = found
                    yield Value(field.value + start, size), mark


def _numbers(mark: bytes) -> Iterator[tuple[int, int]]:
    """Give numbers of eight bytes of which a mark consists, each with its place; some overlap."""
    last = len(mark) - NUMBER_BYTES
    for place in (*range(0, last, NUMBER_BYTES), last):
        yield place, int.from_bytes(mark[place : place + NUMBER_BYTES], "little")


def _begins_before(
    octets: Octets, heads: Positions, ends: Positions, begins: Positions
) -> tuple[Positions, Positions]:
    """Give where attributes seem to begin whose keys stand behind their values, and how often.

    That is the first place for each, 0 where there is none; how often may be too high by one.

    Args:
        octets: the spans.
        heads: where each key begins, with its tag.
        ends: where each ends.
        begins: where its span begins.

    """
    before = sliding_window_view(octets, BEFORE)[heads - BEFORE]
    # From behind an attribute's length to its end.
    lengths = (ends - heads + BEFORE - 2).astype(np.uint8)[:, np.newaxis] - PLACES
    outside = np.maximum(begins - heads + BEFORE, 0).astype(np.uint8)
    are_begins = (before[:, :-2] == ATTRIBUTES_TAG[0]) & (before[:, 1:-1] == lengths)
    are_begins &= outside[:, np.newaxis] <= PLACES
    first = are_begins.argmax(axis=1)
    is_one = before[np.arange(len(heads)), first + 2] == VALUE_TAG[0]
    return np.where(is_one, heads - BEFORE + first, 0), np.count_nonzero(are_begins, axis=1)


def _ends_before(ends: Positions) -> Positions:
    """Give for each place how far what is before it reaches."""
    return np.append(0, np.maximum.accumulate(ends)[:-1])


def _clear(octets: Octets, starts: Positions, sizes: Positions, keep: Positions) -> None:
    """Leave no bits but those to keep in pieces of some bytes."""
    firsts = np.cumsum(sizes) - sizes
    places = np.arange(sizes.sum()) + np.repeat(starts - firsts, sizes)
    octets[places] &= np.repeat(keep.astype(np.uint8), sizes)


def _value(attribute: bytes) -> tuple[Value, bytes] | None:
    """Give where the value of an encoded KeyValue is in it, and what that is found by.

    None for what is no integer or string, or long, or written in another way than all do.

    Raises:
        google.protobuf.message.DecodeError: it is not a KeyValue.

    """
    pair = pb.KeyValue.FromString(attribute)
    content = _content(pair.value)
    if not content or len(pair.key) not in KEY_BYTES or min(pair.key) < FIRST_OF_A_KEY:
        return None
    key = b"".join(length_delimited(KEY_TAG, [pair.key]))
    value = b"".join(length_delimited(VALUE_TAG, [pair.value]))
    if attribute == key + value:
        return Value(len(attribute) - len(content), len(content)), key + VALUE_TAG
    if attribute == value + key:
        return Value(len(value) - len(content), len(content)), key
    return None


def _content(value: bytes) -> bytes:
    """Give the own bytes of an encoded AnyValue, nothing of one that is not taken out."""
    if value[:1] == INTEGER_TAG:
        return value[1:] if _is_integer(value[1:]) else b""
    length, content = value[1:2], value[2:]
    is_one = value[:1] == STRING_TAG and [*length] == [len(content)]
    return content if is_one and len(content) <= MAX_STRING_BYTES else b""


def _is_integer(encoded: bytes) -> bool:
    return (
        0 < len(encoded) <= MAX_INTEGER_BYTES
        and all(each & LENGTH_BITS for each in encoded[:-1])
        and not encoded[-1] & LENGTH_BITS
    )
