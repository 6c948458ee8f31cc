"""A value as words: what the model was trained on, and nothing else.

Ids, numbers and addresses tell spans apart that do the same; keys and punctuation cost the model as
much as words do and say nothing. docs/text.md tells what each rule is worth.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otel_embedder.text.marks import Marked, seen_in, words_marks
from otel_embedder.text.patterns import late

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# No word of a language is as long; what has no blanks is cut, whatever it is.
MAX_WORD_CHARACTERS = 40
# A longer word with digits in it is somebody's id.
MAX_DIGIT_WORD_CHARACTERS = 8
# From here on a system gives ports to whoever dials.
EPHEMERAL_PORTS = 32_768

# Of a mask, or of bytes in the place of a value.
_PLACEHOLDER = re.compile(r"<\w+>|<\d+ bytes>")
# Letters and digits mixed, with a capital, and a digit before a letter: what makes ids look so.
_MIXED_ID = re.compile(r"\b(?=[A-Za-z]*\d+[A-Za-z])(?=\w*[A-Z])(?!v\d)[A-Za-z\d]{6,}\b")
# Behind a host or an address; a line of code has fewer digits, as a rule.
_PORT = re.compile(r"(?<=[\w>\]]):(\d{4,5})(?!\w|[.:]\w)")
_PORT_HINT = re.compile(r":\d\d\d\d")
# Not one that a word ends with. With the lookbehind first it would be tried at every character.
_NUMBER = re.compile(r"[-\d](?<!\w.)(?:(?<=-)\d+|(?<=\d)\d*)(?:\.\d+)?")
# camelCase, and the last capital of HTTPServer.
_HUMP = re.compile(r"[A-Z](?:(?<=[a-z0-9].)|(?<=[A-Z].)(?=[a-z]))")
_WORD = re.compile(r"[\w%]+")
# Leaves of a text of ASCII its words, in lower case.
_ASCII_WORDS = (
    "".join(
        character.lower() if character.isalnum() or character == "%" else " "
        for character in map(chr, range(128))
    )
    .encode()
    .ljust(256)
)
_LETTER = re.compile(r"[^\W\d_]")
# A message of fewer says nothing.
_LETTERS = re.compile(r"(?:[\W\d_]*+[^\W\d_]){3}")
_DIGIT = re.compile(r"\d")
_DIGIT_BEFORE_LETTER = re.compile(r"\d[A-Za-z]")
# A class with its package, of two parts or more.
_QUALIFIED = re.compile(r"[a-z_](?<![\w.$].)\w*+\.(?:[a-z_]\w*+\.)++([A-Z][\w$]*+)")
_QUALIFIED_HINT = re.compile(r"\.[A-Z]")
_ORIGIN = re.compile(r"^\w+://[^/]*")


def words(value: str, mask: Callable[[str], str]) -> list[str]:
    """Give the words of a value, in lower case.

    Args:
        value: any text.
        mask: puts placeholders for what differs from span to span.

    """
    value = mask(value)
    if "<" in value:
        value = _PLACEHOLDER.sub(" ", value)
    if _DIGIT_BEFORE_LETTER.search(value):
        value = _MIXED_ID.sub(" ", value)
    value = _NUMBER.sub(" ", value)
    value = parted(value, " ")
    if value.isascii():
        found = value.encode().translate(_ASCII_WORDS).decode().split()
    else:
        found = [word.lower() for word in _WORD.findall(value.replace("_", " "))]
    return [word[:MAX_WORD_CHARACTERS] for word in found if word.isalpha() or _is_word(word)]


def parted(value: str, between: str) -> str:
    """Give a text with something between the words of which a name in it is made."""
    return _HUMP.sub(rf"{between}\g<0>", value) if _HUMP.search(value) else value


def error_words(message: str, mask: Callable[[str], str]) -> list[str]:
    """Give the words of an error's message; the port that was dialled tells which server is down.

    Args:
        message: the message.
        mask: puts placeholders for what differs from span to span, as the caller's own port does.

    """
    masked = mask(message)
    if not _PORT_HINT.search(masked):
        return words(masked, str)
    between, *rest = _PORT.split(masked)
    found = words(between, str)
    for port, between in zip(rest[::2], rest[1::2], strict=True):
        found += [port] if int(port) < EPHEMERAL_PORTS else []
        found += words(between, str)
    return found


def _is_word(word: str) -> bool:
    """Tell whether what has more than letters is a word."""
    if not _LETTER.search(word):
        return False
    return len(word) <= MAX_DIGIT_WORD_CHARACTERS or not _DIGIT.search(word)


def without_packages(value: str) -> str:
    """Give a value with the names of classes alone: `Broken` for `com.shop.Broken`."""
    return _QUALIFIED.sub(r"\1", value) if _QUALIFIED_HINT.search(value) else value


def without_origin(url: str) -> str:
    """Give a URL's path and question, also of one that lacks its scheme."""
    path = _ORIGIN.sub("", url)
    if path is url and not path.startswith("/") and "/" in path:
        return path[path.index("/") :]
    return path


# What Spring and servlets put around any error.
_WRAPPER = re.compile(
    r"Servlet\.service\(\) for servlet \[[^\]]*\] in context with path \[[^\]]*\] "
    r"threw exception\s*\[?"
    r"|^(?i:request) processing failed[.;:]?$"
)
_WRAPPER_HINT = re.compile(r" threw exception| processing failed")
# [OrderService.pay], [cart#add]: where in the code it was.
_MARK = re.compile(r"\[([\w$]+(?:[.#:][\w$]+)*)\]")
_IS_CODE = re.compile(r"[a-z][A-Z]|[.#_]")


def without_marks(message: str) -> str:
    """Give an error's message without what frameworks put around it, if something is left."""
    bare = _WRAPPER.sub("", message) if _WRAPPER_HINT.search(message) else message
    if "[" not in bare:
        return bare
    unmarked = _MARK.sub(lambda mark: " " if _IS_CODE.search(mark[1]) else mark[0], bare)
    return unmarked if _LETTERS.match(unmarked) else bare


# A code in error text, with the word before it that says so.
_CODE = Marked(
    late(
        r"(?i)((?:http|status|code|returned|response|exception|error)\W{0,3}"
        r"(?:code\W{0,3}|status\W{0,3})?)([1-5]\d\d)\b"
    ),
    words_marks(
        f"{word}[^a-z0_]{{0,3}}(?:(?:code|status)[^a-z0_]{{0,3}})?000"
        for word in ("http", "status", "code", "returned", "response", "exception", "error")
    ),
    in_small=True,
)


def with_codes(value: str, named: Mapping[str, str]) -> str:
    """Give error text with the words of the HTTP codes in it behind them.

    Args:
        value: the text.
        named: words for each code.

    """
    return _CODE.sub(lambda code: f"{code[1]}{named.get(code[2], code[2])}", value, seen_in(value))
