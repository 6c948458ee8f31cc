"""Finds where a value ends that stands in a text: quoted, in brackets, or bare.

What may be part of a password doesn't end it. None of the patterns nests a repetition
in another, or begins within what it has read in vain: time grows with the length.
"""

from __future__ import annotations

import re

_QUOTED = re.compile(
    r"""(?:[bruenBRUEN]?(?P<quote>["'`])(?:\\.|(?P=quote){2}|(?!(?P=quote)).)*+(?P=quote)?)++""",
    re.DOTALL,
)
# In JSON within JSON.
_ESCAPED = re.compile(
    r"""[bru]?(?P<quote>\\++["'`])(?:(?!(?<!\\)(?P=quote)).)*+(?P=quote)?""", re.DOTALL
)
_BRACKET = re.compile(r'"(?:\\.|[^"\\])*+"?|[\[{(\])}]', re.DOTALL)
QUOTES = "\"'`\\"

_ANOTHER_KEY = r"[\w.-]++[=:]"


def bare(ends: str = "", *, after_comma: str = _ANOTHER_KEY) -> re.Pattern[str]:
    """Give a pattern for a value without quotes, which blanks and some characters end.

    Quotes, brackets, tags and commas do so only where nothing, or another key, follows them: they
    may be part of a password.
    """
    return re.compile(
        r"(?:(?:bearer|basic|digest|token|negotiate|ntlm|apikey|hawk|oauth|sharedkey|aws[\w-]*)\s++)?"
        rf"(?:[^\s,\"'`<\])}}{ends}]"
        rf"|[\"'`\])}}](?=[^\s,:<>\"'`\])}}{ends}])"
        r"|<(?!/?[a-z!?][\w:.-]{0,64}+/?>)"
        rf"|,(?=[^\s\"'`\\])(?!{after_comma}))*+",
        re.IGNORECASE,
    )


WORD = bare()
PARAMETER = bare("&;")
OPERAND = bare(after_comma=r"\Z")


def enclosed_end(text: str, start: int) -> int:
    """Find the end of what stands in quotes or brackets; the start if neither is there."""
    if text.startswith(("[", "{", "("), start):
        return _bracket_end(text, start)
    quoted = _QUOTED.match(text, start) or _ESCAPED.match(text, start)
    return end_of(quoted, start)


def quoted_end(text: str, start: int, otherwise: int) -> int:
    """Find the end of the quotes that open here; something else if none do."""
    return end_of(_QUOTED.match(text, start), otherwise)


def _bracket_end(text: str, start: int) -> int:
    depth = 0
    for match in _BRACKET.finditer(text, start):
        if match[0][0] != '"':
            depth += 1 if match[0] in "[{(" else -1
        if depth == 0:
            return match.end()
    return len(text)


def end_of(match: re.Match[str] | None, otherwise: int) -> int:
    """Give where a match ends; something else if there is none."""
    return match.end() if match else otherwise
