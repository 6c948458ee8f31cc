"""What goes before what: by meaning, and by what a vector can't tell.

A question also counts the words that it shares with a text: a name that the
model has never met is near to nothing. A span also counts how long it took,
which its text does not say. Both are added to the cosine, with half its weight.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import snowballstemmer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import bm25s

# Any shape.
Floats = npt.NDArray[np.floating]

WORDS_WEIGHT = 0.5
DURATION_WEIGHT = 0.5

# BM25 as Lucene has it, but for the factor k1 + 1 above the line, which all scores and the most
# that they can be have alike. So the most of a word is its idf.
K1, B = 1.2, 0.75
# A word that no text has weighs this much of the rarest one's weight: what a question asks for in
# vain must cost it something, but no name may outweigh all else.
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
    stem: str = snowballstemmer.stemmer("english").stemWord(word)
    return stem


class WordIndex:
    """Texts by their words."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Take the texts in."""
        documents = [stems(text) for text in texts]
        frequencies = Counter(stem for document in documents for stem in set(document))
        self._idf = {
            stem: math.log(1 + (len(texts) - count + 0.5) / (count + 0.5))
            for stem, count in frequencies.items()
        }
        self._unknown_idf = UNKNOWN_WORD_WEIGHT * max(self._idf.values(), default=0)
        self._texts = len(texts)
        self._scores = _bm25(documents) if frequencies else None

    def shares(self, question: str) -> Floats:
        """Give each text's BM25 of a question as a share of the most that it could get.

        The most is what a text would get that says every word of the question, and nothing else,
        over and over. The shape is (texts,); where the question has no word, all is 0.
        """
        asked = sorted(set(stems(question)))
        known = [stem for stem in asked if stem in self._idf]
        if self._scores is None or not known:
            return np.zeros(self._texts, np.float32)
        most = sum(self._idf.get(stem, self._unknown_idf) for stem in asked)
        scores: Floats = self._scores.get_scores(known)
        return scores / np.float32(most)


def _bm25(documents: Sequence[Sequence[str]]) -> bm25s.BM25:
    """Give what scores these documents, each a list of words; one of them must have one."""
    # Only who asks in words needs it.
    import bm25s  # noqa: PLC0415

    # It sets this to DEBUG when it is imported.
    logging.getLogger(bm25s.__name__).setLevel(logging.WARNING)
    scores = bm25s.BM25(method="lucene", k1=K1, b=B)
    scores.index(documents, create_empty_token=False, show_progress=False)
    return scores


def decades(milliseconds: float | None) -> float:
    """Give a duration as the logarithm to base 10 of its milliseconds; NaN if it is unknown."""
    return math.nan if milliseconds is None else math.log10(max(milliseconds, SHORTEST))


def duration_likeness(one: Floats | float, other: Floats | float) -> Floats:
    """Give how alike durations are, as `decades` has them, of shapes that broadcast.

    1 as long, 0 three decades apart, -1 six or more; 0 where one is unknown.
    """
    apart = np.minimum(np.abs(one - other), MAX_DECADES)
    return np.nan_to_num(np.cos(np.pi / MAX_DECADES * apart))
