"""Encoded spans behind each other in one piece of memory: nothing is left of each as an object.

Who takes spans in one thread and reads them in another one lets go of some objects a span at once,
where that costs least, and needs no more memory than the spans have bytes.
"""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class PackedSpans:
    """Some encoded spans.

    Attributes:
        joined: all of them.

    """

    def __init__(self, spans: Iterable[bytes]) -> None:
        """Pack some."""
        spans = [*spans]
        self.joined = b"".join(spans)
        self._ends = array("q", accumulate(map(len, spans)))

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, place: int) -> bytes:
        """Give a span."""
        return self.joined[self._ends[place - 1] if place else 0 : self._ends[place]]

    def __iter__(self) -> Iterator[bytes]:
        begin = 0
        for end in self._ends:
            yield self.joined[begin:end]
            begin = end
