"""What goes before what: by meaning, and by what a vector can't tell.

A question also counts the words that it shares with a text: a name that the
model has never met is near to nothing. A span also counts how long it took,
which its text does not say. Both are added to the cosine, with half its weight.
"""

from __future__ import annotations

import math
import re
import zlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Any shape.
Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint32]

WORDS_WEIGHT = 0.5
DURATION_WEIGHT = 0.5

# BM25 as Lucene has it, but for the factor k1 + 1 above the line, which all scores and the most
# that they can be have alike. So the most of a word is its idf.
K1, B = 1.2, 0.75
# A word that no text has weighs this much of one that a single text has: what a question asks for
# in vain must cost it something, but no name may outweigh all else.
UNKNOWN_WORD_WEIGHT = 0.7

_WORD = re.compile(r"[^\W_]+")
STOP_WORDS = frozenset(
    (
        *("a", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could"),
        *("did", "do", "does", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into"),
        *("is", "it", "its", "my", "of", "on", "or", "our", "so", "that", "the", "their", "them"),
        *("then", "there", "these", "they", "this", "to", "was", "we", "were", "what", "when"),
        *("which", "will", "with", "would", "you"),
    )
)

_NUMBER_BITS = np.uint64(32)
_NUMBER_MASK = np.uint64(0xFFFF_FFFF)
_LAST_STEM = 0xFFFF_FFFF

# Of postings: as many are sorted in the processor's cache, and looked up as fast as they are one.
LONG = 524_288
MAX_STEMS = 65_536  # are remembered: some 10 MB
# Six decades apart, from a millisecond to a quarter of an hour, two spans are as unlike as can be.
MAX_DECADES = 6.0
SHORTEST = 1e-6  # milliseconds: the clock's own step


def stems(text: str) -> list[str]:
    """Give the stems of a text's words, in order, without those that say nothing."""
    words = _WORD.findall(text.lower())
    return [_stem(word) for word in words if word not in STOP_WORDS]


@lru_cache(MAX_STEMS)
def _stem(word: str) -> str:
    stem: str = _stemmers()("english").stemWord(word)
    return stem


@cache
def _stemmers() -> Callable[[str], Any]:
    # It brings those of thirty languages: a fifth of what a catalogue adds to a sidecar's start,
    # and no text is written before the first answer.
    import snowballstemmer  # noqa: PLC0415

    return snowballstemmer.stemmer  # type: ignore[no-any-return]


@lru_cache(MAX_STEMS)
def _stem_hash(word: str) -> int:
    return zlib.crc32(_stem(word).encode("utf-8", "surrogatepass"))


def stem_hashes(text: str) -> Hashes:
    """Give the stems of a text's words as numbers, which are small, and quick to look up.

    Among 100,000 stems one in 43,000 has another's number.
    """
    words = _WORD.findall(text.lower())
    return np.array([_stem_hash(word) for word in words if word not in STOP_WORDS], np.uint32)


class Ranked(NamedTuple):
    """Texts in order, the best first; each array has the shape (n,).

    Attributes:
        keys: of their entries.
        scores: what they are ranked by.
        cosines: how near they are.

    """

    keys: Integers
    scores: Floats
    cosines: Floats

    def at(self, where: Integers | Flags) -> Ranked:
        """Give some of them."""
        return Ranked._make(column[where] for column in self)

    def near(self, count: int, *, threshold: float, error: float) -> Ranked:
        """Give those that can be among the best, if cosines are off by so much at most."""
        sure = self.cosines >= threshold + error
        scores = self.scores if sure.all() else self.scores[sure]
        is_near = self.scores >= least_of_best(scores, count) - 2 * error
        return self.at(is_near & (self.cosines >= threshold - error))

    def best(self, count: int, *, threshold: float) -> Ranked:
        """Give the best of texts in any order, of equals those that came first."""
        passing = self.at(self.cosines >= threshold)
        return passing.at(np.lexsort((passing.keys, -passing.scores))[:count])


def least_of_best(scores: Floats, count: int) -> float:
    """Give the least of the `count` greatest; if there are not more than that, minus infinity."""
    if len(scores) <= count:
        return -np.inf
    # As many are at least as great as the greatest of so many pieces: most need not be sorted.
    length = max(1, len(scores) // (16 * count))
    pieces = scores[: len(scores) // length * length].reshape(-1, length).max(axis=1)
    floor = np.partition(pieces, len(pieces) - count)[len(pieces) - count]
    great = scores[scores >= floor]
    return float(np.partition(great, len(great) - count)[len(great) - count])


class WordIndex:
    """Texts by their words; more may come at any time."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Take texts in."""
        self._lengths = np.zeros(0, np.float32)
        # What of a text's BM25 depends on its length alone.
        self._norms = np.zeros(0, np.float32)
        # Of each word of each text its stem's number and the text's: sorted, and each long, or as
        # long as all behind it, so that whatever comes is sorted a few times only.
        self._postings: list[npt.NDArray[np.uint64]] = []
        self._total = 0
        hashes = [stem_hashes(text) for text in texts]
        if hashes:
            self.add(np.concatenate(hashes), np.array([len(each) for each in hashes]))

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, hashes: Hashes, lengths: Integers) -> None:
        """Take more texts in, behind those that are there.

        Args:
            hashes: the stems of all of them, one text's behind another's, as `stem_hashes` gives.
            lengths: how many of these each text has.

        """
        numbers = np.arange(len(self), len(self) + len(lengths), dtype=np.uint32)
        # In their place: of a million texts each copy takes 120 MB.
        postings = hashes.astype(np.uint64)
        postings <<= _NUMBER_BITS
        postings |= np.repeat(numbers, lengths)
        postings.sort()
        self._lengths = np.concatenate((self._lengths, lengths.astype(np.float32)))
        self._total += len(hashes)
        mean = max(1, self._total) / max(1, len(self))
        self._norms = np.float32(K1) * (1 - B + np.float32(B / mean) * self._lengths)
        self._postings.append(postings)
        while len(self._postings) > 1 and len(self._postings[-2]) < min(
            2 * len(self._postings[-1]), LONG
        ):
            joined = np.concatenate((self._postings.pop(), self._postings.pop()))
            joined.sort()
            self._postings.append(joined)

    def shares(self, question: str) -> Floats:
        """Give each text's BM25 of a question as a share of the most that it could get.

        The most is what a text would get that says every word of the question, and nothing else,
        over and over. The shape is (texts,); where the question has no word, all is 0.
        """
        scores = np.zeros(len(self), np.float32)
        most = 0.0
        for stem in np.unique(stem_hashes(question)):
            found = [self._found(postings, stem) for postings in self._postings]
            frequency = sum(len(texts) for texts, _ in found)
            if not frequency:
                most += UNKNOWN_WORD_WEIGHT * self._idf(1)
                continue
            idf = self._idf(frequency)
            most += idf
            for texts, times in found:
                scores[texts] += np.float32(idf) * times / (times + self._norms[texts])
        return scores / np.float32(most) if most else scores

    def _idf(self, frequency: int) -> float:
        return math.log(1 + (len(self) - frequency + 0.5) / (frequency + 0.5))

    def _found(
        self, postings: npt.NDArray[np.uint64], stem: np.uint32
    ) -> tuple[Integers, Floats | np.float32]:
        """Give the texts that have a stem, and how often each, or all of them."""
        bounds = np.array([int(stem), int(stem) + 1], np.uint64) << _NUMBER_BITS
        # The last of all stems has no next one.
        end = len(postings) if stem == _LAST_STEM else np.searchsorted(postings, bounds[1])
        numbers = postings[np.searchsorted(postings, bounds[0]) : end] & _NUMBER_MASK
        texts = numbers.astype(np.int64)
        is_again = texts[1:] == texts[:-1]
        if not is_again.any():
            return texts, np.float32(1)
        starts = np.flatnonzero(np.append(True, ~is_again))
        return texts[starts], np.diff(starts, append=len(texts)).astype(np.float32)


def decades(milliseconds: float | None) -> float:
    """Give a duration as the logarithm to base 10 of its milliseconds; NaN if it is unknown."""
    return math.nan if milliseconds is None else math.log10(max(milliseconds, SHORTEST))


def duration_likeness(one: Floats | float, other: Floats | float) -> Floats:
    """Give how alike durations are, as `decades` has them, of shapes that broadcast.

    1 as long, 0 three decades apart, -1 six or more; 0 where one is unknown.
    """
    apart = np.minimum(np.abs(one - other), MAX_DECADES)
    return np.nan_to_num(np.cos(np.pi / MAX_DECADES * apart))
