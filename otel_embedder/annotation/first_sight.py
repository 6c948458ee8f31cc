"""Whose vector the next hop has had lately: the texts of a window, in so much memory.

What is remembered is what has arrived, not what was sent: the vector of a request that failed is
due again. With each text is kept what leads to its vector, as encoded attributes: a span of it
needs no more.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# Some 30,000 texts of usual length. Those that arrived first go first, as they do by time: what
# is forgotten early arrives once more than it must.
MAX_BYTES = 16 * 1024 * 1024
ENTRY_BYTES = 200  # an entry's time, and Python's own share

FORGOTTEN = 1_000  # at most, in one step: a millisecond


class FirstSights:
    """The texts whose vector has arrived within a window."""

    def __init__(
        self, *, window: float, clock: Callable[[], float], max_bytes: int = MAX_BYTES
    ) -> None:
        """Begin with none.

        Args:
            window: seconds after which a text's vector is due again.
            clock: gives the time in seconds.
            max_bytes: of memory.

        """
        # The one that arrived first is the first.
        self._arrived: OrderedDict[str, float] = OrderedDict()
        # Of the same texts, by themselves: so a look at many is one of a dict.
        self._references: dict[str | None, bytes] = {}
        self._window = window
        self._clock = clock
        self._max_bytes = max_bytes
        self._bytes = 0
        self._vectors = 0

    def vectors(self) -> int:
        """Give how many vectors have arrived."""
        return self._vectors

    def memory(self) -> int:
        """Give what the texts take in memory, in bytes."""
        return self._bytes

    def references(self, texts: Iterable[str | None]) -> list[bytes | None]:
        """Give what leads to the vector of each text; None where the vector is due, or no text."""
        self._forget_old(self._clock())
        return [*map(self._references.get, texts)]

    def arrive(self, references: Mapping[str, bytes]) -> None:
        """Note that the vectors of these texts have arrived, and what leads to each."""
        now = self._clock()
        self._vectors += len(references)
        for text, reference in references.items():
            self._leave(text)
            self._arrived[text] = now
            self._references[text] = reference
            self._bytes += _size(text, reference)
        self._forget_old(now)
        while self._bytes > self._max_bytes:
            self._leave(next(iter(self._arrived)))

    def _forget_old(self, now: float) -> None:
        """Forget texts whose window is over: so many at once, for those of a start end together."""
        for _ in range(min(FORGOTTEN, len(self._arrived))):
            text, arrived = next(iter(self._arrived.items()))
            if now - arrived < self._window:
                return
            self._leave(text)

    def _leave(self, text: str) -> None:
        if self._arrived.pop(text, None) is not None:
            self._bytes -= _size(text, self._references.pop(text))


def _size(text: str, reference: bytes) -> int:
    return sys.getsizeof(text) + sys.getsizeof(reference) + ENTRY_BYTES
