"""What stands for an id that is new with each span: one that is always the same.

To make words of a value takes some 40 microseconds, and of an id nothing is left of them. So
a value is read with other ids in their places, which are as long: what that gave is known the next
time, whatever the ids. The text is the same if no pattern of hiding or masking can tell the two
apart, and that is so only for ids like these, in places like these. All others are read themselves.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from google.protobuf.message import DecodeError

from otel_embedder.otlp.reused import Reused
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.masking import statements

if TYPE_CHECKING:
    from collections.abc import Callable

# What values of a key are: any text, a statement to a database, or something that has no stand-ins,
# such as a cache's keys, in which numbers are told from words.
Kind = Literal["text", "statement", "other"]

# An attribute that is larger hardly recurs.
MAX_BYTES = 1_024

STAND_IN = b"1a1b1c1d-1a1b-1c1d-1a1b-1a1b1c1d1a1b"
# As much another one as can be: whatever were shown of either would be another text.
OTHER_STAND_IN = b"20260e2f-4222-2222-222a-42222222222f"
# UUIDs in small letters, but for those that could be of a number or of a card. By its first `-`,
# for that is rare: most of a value is passed over at once.
_ID = re.compile(
    rb"""
    -(?<=
        (?=\d*[a-f])(?=[a-f]*\d)(?!\d+e\d*-)
        [0-9a-f]{8}-
    )
    (?=[\d-]{0,13}[a-f])
    (?:[0-9a-f]{4}-){3}[0-9a-f]{12}
    """,
    re.VERBOSE,
)
_BEFORE_DASH = 8

# A number in a path, behind a name: /orders/17/items, and not /2026/11/26. It may be the last of
# a value that its key stands behind: that begins with an end of line.
_NUMBER = re.compile(rb"/(?<=[a-z]/)\d{1,12}(?=/[A-Za-z]|[?#\n]|\Z)")
_NUMBER_IN_PLACE = re.compile(rb"/[a-z_-]*[a-z]/(?=1{1,12}(?:/[A-Za-z]|[?#]|\Z))")
_DIGITS, _OTHER_DIGITS = b"/111111111111", b"/202633262026"
# What nobody takes for anything but a path or a URL, so that no number in it is shown.
_PATH = re.compile(rb"(?:https?://[a-z\d.-]+(?::\d+)?)?/[\w.~{}/:-]*(?:[?#][\w.~{}/:?#=&%+-]*)?")

# Where an id may stand in a text.
_ID_IN_PLACE = re.compile(
    rb"""
    # Nothing that begins before it ends within it: no card, whose last digits it has; no port and
    # no second, which is its first digits; no token of Google's, 1//0. Several blanks are read as
    # one, later on.
    (?<![^ /='"(,[])(?<![\s\0-\x1f]\ )
    (?<!\d[ ,])(?<!//)(?<!ort[= ])(?<!ort[=:\s]\ )(?<!["'],)(?<!["'],\ )
    # Of the 57 characters before it one is a digit, and one a letter: or else those that are looked
    # for in 64 characters may be within it, or not.
    (?<![^\s\d]{57})(?<![^\sA-Za-z]{57})
    """
    + STAND_IN
    + rb"""
    # Nothing that begins in it ends behind it: no key, which could be that of a secret; no card.
    (?![^ /&'"),;\]}?#])
    (?!["'`\]\\]*\s*[=:%])(?!\ \d)
    """,
    re.VERBOSE,
)
# With these something may end at its first `-`, look further than that for a digit, or compare it.
# Behind 26/Nov/ any four digits are a year.
_UNSURE = re.compile(rb"\$|(?i:asic|slack|repared stat)|\d/[A-Z][a-z]")

# A statement whose literals can be read in one way only, and an id in a place of its own.
_STATEMENT = re.compile(rb"""(?:[^'"`\\$#/-]++|'[^'\\]*+'|"[^"'`\\$#/-]*+")*+""")
_LITERAL = b"'" + STAND_IN + b"'"


def with_stand_ins(encoded: bytes) -> bytes | None:
    """Give encoded bytes with a stand-in in the place of each id, as long; None if there is none.

    Whether they read the same is not known.
    """
    if len(encoded) > MAX_BYTES:
        return None
    first = _ID.search(encoded)
    with_ids = encoded if first is None else _with_ids(encoded, first)
    stand_ins, numbers = _NUMBER.subn(_digits, with_ids)
    return stand_ins if first or numbers else None


def with_others(encoded: bytes) -> bytes:
    """Give encoded bytes with another stand-in in the place of each."""
    return _NUMBER.sub(_other_digits, encoded.replace(STAND_IN, OTHER_STAND_IN))


def _with_ids(encoded: bytes, found: re.Match[bytes] | None) -> bytes:
    pieces, end = [], 0
    while found:
        pieces += [encoded[end : found.start() - _BEFORE_DASH], STAND_IN]
        end = found.end()
        found = _ID.search(encoded, end + _BEFORE_DASH)
    return b"".join([*pieces, encoded[end:]])


def _digits(number: re.Match[bytes]) -> bytes:
    return _DIGITS[: len(number[0])]


def _other_digits(number: re.Match[bytes]) -> bytes:
    return _OTHER_DIGITS[: len(number[0])]


class StandIns:
    """Knows whether attributes with stand-ins read as those do that these stand for."""

    def __init__(self, kind: Callable[[bytes], Kind]) -> None:
        """Prepare to tell.

        Args:
            kind: tells what the values of a key are.

        """
        self._kind = kind
        self._pairs, self._values = Reused(pb.KeyValue), Reused(pb.AnyValue)

    def are_in_place(self, encoded: bytes) -> bool:
        """Tell whether no pattern tells an encoded KeyValue with stand-ins from one with others."""
        try:
            pair = self._pairs.read(encoded)
            kind, value = self._kind(pair.key), self._values.read(pair.value).string_value
        except DecodeError:
            return False  # what looked like an id was none, or it was broken before
        ids, numbers = encoded.count(STAND_IN), len(_NUMBER.findall(encoded))
        # All that differs is in what was read as the string, so that is where it was.
        if len(_ID_IN_PLACE.findall(value)) != ids or not value.isascii():
            return False
        # In a cache's commands numbers are told from words, and one key from another.
        if _UNSURE.search(value) or statements.is_command(value.decode()):
            return False
        match kind:
            case "text":
                return not numbers or _are_of_a_path(encoded, value, numbers)
            case "statement":
                return not numbers and _are_literals(value, ids)
            case "other":
                return False


def _are_of_a_path(encoded: bytes, value: bytes, numbers: int) -> bool:
    # So one that is the last of the value was found as well, and as many are the same ones.
    is_last = encoded.endswith(value) or value + b"\n" in encoded
    return (
        is_last
        and encoded.count(value) == 1
        and bool(_PATH.fullmatch(value))
        and len(_NUMBER_IN_PLACE.findall(value)) == numbers
    )


def _are_literals(statement: bytes, ids: int) -> bool:
    return bool(_STATEMENT.fullmatch(statement)) and statement.count(_LITERAL) == ids
