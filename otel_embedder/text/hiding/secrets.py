"""Puts a word in the place of what nobody must read: passwords, tokens, card numbers.

A secret is known by the key that stands before it, in an attribute as well as
within a value (JSON, a query, a header, a command line), or by its own look.
Where it may end here or there, it ends there: rather too much is hidden.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from unicodedata import normalize

from otel_embedder.text.hiding.commands import OPTIONS, WORDS, commanded, inserted
from otel_embedder.text.hiding.looks import LOOKS, cards, without_looks
from otel_embedder.text.hiding.operands import (
    OPERAND,
    PARAMETER,
    QUOTES,
    WORD,
    enclosed_end,
    end_of,
    quoted_end,
)
from otel_embedder.text.marks import DIGIT, Marks, any_of, seen_in, words_marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Span = tuple[int, int]

SECRET = "<secret>"  # noqa: S105 - the word for one
# What `masks` puts for any long number, so that a text doesn't tell which are cards.
CARD = "<number>"

# Of a secret so many characters are enough to recognise it. From the end of a text
# that was cut as many must go, for they may be the beginning of one.
SECRET_CHARACTERS = 512
SHORTEST = len("pwd=x")

NEVER = rb"(?!)"
LAST = "$"  # behind a name that counts at a key's end only
MAX_KEY_CHARACTERS = 256
MAX_KEYS = 4_096  # are remembered: at most 1 MB

# Straight behind a secret's name, or last in its key, they say that it is not the
# secret itself: token_count, cookie.name, secret.arn, session-store:6379.
DESCRIBING = (
    *("age", "arn", "budget", "cache", "cost", "count", "decision", "duration", "enabled"),
    *("endpoint", "error", "expired", "expires", "expiration", "expiry", "file", "format"),
    *("issuer", "kind", "length", "limit", "limits", "manager", "max", "method", "min", "name"),
    *("path", "policy", "present", "provider", "rate", "reason", "required", "result", "scope"),
    *("scopes", "server", "service", "size", "source", "start", "state", "status", "store"),
    *("strategy", "timeout", "total", "ttl", "type", "uri", "url", "usage", "valid", "version"),
)

_BETWEEN_WORDS = re.compile(
    r"(?<=[a-z])(?=[A-Z\d])|(?<=[A-Z])(?=\d|[A-Z][a-z])|(?<=\d)(?=[A-Za-z])|[^\w*]+|_+"
)

# None of the patterns below nests a repetition in another, or begins within what it
# has read in vain: time grows with the length of the text.
_PAIR = re.compile(
    r"""
    # <wsse:Password Type="...">x<, but <secret> only if it is not our own word
    (?<=<)(?:(?!secret>)|(?=secret>[^<]*+</secret))(?:[\w-]++:)?(?P<tag>[\w.-]++)
        (?=[^<>]*+>(?:\S|[^<]*+</|\Z))                         # but not: AUTH <password> failed
    |
    (?<![\w.-])(?<!//)(?P<key>[\w.-]++(?:\ (?:key|id|string|chiave|d'ordine)(?![\w.-]))?)
    (?:\\*+["'`]|\]|%5D|%22){0,4}+\s*+                       # "key": x, user[key]=x
    (?:=>\s*+|:?(?P<equals>=)++\s*+|(?P<colon>:)(?!:)\s*+|%3[AD]
       |(?<=["'`])(?P<comma>,)\s*+(?:\\*+["'`]value\\*+["'`]\s*+:\s*+)?+  # ["--key", "x"]
        (?=[bru]?\\*+["'`][^"'`]*+(?!["'`]\s*+:)))         # {"name": "key", "value": "x"}
    |
    (?<![\w.-])(?P<option>--?[a-z][\w.-]*+)\s++(?!-)        # --key x
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PAIR_MARKS = Marks(rb"=|:|<|%|-(?<![a-zA-Z0_.-].)|\",|',|`,")
# Of these there is one between a name, or a command's word, and its secret.
_AROUND = Marks(rb"[][ =:<%,\"'`(\\\0]")
_HEADER = re.compile(r"authorization|cookie", re.IGNORECASE)
_HEADER_END = re.compile(r"(?<!\s)\s++[\w-]++:\s|\\[rn]|[\r\n]")

_MIXED = re.compile(r"\S{0,64}?\d\S*+(?<=\S{4})")
_NOTHING = re.compile(r"""(?:null|nil|none|true|false)(?=[\s,;&"'`<\])}]|\Z)""", re.IGNORECASE)


# db.user=ann:hunter2, but neither numbers of Unix nor what Kubernetes calls its own.
_USER_KEY = re.compile(r"(?:^|\.)(?:user(?:\.?name)?|login|usr|userinfo)$")
_USER_AND_PASSWORD = re.compile(
    r"^(?!(?:group|kube|role|system|u[ir][dn]|user):|\d++:\d++$)([^\s:/]++:)[^\s:/][^\s:]*+$"
)


class Secrets:
    """Knows secrets by their keys and by their looks."""

    def __init__(self, keys: Sequence[str], *, by_look: bool) -> None:
        """Prepare to hide secrets.

        Args:
            keys: patterns of whole words in keys; `*` stands for any part of a word. One that
                ends in `$` counts at a key's end only, and in prose only before a mixed word.
            by_look: whether to hide what looks like a secret, too.

        """
        self._keys = _pattern([key for key in keys if not key.endswith(LAST)])
        self._last = _pattern([key.rstrip(LAST) for key in keys if key.endswith(LAST)], r"\.?$")
        names = _name_marks(keys)
        self._named = Marks(words_marks(names) or NEVER, in_small=True)
        self._words = any_of(Marks(words_marks([*names, *WORDS]), in_small=True), OPTIONS)
        self._by_look = by_look
        self._is_user = lru_cache(MAX_KEYS)(_is_user)
        self._is_name = lru_cache(MAX_KEYS)(self._names)
        self._is_name_anywhere = lru_cache(MAX_KEYS)(self._names_anywhere)
        self._hidden_key = lru_cache(MAX_KEYS)(self.hidden)

    def names(self, key: str) -> bool:
        """Tell whether a key says that its value is a secret."""
        return self._is_name(key[-MAX_KEY_CHARACTERS:])

    def names_anywhere(self, key: str) -> bool:
        """Tell whether a key says so even in prose, or in a list of words."""
        return self._is_name_anywhere(key[-MAX_KEY_CHARACTERS:])

    def _names(self, key: str) -> bool:
        return self._names_anywhere(key) or self._last.search(_words(key)) is not None

    def _names_anywhere(self, key: str) -> bool:
        return self._keys.search(_words(key)) is not None

    def shown(self, key: str, value: str) -> str:
        """Give as much of a key's value, which has no secrets of its own, as the key allows."""
        if self.names(key):
            return SECRET
        if self._by_look and ":" in value and self._is_user(key[-MAX_KEY_CHARACTERS:]):
            return _USER_AND_PASSWORD.sub(rf"\1{SECRET}", value)
        return value

    def hidden_key(self, key: str) -> str:
        """Give a key without secrets. A few keys come again and again, with ever new values."""
        return self._hidden_key(key) if len(key) <= MAX_KEY_CHARACTERS else self.hidden(key)

    def hidden(self, text: str) -> str:
        """Give a text with a word in the place of each secret."""
        if len(text) < SHORTEST:
            return text
        seen = seen_in(text)
        # Nearly no text has any of the marks, so all are looked for at once.
        if not text.isascii() or (_AROUND.may_be_in(seen) and self._words.may_be_in(seen)):
            text = self._without_named(text, seen)
        if self._by_look and LOOKS.may_be_in(seen):
            text = without_looks(text, seen, SECRET)
            text = _replaced(text, cards(text, seen), CARD)
        return text

    def _without_named(self, text: str, seen: bytes) -> str:
        """Hide what the word before it tells: a key's name, or a command."""
        if _PAIR_MARKS.may_be_in(seen) and (self._named.may_be_in(seen) or not text.isascii()):
            text = _replaced(text, self._values(text), SECRET)
        text = _replaced(text, inserted(text, self.names), SECRET)
        return _replaced(text, commanded(text, seen), SECRET) if self._by_look else text

    def _values(self, text: str) -> Iterator[Span]:
        """Find the values of keys that name a secret."""
        end = 0
        for pair in _PAIR.finditer(text):
            # One within another is hidden with it; one that is its last word is a key.
            if pair.end() >= end and self._names_value(text, pair):
                start, end = _value(text, pair)
                yield start, end

    def _names_value(self, text: str, pair: re.Match[str]) -> bool:
        key = pair["key"] or pair["option"] or pair["tag"]
        if not self.names(key):
            return False
        # `auth: token expired` names an error's place, ["auth", "x"] need not be a pair.
        in_prose = pair["colon"] and text[pair.end("key")] not in QUOTES
        if pair["comma"] or (in_prose and not _MIXED.match(text, pair.end())):
            return self.names_anywhere(key)
        return True


def _pattern(keys: Sequence[str], end: str = "") -> re.Pattern[str]:
    """Give the pattern that finds these names in a key's words, or at their end."""
    names = "|".join(re.escape(_words(key)).replace(r"\*", "[^.]*") for key in keys)
    describing = "|".join(DESCRIBING)
    return re.compile(
        rf"(?:^|\.)(?:{names or '(?!)'})(?:\.\d+)*(?=\.|$)"
        rf"(?!\.(?:{describing})(?:\.|$))(?!.*\.(?:{describing})$){end}"
    )


def _name_marks(keys: Sequence[str]) -> list[str]:
    """Give the marks of these names, in small letters, wherever they stand in a text of ASCII."""
    names = {_words(key.strip("*" + LAST)) for key in keys if key.isascii()}
    # Ids are full of digits: 2fa.code is looked for by what follows.
    names = {re.sub(r"^\d+\.(?=.)", "", name) for name in names}
    shortest = [name for name in names if not any(one in name for one in names - {name})]
    # What is neither letter nor digit may stand between two words.
    return sorted(
        re.sub(r"\d", DIGIT, name).replace("*", "[^ ]{0,256}").replace(".", "[^a-z0]*")
        for name in shortest
    )


def _is_user(key: str) -> bool:
    """Tell whether a key names a user, perhaps with a password behind it."""
    return _USER_KEY.search(_words(key)) is not None


def _words(key: str) -> str:
    """Give a key's words, in lower case and with a dot between them: apiKey is api.key."""
    return _BETWEEN_WORDS.sub(".", key if key.isascii() else normalize("NFC", key)).lower()


def _value(text: str, pair: re.Match[str]) -> Span:
    """Find the value that follows a key."""
    start = pair.end()
    if pair["tag"]:
        start = text.index(">", start) + 1
        return start, _found(text, "<", start)
    if _NOTHING.match(text, start):
        return start, start
    return start, _value_end(text, start, pair)


def _value_end(text: str, start: int, pair: re.Match[str]) -> int:
    key, behind = pair["key"] or "", text[pair.end("key")]
    if pair["colon"] and _HEADER.search(key) and behind not in QUOTES:
        return _header_end(text, start, _quoted_end(text, pair.start()))
    if key.startswith("-") and behind == "=" and text.endswith(("'", '"'), 0, pair.start()):
        return _quoted_end(text, pair.start())  # quoted as a whole: '--key=x y'
    bare = PARAMETER if pair["equals"] else OPERAND if pair["option"] else WORD
    return end_of(bare.match(text, enclosed_end(text, start)), len(text))


def _header_end(text: str, start: int, limit: int) -> int:
    """Find the end of a header: of its line, or where the next begins."""
    line = _HEADER_END.search(text, start, limit)
    return line.start() if line else limit


def _quoted_end(text: str, key_start: int) -> int:
    """Find the end of the quotes that open just before a key; the text's if none do."""
    if not key_start:
        return len(text)
    return quoted_end(text, key_start - 1, len(text) + 1) - 1


def _found(text: str, what: str, start: int) -> int:
    place = text.find(what, start)
    return len(text) if place < 0 else place


def _replaced(text: str, spans: Iterable[Span], word: str) -> str:
    """Put a word in the place of each span; they come in order, and may overlap."""
    pieces, position = [], 0
    for start, end in spans:
        if start >= position and end > start:
            pieces += [text[position:start], word]
        position = max(position, end)
    return "".join([*pieces, text[position:]]) if pieces else text
