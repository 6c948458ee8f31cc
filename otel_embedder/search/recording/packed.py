"""Encoded spans behind each other in one piece of memory: nothing is left of each as an object.

Who takes spans in one thread and reads them in another one lets go of some objects a span at once,
where that costs least, and needs no more memory than the spans have bytes.
"""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_embedder.search.counts import Integers

# Behind the last span: a number that is read there is 0.
NUMBER_BYTES = 8
ZEROS = bytes(NUMBER_BYTES)


class PackedSpans:
    """Some encoded spans.

    Attributes:
        joined: all of them, with ZEROS behind.
        lengths: of each in bytes.

    """

    def __init__(self, joined: bytes, lengths: array[int]) -> None:
        """Take them as they are."""
        self.joined = joined
        self.lengths = lengths

    @classmethod
    def of(cls, spans: Iterable[bytes]) -> Self:
        """Pack some."""
        spans = [*spans]
        return cls(b"".join([*spans, ZEROS]), array("q", map(len, spans)))

    @cached_property
    def ends(self) -> Integers:
        """Where each ends, shape (n,)."""
        return np.cumsum(np.frombuffer(self.lengths, np.int64))

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[bytes]:
        end = 0
        for length in self.lengths:
            begin, end = end, end + length
            yield self.joined[begin:end]

    def __getitem__(self, row: int) -> bytes:
        """Give a span."""
        end = int(self.ends[row])
        return self.joined[end - self.lengths[row] : end]

    def at(self, rows: Integers) -> PackedSpans:
        """Give some of them."""
        return PackedSpans.of(self[row] for row in rows.tolist())
