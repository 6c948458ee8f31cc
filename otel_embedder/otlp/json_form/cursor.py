"""Moves over JSON text, and tells where things stand in it.

`json.loads` forgets where a value stood. Here values are decoded one by one by
the same code, so that what is found can be changed in the text itself, and all
else of the text stays as it was written.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from json import JSONDecodeError, JSONDecoder
from typing import TYPE_CHECKING

from otel_embedder.errors import MalformedRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

SPACE = r"[ \t\n\r]*"
OPEN_OBJECT = re.compile(rf"{SPACE}\{{{SPACE}")
OPEN_ARRAY = re.compile(rf"\[{SPACE}")
COLON = re.compile(rf"{SPACE}:{SPACE}")
# To stop straight behind a bracket is to know where it stands.
BEHIND_MEMBER = re.compile(rf"{SPACE}(?:,{SPACE}|\}})")
BEHIND_ELEMENT = re.compile(rf"{SPACE}(?:,{SPACE}|\])")
# Between two values, the zeros of a hole in a file, and a byte order mark.
BLANK = re.compile(r"[ \t\n\r\0\ufeff]*+")
END = re.compile(rf"{SPACE}\Z")

decode = JSONDecoder().raw_decode


# Bytes that are not UTF-8 are read and written as they are.
ESCAPED = "surrogateescape"


@contextmanager
def json_faults() -> Iterator[None]:
    """Turn what reading JSON may raise into an error of ours.

    Raises:
        MalformedRequestError: it is no JSON, or none that can be read.

    """
    try:
        yield
    except JSONDecodeError as error:
        raise MalformedRequestError(f"{error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise MalformedRequestError("it is nested too deep to be read") from error
    except ValueError as error:
        # Python reads no number of more than 4,300 digits.
        raise MalformedRequestError("a number in it has too many digits") from error


class JsonCursor:
    """A position in a JSON text.

    Attributes:
        text: all of it.
        position: the index of the next character.

    """

    def __init__(self, text: str, position: int = 0) -> None:
        self.text = text
        self.position = position

    def value(self) -> object:
        """Give the value that begins here, and move behind it.

        Raises:
            JSONDecodeError: none does.

        """
        value, self.position = decode(self.text, self.position)
        return value

    def members(self) -> Iterator[str]:
        """Give each key of the object here; its value is to be moved over before the next.

        Raises:
            JSONDecodeError: there is no object, or its text is wrong.

        """
        self._take(OPEN_OBJECT, "Expecting an object")
        is_over = self._skip("}")
        while not is_over:
            key = self.value()
            if not isinstance(key, str):
                raise JSONDecodeError("Expecting a string for a key", self.text, self.position)
            self._take(COLON, "Expecting ':'")
            yield key
            self._take(BEHIND_MEMBER, "Expecting ',' or '}'")
            is_over = self.text[self.position - 1] == "}"

    def elements(self) -> Iterator[None]:
        """Stop at each element of the array here, which is to be moved over before the next.

        Protobuf's JSON takes null for any field to be the field's absence.

        Raises:
            JSONDecodeError: there is no array, or its text is wrong.

        """
        if self._skip("null"):
            return
        self._take(OPEN_ARRAY, "Expecting an array")
        is_over = self._skip("]")
        while not is_over:
            yield
            self._take(BEHIND_ELEMENT, "Expecting ',' or ']'")
            is_over = self.text[self.position - 1] == "]"

    def is_before_more(self) -> bool:
        """Move over what is blank; tell whether something follows."""
        blank = BLANK.match(self.text, self.position)
        self.position = blank.end() if blank else self.position
        return self.position < len(self.text)

    def finish(self) -> None:
        """Make sure that nothing follows.

        Raises:
            JSONDecodeError: something does.

        """
        self._take(END, "Extra data")

    def _skip(self, word: str) -> bool:
        is_here = self.text.startswith(word, self.position)
        self.position += len(word) if is_here else 0
        return is_here

    def _take(self, pattern: re.Pattern[str], complaint: str) -> None:
        match = pattern.match(self.text, self.position)
        if match is None:
            raise JSONDecodeError(complaint, self.text, self.position)
        self.position = match.end()
