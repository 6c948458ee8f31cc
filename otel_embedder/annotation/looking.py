"""Whether it is worth looking for what may be known.

Of spans whose attributes are all their own none is known, and to look costs a fifth of reading
one. So where few are found it rests for a while, before it tries again.
"""

from __future__ import annotations

LOOKED_AT = 2_048
FEW = LOOKED_AT // 4
RESTING = 16 * LOOKED_AT


class Looking:
    """Counts what is looked for and found."""

    def __init__(self) -> None:
        """Begin to look."""
        self._looked_at = self._found = self._resting = 0

    def rests(self, count: int) -> bool:
        """Tell whether to leave it for so many."""
        if self._resting <= 0:
            return False
        self._resting -= count
        return True

    def note(self, looked_at: int, found: int) -> None:
        """Take note of how many were found of those that were looked for."""
        self._looked_at += looked_at
        self._found += found
        if self._looked_at >= LOOKED_AT:
            self._resting = 0 if self._found >= FEW else RESTING
            self._looked_at = self._found = 0
