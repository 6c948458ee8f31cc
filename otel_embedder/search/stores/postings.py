"""Which entries say which words, in memory."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.ranking import stems

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from otel_embedder.search.counts import Integers


class Postings:
    """Keys of entries by the stems that they say."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._keys: dict[str, array[int]] = {}
        self._entries = 0

    def add(self, key: int, words: str) -> None:
        """Take an entry in; its key is greater than those before."""
        self._entries += 1
        for stem in set(stems(words)):
            self._keys.setdefault(stem, array("q")).append(key)

    def remove(self, keys: Collection[int]) -> None:
        """Let entries go."""
        gone = np.fromiter(keys, np.int64, len(keys))
        self._entries -= len(gone)
        for stem in list(self._keys):
            known = self._of(stem)
            stays = known[~np.isin(known, gone)]
            if not len(stays):
                del self._keys[stem]
            elif len(stays) < len(known):
                self._keys[stem] = array("q", stays.tobytes())

    def _of(self, stem: str) -> Integers:
        return np.array(self._keys.get(stem, ()), np.int64)

    def counts(self, asked: Sequence[str]) -> dict[str, int]:
        """Give how many entries say each of these stems, without those that none says."""
        return {stem: len(self._keys[stem]) for stem in asked if stem in self._keys}

    def find(self, asked: Sequence[str], most: int) -> Integers:
        """Give the keys of entries that say some of these stems.

        First those that say most of them and the rarest ones, the youngest first among equals.
        """
        counts = self.counts(sorted(set(asked)))
        if not counts:
            return np.zeros(0, np.int64)
        known = [self._of(stem) for stem in counts]
        weights = [np.full(count, math.log1p(self._entries / count)) for count in counts.values()]
        keys, positions = np.unique(np.concatenate(known), return_inverse=True)
        scores = np.bincount(positions, np.concatenate(weights))
        return keys[np.lexsort((-keys, -scores))[:most]]
