"""JSON text in pieces, one for each request, however it is written.

Requests may stand a line each, over many lines, several on a line, straight
behind each other or in one list. The pieces one behind the other are the text
again, byte for byte; no more of it is held than a request and a block.

What is no JSON is told by whoever parses a piece. Here only brackets count, and a
line that was cut off ends where the next request begins at the start of a line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.files.brackets import NONE, BracketFinder, joined

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from otel_embedder.files.brackets import Brackets

# Of what stands between requests, which may be as long as a file with a hole in it.
GAP_BYTES = 1_048_576

BLOCK_BYTES = 262_144  # looked through at once
HOLE = bytes(65_536)
# A line is waited for up to here; one that is longer may be many requests.
MAX_LINE_BYTES = 16_777_216
CLOSING = ord("}")

BLANKS = rb"(?:[ \t\r\n\0]|\xef\xbb\xbf)*+"  # NULs of a hole and byte order marks among them
# What may stand between two requests: blanks, and what ends and begins a list of them.
GAP = re.compile(rb"%b(?:\]%b)?(?:\[%b\]%b)*+(?:\[%b)?".replace(b"%b", BLANKS))
COMMA = re.compile(rb"%b,%b".replace(b"%b", BLANKS))
LEADING_BLANKS = re.compile(BLANKS)
TO_LINE_END = re.compile(rb"[ \t\r]*+\n")
TRAILING_BLANKS = b" \t\r\n\0"
# In JSON, a bracket opens behind one of these and nothing else.
OPENED_BEHIND = b"[{,:"
REQUEST_START = re.compile(rb'\{[ \t]{0,8}"(?:resource_?spans|batches)"', re.IGNORECASE)
MAX_REQUEST_START = 26


class Piece(NamedTuple):
    """A request in a text of JSON, with what stands around it.

    Attributes:
        position: where it stands, in words.
        before: what stands between the last one and it.
        content: the request; nothing behind the last one, and within a very long gap.
        after: the rest of its last line, if nothing else is on that.
        in_list: whether it is an element of a list.

    """

    position: str
    before: bytes
    content: bytes
    after: bytes
    in_list: bool


def pieces_of(blocks: Iterable[bytes]) -> Iterator[Piece]:
    """Give the pieces of a text that comes in blocks; a line feed is added, if it ends without.

    Raises:
        EOFError: the text ends within a request.

    """
    text = JsonText()
    for block in blocks:
        yield from text.take(block)
    yield from text.end()


class JsonText:
    """Takes a text apart. A place is counted in what is held of it."""

    def __init__(self) -> None:
        self._finder = BracketFinder()
        self._held = bytearray()
        self._undecided = NONE  # what is left to walk over when more has come
        self._is_over = False
        self._looked_through = 0  # so many bytes of what is held were
        self._given = 0  # so many bytes of what is held were given
        self._start: int | None = None  # where a request began that has not ended yet
        self._depth = 0
        self._list_depth = 0  # 1 within a list of requests
        self._line = 1
        self._column = 1
        self._is_first = True  # whether no request has ended on this line

    def take(self, block: bytes) -> Iterator[Piece]:
        """Take the next block; give the pieces that end in it."""
        searched = len(self._held)
        self._held += block
        yield from self._whole_lines(searched)
        if not self._awaits_line_end():
            yield from self._look_through()
        self._forget()

    def _whole_lines(self, searched: int) -> Iterator[Piece]:
        """Give lines that are requests for certain, as nearly all of most files are.

        Where a line ends in } and { follows, no request goes on: JSON would have a comma there.

        Args:
            searched: up to where there is no line feed that was not seen.

        """
        held = self._held
        while self._is_at_line_start() and held.startswith(b"{", self._given):
            line_feed = held.find(b"\n", max(searched, self._given))
            end = line_feed - 1 if held.startswith(b"\r", line_feed - 1) else line_feed
            if line_feed < 0 or not (
                held[end - 1] == CLOSING and held.startswith(b"{", line_feed + 1)
            ):
                return
            after = self._bytes(end, line_feed + 1)
            yield Piece(
                f"line {self._line}", b"", self._bytes(self._given, end), after, in_list=False
            )
            self._line += 1
            self._given = self._looked_through = line_feed + 1

    def _is_at_line_start(self) -> bool:
        """Tell whether all before was given, and a line begins."""
        return self._looked_through == self._given and self._column == 1 and not self._list_depth

    def _awaits_line_end(self) -> bool:
        """Tell whether there is the beginning of a line that may be a request."""
        return (
            self._is_at_line_start()
            and self._held.startswith(b"{", self._given)
            and len(self._held) - self._given < MAX_LINE_BYTES
            and self._held.find(b"\n", self._given) < 0
            and not self._held.endswith(HOLE)
        )

    def _look_through(self) -> Iterator[Piece]:
        """Give the pieces in what was not looked through yet."""
        while block := self._bytes(self._looked_through, self._looked_through + BLOCK_BYTES):
            found = self._finder.find(block).moved(self._looked_through)
            self._looked_through += len(block)
            yield from self._walk_all(joined(self._undecided, found))
            while self._start is None and self._looked_through - self._given > GAP_BYTES:
                yield self._gap(self._given + GAP_BYTES)
        if self._start is not None and self._held.endswith(HOLE):
            # To wait within a hole for the request's end would hold all of the hole.
            yield from self._broken(len(self._held))

    def end(self) -> Iterator[Piece]:
        """Give what is left at the end of the text.

        Raises:
            EOFError: that is no whole request, or no whole list.

        """
        yield from self._look_through()
        self._is_over = True
        yield from self._walk_all(self._undecided)
        if self._start is not None:
            if self._held.find(b"\n", self._start) != len(self._held) - 1:
                raise EOFError("the last request has no end")
            yield from self._broken(len(self._held))
        elif self._list_depth:
            raise EOFError("the list of requests has no end")
        if len(self._held) > self._given or self._column > 1:
            self._held += b"" if self._held.endswith(b"\n") else b"\n"
            yield self._gap(len(self._held))

    def _walk_all(self, found: Brackets) -> Iterator[Piece]:
        self._undecided = NONE
        while len(found.places):
            count = yield from self._walk(found)
            found = found.behind(count)

    def _walk(self, found: Brackets) -> Generator[Piece, None, int]:
        """Walk over brackets and give the requests that end; return how many were walked over.

        That is all of them, but where one is of no use, and those behind it stand at another
        depth than was reckoned.
        """
        for index, place, depth, opens, leads in found.that_matter(self._depth):
            if opens:
                if leads and depth > self._list_depth:
                    if self._is_undecided(place):
                        self._depth, self._undecided = depth, found.behind(index)
                        return len(found.places)
                    if self._restarts(place):
                        yield from self._broken(place)
                        return index
                self._open(place, depth)
            elif depth == self._list_depth + 1 and self._start is not None:
                yield from self._request(self._start, place + 1)
            elif depth == 1:
                self._list_depth = 0
            elif depth == 0:
                # It closes nothing, and is left to the gap, as are all straight behind it.
                self._depth = 0
                return found.next_opening(index)
        self._depth += found.depth()
        return len(found.places)

    def _open(self, place: int, depth: int) -> None:
        if depth == 0 and self._held.startswith(b"[", place):
            self._list_depth = 1
        elif depth == self._list_depth:
            self._start = place

    def _restarts(self, place: int) -> bool:
        """Tell whether a request begins here although the one before has not ended."""
        before = self._content_end(place)
        return self._held[before - 1] not in OPENED_BEHIND or bool(
            REQUEST_START.match(self._held, place)
        )

    def _is_undecided(self, place: int) -> bool:
        """Tell whether more must come to know whether a request begins here."""
        return not self._is_over and len(self._held) - place < MAX_REQUEST_START

    def _content_end(self, place: int) -> int:
        """Give where what is not blank ends before a place."""
        while place > self._given and self._held[place - 1] in TRAILING_BLANKS:
            place -= 1
        return place

    def _broken(self, place: int) -> Iterator[Piece]:
        """Give what has begun and has no end before a place, for whoever parses it to refuse."""
        self._depth = self._list_depth
        start = self._given if self._start is None else self._start
        return self._request(start, self._content_end(place))

    def _request(self, start: int, end: int) -> Iterator[Piece]:
        """Give the request that stands here, and in front of it what should not stand there."""
        self._start = None
        if not self._is_gap(start):
            yield self._gap(start)
        line_end = TO_LINE_END.match(self._held, end)
        yield self._piece(start, end, line_end.end() if line_end else end)

    def _is_gap(self, end: int) -> bool:
        """Tell whether all up to a place may stand between requests."""
        is_comma = self._list_depth and COMMA.fullmatch(self._held, self._given, end)
        return bool(is_comma or GAP.fullmatch(self._held, self._given, end))

    def _gap(self, end: int) -> Piece:
        """Give all up to a place as what stands between requests, or as what should not."""
        if self._is_gap(end):
            return self._piece(end, end, end)
        blanks = LEADING_BLANKS.match(self._held, self._given, end)
        return self._piece(blanks.end() if blanks else end, self._content_end(end), end)

    def _piece(self, start: int, end: int, line_end: int) -> Piece:
        before, content, after = (
            self._bytes(since, until)
            for since, until in ((self._given, start), (start, end), (end, line_end))
        )
        self._given = line_end
        self._move_over(before)
        position = f"line {self._line}" if self._is_first else self._place_in_line()
        self._move_over(content + after)
        self._is_first = self._column == 1 or (self._is_first and not content)
        return Piece(position, before, content, after, self._list_depth == 1)

    def _bytes(self, start: int, end: int) -> bytes:
        with memoryview(self._held) as view:
            return bytes(view[start:end])

    def _place_in_line(self) -> str:
        return f"line {self._line}, column {self._column}"

    def _move_over(self, text: bytes) -> None:
        """Count lines and columns."""
        lines = text.count(b"\n")
        if lines:
            self._line += lines
            self._column = 0
            self._is_first = True
        self._column += len(text) - 1 - text.rfind(b"\n") + (1 if lines else 0)

    def _forget(self) -> None:
        """Let go of what was given."""
        del self._held[: self._given]
        if self._start is not None:
            self._start -= self._given
        self._undecided = self._undecided.moved(-self._given)
        self._looked_through -= self._given
        self._given = 0
