"""Changes messages in ways that get past the first byte of a parser.

Bytes changed blindly are hardly ever protobuf. Here a message is taken apart along OTLP's own
descriptors, something in it is changed at any depth, and the lengths above it are put right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from tests.fuzz.encoded import BYTES, FIXED_32, FIXED_64, GROUP, VARINT, Field, encode, fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from google.protobuf.descriptor import Descriptor, FieldDescriptor

    from tests.fuzz.encoded import Value

    Change = Callable[[list[Field], Descriptor | None], None]

# How often the change is made further down, where there is a message.
DOWNWARD = 0.8
MAX_INVENTED_DEPTH = 5
MAX_INVENTED_FIELDS = 4
MAX_REPETITIONS = 2_000
MAX_LENGTH = 70_000

# A field number that no message of OTLP has.
UNKNOWN_NUMBER = 1_000
NUMBERS = (0, 1, 2, 3, 127, 128, 10**6, 10**18, 2**31 - 1, 2**63 - 1, 2**63, 2**64 - 1)
TIMES = (1_700_000_000_000_000_000, 1_700_000_000_000_000_001, 1_700_000_002_500_000_000)

# What somewhere in our code is treated in a way of its own.
WORDS = (
    *(b"", b"\0", b"\n", b" ", b"\xff\xfe", "\N{SNOWMAN}".encode(), b"\xed\xa0\x80"),
    *(b"service.name", b"exception", b"exception.type", b"exception.message", b"thread.id"),
    *(b"embedding.vector", b"embedding.source", b"embedding.text_version", b"model", b"1"),
    *(b"2024-01-01T00:00:00Z", b"12:34:56.789", b"10.0.0.1", b"fe80::1", b"a@b.example"),
    *(b"123e4567-e89b-12d3-a456-426614174000", b"0xdeadbeef", b"GET /cart/123456", b"{0}{"),
    *(b"authorization", b"Bearer abc", b"password=x", b"https://user:pass@host/", b"4111" * 4),
    *(b"a" * 300, b"1" * 300, b"a." * 300, b"::" * 300, b"a-" * 300, b"=" * 300, b"eyJ" * 300),
)


@dataclass(frozen=True, slots=True)
class Mutator:
    """Makes one message of another.

    Attributes:
        random: what chooses.
        scramble: what changes bytes that no descriptor says anything of.

    """

    random: Random
    scramble: Callable[[bytes], bytes]

    def mutated(self, encoded: bytes, kind: Descriptor | None) -> bytes:
        """Give an encoded message of a kind, with one thing in it changed."""
        try:
            found = fields(encoded)
        except DecodeError:
            return self.scramble(encoded)
        self._change_somewhere(found, kind)
        return b"".join(map(encode, found))[:MAX_LENGTH]

    def crossed(self, encoded: bytes, other: bytes, kind: Descriptor) -> bytes:
        """Give an encoded message with a field of another one of its kind, at the same depth."""
        try:
            found, others = fields(encoded), fields(other)
        except DecodeError:
            return other
        if others:
            self._cross(found, self.random.choice(others), kind)
        return b"".join(map(encode, found))[:MAX_LENGTH]

    def invented(self, kind: Descriptor, depth: int = 0) -> bytes:
        """Give some encoded message of a kind."""
        count = self.random.randrange(MAX_INVENTED_FIELDS + 1)
        return b"".join(encode(self._invented_field(kind, depth)) for _ in range(count))

    def _change_somewhere(self, found: list[Field], kind: Descriptor | None) -> None:
        inner = {place: below(field, kind) for place, field in enumerate(found)}
        messages = [place for place, type_ in inner.items() if type_ is not None]
        if messages and self.random.random() < DOWNWARD:
            place = self.random.choice(messages)
            value = found[place].value
            assert isinstance(value, bytes)
            found[place] = found[place]._replace(value=self.mutated(value, inner[place]))
            return
        changes: list[Change] = [self._insert]
        if found:
            changes += (self._remove, self._repeat, self._shuffle, self._renumber, self._revalue)
        self.random.choice(changes)(found, kind)

    def _cross(self, found: list[Field], other: Field, kind: Descriptor) -> None:
        alike = [place for place, field in enumerate(found) if field[:2] == other[:2]]
        type_ = below(other, kind)
        if not alike or type_ is None or self.random.random() > DOWNWARD:
            found.insert(self._place(found), other)
            return
        place = self.random.choice(alike)
        value = found[place].value
        assert isinstance(value, bytes)
        assert isinstance(other.value, bytes)
        found[place] = other._replace(value=self.crossed(value, other.value, type_))

    def _insert(self, found: list[Field], kind: Descriptor | None) -> None:
        field = self._invented_field(kind, 0) if kind else self._unknown_field()
        found.insert(self._place(found), field)

    def _remove(self, found: list[Field], _: Descriptor | None) -> None:
        del found[self.random.randrange(len(found))]

    def _repeat(self, found: list[Field], _: Descriptor | None) -> None:
        field = self.random.choice(found)
        # Now and then so often that the length of the whole begins to tell.
        often = 1 if self.random.random() < DOWNWARD else self.random.randrange(MAX_REPETITIONS)
        found += [field] * min(often, MAX_LENGTH // (len(encode(field)) or 1))

    def _shuffle(self, found: list[Field], _: Descriptor | None) -> None:
        self.random.shuffle(found)

    def _renumber(self, found: list[Field], kind: Descriptor | None) -> None:
        place = self.random.randrange(len(found))
        numbers = [*(kind.fields_by_number if kind else ()), UNKNOWN_NUMBER]
        found[place] = found[place]._replace(number=self.random.choice(numbers))

    def _revalue(self, found: list[Field], _: Descriptor | None) -> None:
        place = self.random.randrange(len(found))
        number, wire_type, value = found[place]
        if isinstance(value, bytes) and self.random.random() < DOWNWARD:
            found[place] = Field(number, wire_type, self._other_bytes(value))
        else:
            found[place] = self._unknown_field()._replace(number=number)

    def _other_bytes(self, value: bytes) -> bytes:
        choices = (
            lambda: self.scramble(value),
            lambda: self.random.choice(WORDS),
            lambda: value + self.random.choice(WORDS),
            lambda: value * self.random.randrange(100),
            lambda: value[: self.random.randrange(len(value) + 1)],
        )
        return self.random.choice(choices)()

    def _invented_field(self, kind: Descriptor, depth: int) -> Field:
        if not kind.fields:
            return self._unknown_field()
        described = self.random.choice(list(kind.fields))
        if described.message_type and depth < MAX_INVENTED_DEPTH:
            value = self.invented(described.message_type, depth + 1)
            return Field(described.number, BYTES, value)
        return self._scalar(described.number, wire_type_of(described))

    def _unknown_field(self) -> Field:
        return self._scalar(UNKNOWN_NUMBER, self.random.choice(list(WIRE_TYPES)))

    def _scalar(self, number: int, wire_type: int) -> Field:
        value: Value
        if wire_type == BYTES:
            value = self.random.choice(WORDS)
        elif wire_type == GROUP:
            value = (self._scalar(1, BYTES),)
        else:
            bits = WIRE_TYPES[wire_type]
            value = self.random.choice((*NUMBERS, *TIMES)) % 2**bits
        return Field(number, wire_type, value)

    def _place(self, found: list[Field]) -> int:
        return self.random.randrange(len(found) + 1)


# The bits of a number of each wire type.
WIRE_TYPES = {VARINT: 64, FIXED_64: 64, BYTES: 0, GROUP: 0, FIXED_32: 32}


def wire_type_of(described: FieldDescriptor) -> int:
    """Give the wire type that a field is written as."""
    return {
        described.TYPE_DOUBLE: FIXED_64,
        described.TYPE_FIXED64: FIXED_64,
        described.TYPE_FIXED32: FIXED_32,
        described.TYPE_STRING: BYTES,
        described.TYPE_BYTES: BYTES,
        described.TYPE_MESSAGE: BYTES,
    }.get(described.type, VARINT)


def below(field: Field, kind: Descriptor | None) -> Descriptor | None:
    """Give the kind of message that a field of a message holds, if it does."""
    described = kind.fields_by_number.get(field.number) if kind else None
    return described.message_type if described and field.kind == BYTES else None
