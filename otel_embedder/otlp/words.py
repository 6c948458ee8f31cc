"""What a neighbour says, made fit to be passed on.

Words of a status travel in headers, of which gRPC takes 8 KiB for sure; what is not ASCII
travels at three times its length, and status details say all of it again.
"""

from __future__ import annotations

MAX_WORDS_BYTES = 1024
ELLIPSIS = "..."
# No character of UTF-8 has more bytes, and none that is read badly becomes longer than four.
LONGEST_CHARACTER = 4


def fit(words: str | bytes, max_bytes: int = MAX_WORDS_BYTES) -> str:
    """Give words as one printable line of at most so many bytes in UTF-8."""
    line = " ".join(map(_printable, _text(words, max_bytes).split()))
    encoded = line.encode()
    if len(encoded) <= max_bytes:
        return line
    return encoded[: max_bytes - len(ELLIPSIS)].decode(errors="ignore") + ELLIPSIS


def _text(words: str | bytes, max_bytes: int) -> str:
    """Give the beginning, and more than enough of it: the rest, however long, is not read."""
    beginning = words[: LONGEST_CHARACTER * max_bytes]
    return beginning.decode(errors="replace") if isinstance(beginning, bytes) else beginning


def _printable(word: str) -> str:
    # Neither controls, nor what turns the direction of writing, nor half a character of UTF-16.
    return "".join(character if character.isprintable() else "?" for character in word)
