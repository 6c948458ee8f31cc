"""What attributes add to texts, by their encoded bytes.

Most key-value pairs come again and again, so only one that was never seen is read; and of those
that differ in an id, or in what no text has, one for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from otel_embedder.otlp.remembered import Bounded, Remembered
from otel_embedder.otlp.reused import Reused
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.stand_ins import with_others, with_stand_ins
from otel_embedder.text.values import is_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.text.stand_ins import StandIns

# Of attributes that are left out by their keys, or that others stand for, so many are looked up;
# the rest is read, a microsecond or two each: among many all others take longer to find.
MAX_KEPT = 4_096


class Fragments(Remembered[str]):
    """Fragments by the encoded attributes that they are of.

    Numbers of ports and threads, ids and the like are many, never become words, and are quickly
    read again. So these go first when it is full, or they would take the others along.
    """

    def __init__(
        self, read: Callable[[bytes], str], left_out: LeftOut, stand_ins: StandIns | None
    ) -> None:
        """Begin with nothing.

        Args:
            read: gives what an attribute adds to a text.
            left_out: knows which ones add nothing.
            stand_ins: tells which ones may stand for others; None if none may.

        """
        super().__init__(read)
        self._left_out = left_out
        self._stand_ins = stand_ins
        self._of_stand_ins = Remembered(self._of_all)
        self._seen_once = Bounded[bytes, bool](len)
        self._kept = 0

    def __missing__(self, encoded: bytes) -> str:
        """Read an attribute, or one that stands for it.

        Raises:
            google.protobuf.message.DecodeError: it is not a KeyValue, or its value no AnyValue.

        """
        fragment = self._quickly_read(encoded, self._of_what_recurs)
        return super().__missing__(encoded) if fragment is None else fragment

    def at_hand(self, encoded: bytes) -> str | None:
        """Give the fragment of an attribute that was not seen; None if that takes long."""
        return self._quickly_read(encoded, self._of_stand_ins.get)

    def _quickly_read(
        self, encoded: bytes, of_stand_in: Callable[[bytes], str | None]
    ) -> str | None:
        fragment: str | None = ""
        if not self._left_out.is_known_to_have(encoded):
            stand_in = None if self._stand_ins is None else with_stand_ins(encoded)
            fragment = None if stand_in is None else of_stand_in(stand_in)
        if fragment is not None and self._kept < MAX_KEPT:
            self._kept += 1
            self.remember(encoded, fragment)
        return fragment

    def _of_what_recurs(self, stand_in: bytes) -> str | None:
        # What is new but for its id may never come again: it is read once, by itself.
        if stand_in in self._seen_once:
            return self._of_stand_ins[stand_in]
        self._seen_once.remember(stand_in, value=True)
        return None

    def _of_all(self, stand_in: bytes) -> str | None:
        """Give the fragment of all that this stands for; None if each is to be read."""
        if self._stand_ins is None or not self._stand_ins.are_in_place(stand_in):
            return None
        fragment = self._make(stand_in)
        return fragment if fragment == self._make(with_others(stand_in)) else None

    def forget(self) -> None:
        """Forget what adds nothing to a text; all, if that is less than half."""
        telling = {encoded: fragment for encoded, fragment in self.items() if fragment}
        few = telling if len(telling) < len(self) // 2 else {}
        self.clear()
        self._kept = 0
        for encoded, fragment in few.items():
            self.remember(encoded, fragment)


class LeftOut:
    """Knows which attributes a text leaves out, whatever their values."""

    def __init__(self, leaves_out: Callable[[bytes], bool]) -> None:
        """Begin with nothing.

        Args:
            leaves_out: tells whether all attributes of a key are left out that are plain.

        """
        self._pairs = Reused(pb.KeyValue)
        self._keys = Remembered(leaves_out)

    def has_key(self, key: bytes) -> bool:
        """Tell whether all attributes of a key are left out that are plain."""
        return self._keys[key]

    def is_known_to_have(self, encoded: bytes) -> bool:
        """Tell whether an attribute is, in a microsecond: of a key that was not seen it is no."""
        try:
            pair = self._pairs.read(encoded)
            return self._keys.get(pair.key, False) and is_plain(pair.value)
        except DecodeError:  # whoever reads it tells so
            return False
