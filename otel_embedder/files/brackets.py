"""Finds the brackets of JSON outside its strings, block by block, without parsing it.

All at once by numpy, at some hundred MB a second: where a request ends must be
known before it is parsed, and a loop over the text would take as long as the
parsing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Places = npt.NDArray[np.intp]

QUOTE, LINE_FEED, NUL, BACKSLASH = b'"\n\0\\'
OPENING, CLOSING = b"{}"
SQUARE_TO_CURLY = 0x20  # the bit that [ and ] lack of { and }

# No JSON has a line feed or a NUL within a string. Where one is, no string goes on: what was cut
# off in the middle does not take what follows for its end.
ESCAPE = re.compile(rb"\\[^\n\0]")


class Bracket(NamedTuple):
    """A bracket in a block.

    Attributes:
        number: its place among those of the block.
        place: where it stands.
        depth: how many are open in front of it.
        opens: whether it opens or closes.
        leads: whether it is the first byte of its line, or comes straight behind a NUL.

    """

    number: int
    place: int
    depth: int
    opens: bool
    leads: bool


class Brackets(NamedTuple):
    """The brackets in a block.

    Attributes:
        places: where each stands in the block.
        steps: 1 for each that opens, -1 for each that closes.
        lead: whether each is the first byte of its line, or comes straight behind a NUL.

    """

    places: Places
    steps: npt.NDArray[np.int64]
    lead: npt.NDArray[np.bool_]

    def that_matter(self, depth: int) -> Iterator[Bracket]:
        """Give those that open or close one of the two outermost levels, or begin a line.

        Args:
            depth: how many are open in front of the first.

        """
        behind = depth + np.cumsum(self.steps)
        before = behind - self.steps
        matter = (np.minimum(behind, before) <= 1) | (self.lead & (self.steps > 0))
        for index in np.flatnonzero(matter).tolist():
            yield Bracket(
                index,
                int(self.places[index]),
                int(before[index]),
                opens=bool(self.steps[index] > 0),
                leads=bool(self.lead[index]),
            )

    def depth(self) -> int:
        """Give how many more are open behind the last than in front of the first."""
        return int(self.steps.sum())

    def next_opening(self, index: int) -> int:
        """Give the index of the first from one on that opens; how many there are if none does."""
        opening = np.flatnonzero(self.steps[index:] > 0)
        return index + int(opening[0]) if len(opening) else len(self.steps)

    def behind(self, count: int) -> Brackets:
        """Give them without the first of them."""
        return Brackets(self.places[count:], self.steps[count:], self.lead[count:])

    def moved(self, offset: int) -> Brackets:
        """Give them with their places counted from somewhere else."""
        return self._replace(places=self.places + offset)


NONE = Brackets(np.empty(0, np.intp), np.empty(0, np.int64), np.empty(0, np.bool_))


def joined(first: Brackets, second: Brackets) -> Brackets:
    """Give brackets with those behind them."""
    if not len(first.places):
        return second
    return Brackets(
        np.concatenate((first.places, second.places)),
        np.concatenate((first.steps, second.steps)),
        np.concatenate((first.lead, second.lead)),
    )


class BracketFinder:
    """Finds brackets in text that comes in blocks."""

    def __init__(self) -> None:
        self._in_string = False
        self._is_escaped = False
        self._is_behind_break = True

    def find(self, block: bytes) -> Brackets:
        """Give the brackets in the next block, which is not empty."""
        text = np.frombuffer(self._without_escapes(block), np.uint8)
        curly = text | SQUARE_TO_CURLY
        places = np.flatnonzero((curly == OPENING) | (curly == CLOSING))
        quotes = np.flatnonzero(text == QUOTE)
        breaks = np.flatnonzero((text == LINE_FEED) | (text == NUL))
        places = places[~self._within_string(places, quotes, breaks)]
        [self._in_string] = self._within_string(np.array([len(block)]), quotes, breaks)
        lead = (text[places - 1] == LINE_FEED) | (text[places - 1] == NUL)
        if len(places) and places[0] == 0:
            lead[0] = self._is_behind_break
        self._is_behind_break = block[-1] in (LINE_FEED, NUL)
        return Brackets(places, np.where(curly[places] == OPENING, 1, -1), lead)

    def _without_escapes(self, block: bytes) -> bytes:
        """Put something else in the place of every escape, such as that of a quote."""
        if self._is_escaped and block[0] not in (LINE_FEED, NUL):
            block = b"_" + block[1:]
        self._is_escaped = False
        if BACKSLASH in block:
            block = ESCAPE.sub(b"__", block)
            self._is_escaped = block.endswith(b"\\")
        return block

    def _within_string(
        self, places: Places, quotes: Places, breaks: Places
    ) -> npt.NDArray[np.bool_]:
        """Tell which places stand within a string: an odd number of quotes since the last break."""
        # In front of the first break, a string may go on from the block before.
        quotes_at_breaks = np.concatenate(
            ([-int(self._in_string)], np.searchsorted(quotes, breaks))
        )
        since = quotes_at_breaks[np.searchsorted(breaks, places)]
        within: npt.NDArray[np.bool_] = (np.searchsorted(quotes, places) - since) % 2 == 1
        return within
