"""Requests of odd shapes, as trees.

A shape has no bytes until it is given room: then each part takes as many as it would, or as there
are. So a shape can be had in any size, and what it costs compared.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from itertools import islice, repeat
from typing import TYPE_CHECKING, Protocol

from tests.support.otlp_samples import varint

if TYPE_CHECKING:
    from collections.abc import Iterator

KIBIBYTE, MEBIBYTE = 1024, 1024 * 1024
DELIMITED, GROUP, GROUP_END = 2, 3, 4
# A length may be written in up to five bytes, however small it is.
LONG_VARINT_BYTES = 5
# What is at most in front of a field's content.
HEAD_BYTES = 10
# In so many bytes there is one piece that is like no other, for to make them takes long.
BYTES_A_PIECE = 4_096
MIN_PIECES = 16
# Each part leaves something to those behind it.
SHARE = 0.75


class Part(Protocol):
    """Something that a request is made of."""

    @property
    def differs(self) -> bool:
        """Whether it is another for another number."""
        ...

    def encoded(self, room: int, number: int = 0) -> bytes:
        """Give its bytes, no more than there is room for; those of another number differ."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A string, or bytes: something again and again."""

    length: int
    of: bytes
    differs: bool = False

    def __str__(self) -> str:
        return f"{'own ' if self.differs else ''}{self.of!r}*{self.length:,}"

    def encoded(self, room: int, number: int = 0) -> bytes:
        own = b"%d " % number if self.differs else b""
        return (own + self.of * (self.length // len(self.of) + 1))[: min(self.length, room)]


@dataclass(frozen=True, slots=True)
class Fixed:
    """Fields that are always the same."""

    name: str
    content: bytes

    @property
    def differs(self) -> bool:
        return False

    def __str__(self) -> str:
        return self.name

    def encoded(self, room: int, number: int = 0) -> bytes:
        del number
        return self.content if len(self.content) <= room else b""


@dataclass(frozen=True, slots=True)
class Message:
    """Parts behind one another, each of them whole fields."""

    parts: tuple[Part, ...] = ()

    @property
    def differs(self) -> bool:
        return any(part.differs for part in self.parts)

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.parts))})"

    def encoded(self, room: int, number: int = 0) -> bytes:
        pieces = []
        for behind, part in zip(reversed(range(len(self.parts))), self.parts, strict=True):
            piece = part.encoded(int(room * SHARE) if behind else room, number)
            pieces.append(piece)
            room -= len(piece)
        return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Field:
    """A field, and how often it comes.

    Attributes:
        name: what it is, for a reader.
        number: its number in the message that it is in.
        of: what it holds.
        count: how often it comes, at the most.
        is_padded: whether its length is written in more bytes than it needs.

    """

    name: str
    number: int
    of: Part
    count: int = 1
    is_padded: bool = False

    @property
    def differs(self) -> bool:
        return self.of.differs

    def __str__(self) -> str:
        often = "" if self.count == 1 else f"{self.count:,} x "
        return f"{often}{self.name}{' padded' * self.is_padded} {self.of}"

    def encoded(self, room: int, number: int = 0) -> bytes:
        if not self.count:
            return b""
        pieces: list[bytes] = []
        used = 0
        for piece in islice(self._pieces(room, number), max(MIN_PIECES, room // BYTES_A_PIECE)):
            if used + len(piece) > room:
                return b"".join(pieces)
            pieces.append(piece)
            used += len(piece)
        # In whole rounds, for as long as there is room.
        rounds = max(1, min(self.count // len(pieces), room // max(1, used)))
        return b"".join(pieces) * rounds

    def _pieces(self, room: int, number: int) -> Iterator[bytes]:
        share = min(room, max(KIBIBYTE, room // self.count)) - HEAD_BYTES
        if not self.differs:
            yield from repeat(self._piece(share, number), self.count)
        else:
            yield from (self._piece(share, number * self.count + n) for n in range(self.count))

    def _piece(self, room: int, number: int) -> bytes:
        content = self.of.encoded(room, number)
        length = varint(len(content))
        if self.is_padded:
            *most, last = length
            zeros = [0x80] * (LONG_VARINT_BYTES - len(length) - 1)
            length = bytes([*most, last | 0x80, *zeros, 0])
        return varint(self.number << 3 | DELIMITED) + length + content


@dataclass(frozen=True, slots=True)
class Deep:
    """Something within messages within messages."""

    name: str
    numbers: tuple[int, ...]
    depth: int
    bottom: Part

    @property
    def differs(self) -> bool:
        return self.bottom.differs

    def __str__(self) -> str:
        return f"{self.depth:,} deep {self.name} {self.bottom}"

    def encoded(self, room: int, number: int = 0) -> bytes:
        made = self.bottom.encoded(room // 2, number)
        for _ in range(self.depth):
            deeper = made
            for field_number in reversed(self.numbers):
                deeper = varint(field_number << 3 | DELIMITED) + varint(len(deeper)) + deeper
            if len(deeper) > room:
                return made
            made = deeper
        return made


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups within groups, as nobody has sent for fifteen years: unknown fields."""

    depth: int

    @property
    def differs(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"{self.depth:,} deep groups"

    def encoded(self, room: int, number: int = 0) -> bytes:
        del number
        begin, end = (varint(1003 << 3 | kind) for kind in (GROUP, GROUP_END))
        depth = min(self.depth, room // (len(begin) + len(end)))
        return begin * depth + end * depth


@dataclass(frozen=True, slots=True)
class Shape:
    """A request to be.

    Attributes:
        name: what repeats it: a seed, or one of KNOWN.
        tree: what it is made of.
        room: how many bytes it may have.
        is_squeezed: whether it is sent as gzip.

    """

    name: str
    tree: Part
    room: int
    is_squeezed: bool = False

    def __str__(self) -> str:
        return f"{'gzip of ' if self.is_squeezed else ''}{self.tree}"

    def encoded(self, share: float = 1.0) -> bytes:
        """Give the request as it is before it is compressed, in a share of its room."""
        return self.tree.encoded(int(self.room * share))

    def on_the_wire(self, encoded: bytes) -> bytes:
        return gzip.compress(encoded, 6, mtime=0) if self.is_squeezed else encoded
