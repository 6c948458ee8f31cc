"""What a text must have for a pattern to match in it: marks, which are far cheaper to look for.

Nearly all patterns of this room match in hardly any value. So a text is seen once as bytes in which
the marks of all of them are plain, and of a pattern only its marks are looked for, unless they are
there. Marks begin with a character that is known: Python then skips all others at once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_embedder.text.patterns import Late

DIGIT, BLANK, LETTER, OTHER = "0", " ", "z", "\x7f"
# What patterns that ignore case take for a letter of ASCII.
_LIKE_ASCII = {
    "\N{LATIN SMALL LETTER LONG S}": "s",
    "\N{KELVIN SIGN}": "K",
    "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}": "I",
    "\N{LATIN SMALL LETTER DOTLESS I}": "i",
}


def _as_mark(character: str) -> str:
    if character.isdecimal():
        return DIGIT
    if character.isspace():
        return BLANK
    if character.isascii():
        return character
    return _LIKE_ASCII.get(character, LETTER if character.isalnum() else OTHER)


# Letters and what else values consist of, the most frequent first.
_COMMON = "0e tainosrlcdhu/.m-p_gbf:,=ywvkxjzq"


def words_marks(words: Iterable[str]) -> bytes:
    """Give a pattern of words, as `seen_in` gives them, that is quick where none of them is.

    Each is found by the rarest of its characters but the last, so that most of a text is skipped
    at once. What stands in a word from the first `[` on is a pattern.
    """
    by_rarest: dict[str, list[str]] = {}
    for word in dict.fromkeys(words):
        plain, bracket, pattern = word.partition("[")
        place = max(range(len(plain) - 1), key=[*map(_rareness, plain)].__getitem__, default=0)
        rest = re.escape(plain[place + 1 :])
        found = f"{rest}(?<={re.escape(plain)}){bracket}{pattern}"
        by_rarest.setdefault(plain[place : place + 1], []).append(found)
    found_by = (f"{re.escape(rarest)}(?:{'|'.join(of)})" for rarest, of in by_rarest.items())
    return "|".join(found_by).encode()


def _rareness(character: str) -> int:
    """Tell how rare a character is: the higher the rarer; a capital is as rare as can be."""
    place = _COMMON.find(character)
    return place if place >= 0 else len(_COMMON)


class _BeyondAscii(dict[int, str]):
    """Translates what is not ASCII, and remembers it: alphabets are small, and writings too."""

    def __missing__(self, code: int) -> str:
        self[code] = _as_mark(chr(code))
        return self[code]


_ASCII = "".join(map(_as_mark, map(chr, range(256)))).encode("latin-1")
_BEYOND_ASCII = _BeyondAscii()


def seen_in(text: str) -> bytes:
    """Give a text as marks are looked for in it.

    A digit of any script reads 0, blanks and ends of lines a blank, a letter that is not ASCII `z`,
    what else is not ASCII DEL.
    """
    if not text.isascii():
        text = text.translate(_BEYOND_ASCII)
    return text.encode().translate(_ASCII)


class Marks:
    """What is looked for in what was seen.

    Attributes:
        marks: a pattern of marks.
        in_small: whether they are in small letters, and those of a text are taken for such.

    """

    def __init__(self, marks: bytes, *, in_small: bool = False) -> None:
        """Prepare to look.

        Args:
            marks: a pattern of marks, as `seen_in` gives them.
            in_small: whether they are in small letters, and those of a text are taken for such.

        """
        self.marks = marks
        self.in_small = in_small
        self._search = re.compile(marks).search

    def may_be_in(self, seen: bytes) -> bool:
        """Tell whether what these are the marks of may be in a text of which this was seen."""
        return self._search(seen.lower() if self.in_small else seen) is not None


class Marked(Marks):
    """A pattern, and its marks: all that it matches has one of them.

    Attributes:
        late: compiles the pattern when it is first needed.

    """

    def __init__(self, late: Late, marks: bytes, *, in_small: bool = False) -> None:
        """Prepare to look.

        Args:
            late: what compiles the pattern that is looked for.
            marks: a pattern of its marks.
            in_small: whether these are in small letters, and those of a text are taken for such.

        """
        super().__init__(marks, in_small=in_small)
        self.late = late

    @property
    def pattern(self) -> re.Pattern[str]:
        """What is looked for."""
        return self.late()

    def sub(self, word: str | Callable[[re.Match[str]], str], text: str, seen: bytes) -> str:
        """Put a word in the place of each match.

        Args:
            word: as `re.sub` takes it.
            text: the text.
            seen: what was seen in it. It may be older than what was put in the place of something:
                that parts what stood apart, and has no marks in it.

        """
        return self.late().sub(word, text) if self.may_be_in(seen) else text


def any_of(*all_: Marks) -> Marks:
    """Give the marks of all of these, which are of one kind of letters, to look for at once."""
    [in_small] = {each.in_small for each in all_}
    return Marks(b"|".join(each.marks for each in all_), in_small=in_small)
