"""Whose vector the next hop has had lately: the texts of a window, in so much memory.

What is remembered is what has arrived, not what was sent: the vector of a request that failed is
due again.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Some 30,000 texts of usual length. Those that arrived first go first, as they do by time: what
# is forgotten early arrives once more than it must.
MAX_BYTES = 16 * 1024 * 1024
ENTRY_BYTES = 200  # an entry's time, and Python's own share


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

    def is_due(self, text: str) -> bool:
        """Tell whether the next span of a text is to bring its vector."""
        arrived = self._arrived.get(text)
        return arrived is None or self._clock() - arrived >= self._window

    def arrive(self, texts: Iterable[str]) -> None:
        """Note that the vectors of these texts have arrived."""
        now = self._clock()
        for text in texts:
            self._vectors += 1
            if text not in self._arrived:
                self._bytes += _size(text)
            self._arrived[text] = now
            self._arrived.move_to_end(text)
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._arrived:
            text, arrived = next(iter(self._arrived.items()))
            if now - arrived < self._window and self._bytes <= self._max_bytes:
                return
            del self._arrived[text]
            self._bytes -= _size(text)


def _size(text: str) -> int:
    return sys.getsizeof(text) + ENTRY_BYTES
