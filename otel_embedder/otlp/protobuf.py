"""Protobuf's wire format, walked over without making anything of it.

Protobuf's own parser makes an object of whatever a message holds before anybody
can ask how much that is. A cursor reads one field at a time, or a run of spans,
so that whoever drives it can count as it goes, stop, and let others go first.
It takes what protobuf takes, and refuses what it refuses.
"""

from __future__ import annotations

from typing import NamedTuple

from otel_embedder.errors import MalformedRequestError

VARINT, FIXED_64, BYTES, GROUP, GROUP_END, FIXED_32 = range(6)
FIXED_BYTES = {FIXED_64: 8, FIXED_32: 4}
KIND_BITS = 3
KIND_MASK = (1 << KIND_BITS) - 1

VARINT_BITS = 7
VARINT_MORE = 1 << VARINT_BITS  # this bit says that another digit follows
MAX_TAG, MAX_TAG_BYTES = 2**32 - 1, 5
MAX_LENGTH, MAX_LENGTH_BYTES = 2**31 - 1, 5
# Of a value that is too large protobuf drops what does not fit.
MAX_VALUE, MAX_VALUE_BYTES = 2**70 - 1, 10
# Groups in groups, and messages in messages, that protobuf goes down into.
MAX_DEPTH = 100

# A run ends behind so many bytes. They may be spans of two bytes, which take a few milliseconds.
RUN_BYTES = 32 * 1024


class Field(NamedTuple):
    """A field, and where it stands.

    Attributes:
        tag: its number and its wire type, as they are encoded; 0 for a part of a group.
        start: where it starts.
        value: where its value starts.
        end: where it ends.

    """

    tag: int
    start: int
    value: int
    end: int


class Cursor:
    """Moves over the fields of a message.

    What a group holds comes field by field, too: however much that is, no step is long.
    """

    def __init__(self, encoded: bytes, start: int, end: int, *, level: int) -> None:
        """Stand before the first field.

        Args:
            encoded: what the message is a part of.
            start: where it starts.
            end: where it ends.
            level: how many messages it is in.

        """
        self._encoded = encoded
        self._position = start
        self._end = end
        self._max_groups = MAX_DEPTH - level
        self._groups: list[int] = []

    def is_at_end(self) -> bool:
        """Tell whether there is no further field.

        Raises:
            MalformedRequestError: a group has no end.

        """
        if self._position < self._end:
            return False
        if self._groups:
            raise malformed()
        return True

    def run(self, tag: int) -> list[bytes]:
        """Give the values of the fields from here on that have this tag, as far as that is easy.

        It is where they follow each other, and tag and length are spelt as all encoders do and have
        three bytes at most. This is what most of a request is read by.

        Raises:
            MalformedRequestError: one of them is longer than there is room for.

        """
        if self._groups:
            return []
        values: list[bytes] = []
        try:
            self._position = self._take(tag, values)
        except IndexError as error:
            raise malformed() from error
        return values

    def _take(self, tag: int, values: list[bytes]) -> int:
        encoded, position, end = self._encoded, self._position, self._end
        stop = min(end, position + RUN_BYTES)
        while position < stop and encoded[position] == tag:
            length = encoded[position + 1]
            value = position + 2
            if length >= VARINT_MORE:
                more = encoded[value]
                if more >= VARINT_MORE:
                    break
                length += (more << VARINT_BITS) - VARINT_MORE
                value += 1
            position = value + length
            values.append(encoded[value:position])
        if position > end:
            raise malformed()
        return position

    def field(self) -> Field:
        """Give the field here, whatever it is, and move behind it.

        Raises:
            MalformedRequestError: there is none.

        """
        start = self._position
        tag, value = self._varint(start, MAX_TAG_BYTES, MAX_TAG)
        is_in_group = bool(self._groups)
        value, self._position = self._extent(tag, value)
        if self._position > self._end:
            raise malformed()
        return Field(0 if is_in_group else tag, start, value, self._position)

    def _extent(self, tag: int, start: int) -> tuple[int, int]:
        """Give where the value of a field starts and ends, of which all but the tag starts here."""
        number, kind = tag >> KIND_BITS, tag & KIND_MASK
        if number == 0 and not self._groups:  # within a group protobuf does not mind
            raise malformed()
        if kind == BYTES:
            length, start = self._varint(start, MAX_LENGTH_BYTES, MAX_LENGTH)
            return start, start + length
        if kind == VARINT:
            return start, self._varint(start, MAX_VALUE_BYTES, MAX_VALUE)[1]
        if kind in FIXED_BYTES:
            return start, start + FIXED_BYTES[kind]
        self._enter_or_leave(number, kind)
        return start, start

    def _enter_or_leave(self, number: int, kind: int) -> None:
        if kind == GROUP and len(self._groups) < self._max_groups:
            self._groups.append(number)
        elif kind != GROUP_END or not self._groups or self._groups.pop() != number:
            raise malformed()

    def _varint(self, position: int, max_bytes: int, max_value: int) -> tuple[int, int]:
        """Give the number that starts here, and where it ends."""
        digits = self._encoded[position : position + max_bytes]
        if digits and digits[0] < VARINT_MORE:  # nearly all have one
            return digits[0], position + 1
        number = 0
        for place, digit in enumerate(digits):
            number |= (digit & ~VARINT_MORE) << VARINT_BITS * place
            if digit < VARINT_MORE:
                if number > max_value:
                    break
                return number, position + place + 1
        raise malformed()


def malformed() -> MalformedRequestError:
    """Give the error that says so."""
    return MalformedRequestError("the request is not a valid protobuf message")
