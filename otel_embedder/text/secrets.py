"""Puts a word in the place of what nobody must read: passwords, tokens, card numbers.

A secret is known by the key that stands before it, in an attribute as well as
within a value (JSON, a query, a header, a command line), or by its own look.
Where it may end here or there, it ends there: rather too much is hidden.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

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
    (?<=<)(?:(?!secret>)|(?=secret>[^<]*+</secret))(?:[\w-]++:)?(?P<tag>[\w.-]++)(?=[^<>]*+>)
    |
    (?<![\w.-])(?<!//)(?P<key>[\w.-]++(?:\ (?:key|id|string)(?![\w.-]))?)
    (?:\\*+["'`]|\]|%5D|%22){0,4}+\s*+                       # "key": x, user[key]=x
    (?:=>\s*+|:?(?P<equals>=)++\s*+|(?P<colon>:)(?!:)\s*+|%3[AD]
       |(?<=["'`]),\s*+(?:\\*+["'`]value\\*+["'`]\s*+:\s*+)?+  # ["--key", "x"]
        (?=[bru]?\\*+["'`][^"'`]*+(?!["'`]\s*+:)))         # {"name": "key", "value": "x"}
    |
    (?<![\w.-])(?P<option>--?[a-z][\w.-]*+)\s++(?!-)        # --key x
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PAIR_HINT = re.compile(r"""[=:<%]|-(?<![\w.-].)|["'`],""")
_HEADER = re.compile(r"authorization|cookie", re.IGNORECASE)
_HEADER_END = re.compile(r"(?<!\s)\s++[\w-]++:\s|\\[rn]|[\r\n]")

_QUOTED = re.compile(
    r"""(?:[bru]?(?P<quote>["'`])(?:\\.|(?P=quote){2}|(?!(?P=quote)).)*+(?P=quote)?)++""", re.DOTALL
)
# In JSON within JSON.
_ESCAPED = re.compile(
    r"""[bru]?(?P<quote>\\++["'`])(?:(?!(?<!\\)(?P=quote)).)*+(?P=quote)?""", re.DOTALL
)
_BRACKET = re.compile(r'"(?:\\.|[^"\\])*+"?|[\[{(\])}]', re.DOTALL)
QUOTES = "\"'`\\"
_NOTHING = re.compile(r"""(?:null|nil|none|true|false)(?=[\s,;&"'`<\])}]|\Z)""", re.IGNORECASE)


_ANOTHER_KEY = r"[\w.-]++[=:]"


def _bare(ends: str = "", *, after_comma: str = _ANOTHER_KEY) -> re.Pattern[str]:
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


_WORD = _bare()
_PARAMETER = _bare("&;")
_OPERAND = _bare(after_comma=r"\Z")

# Where each look is worth looking for. That costs less than to look.
_LONG = re.compile(r"[\w-]{16}")
_MENTIONS = re.compile(r"bearer|basic|identified|password", re.IGNORECASE)
_AT = re.compile("@")
_PEM = re.compile("PRIVATE KEY")

# Where a word begins, also behind what stands for a character in a URL or in JSON.
_BEGINNING = r"(?:(?<![A-Za-z\d])|(?<=%[\dA-Fa-f]{2})|(?<=\\[nrt]))"
_TOKEN = re.compile(
    _BEGINNING
    + r"""(?:
        eyJ[\w+/=-]{13,}+(?:\.[\w+/=-]*+)*+                 # JSON in base64, as of a JWT
        |(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z\d])[A-Z\d]{16}      # AWS
        |LTAI[A-Za-z\d]{16,}+                               # Alibaba
        |gh[opusr]_\w{16,}+|github_pat_\w{16,}+
        |gl(?:agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rt|rtr|soat)-[\w.-]{16,}+  # GitLab
        |xox[a-z]-[\w.-]{11,}+|xapp-\d-[\w-]{10,}+          # Slack
        |hooks\.slack\.com/[\w/]{16,}+
        |discord(?:app)?\.com/api/webhooks/[\w/-]{16,}+
        |[spr]k_(?:live|test|prod)_\w{8,}+|whsec_[\w+/=-]{16,}+  # Stripe
        |sk-[\w-]{20,}+                                     # OpenAI, Anthropic
        |AIza[\w-]{30,}+|ya29\.[\w.-]{16,}+|GOCSPX-[\w-]{16,}+|1//0[\w-]{20,}+  # Google
        |SG\.[\w-]{16,}+\.[\w-]{16,}+                       # SendGrid
        |S[KG][\da-f]{32}|key-[\da-f]{32}                   # Twilio, Mailgun
        |npm_[A-Za-z\d]{30,}+|pypi-AgE[\w-]{16,}+|hf_[A-Za-z\d]{30,}+
        |do[opr]_v1_[\da-f]{32,}+|dapi[\da-f]{32}           # DigitalOcean, Databricks
        |dp\.[a-z]{2,5}\.\w{32,}+|hv[bsr]\.[\w-]{20,}+      # Doppler, Vault
        |shp(?:at|ca|pa|ss)_[\da-fA-F]{32}                  # Shopify
        |lin_api_\w{32,}+|PMAK-[\w-]{32,}+|NRAK-[\w-]{20,}+ # Linear, Postman, New Relic
        |gl(?:c|sa)_[\w+/=-]{20,}+|sq0[a-z]{3}-[\w-]{20,}+  # Grafana, Square
        |\d{8,10}:AA[\w-]{30,}+                             # Telegram
        |dckr_[a-z]{3}_[\w-]{20,}+|figd_[\w-]{20,}+         # Docker, Figma
        |(?:xai|pplx|nvapi)-[\w-]{20,}+                     # xAI, Perplexity, NVIDIA
        # Whoever made it, behind a short prefix: letters and digits without a name in them, for
        # digits stand in three places, or are many, or no five letters of a case stand together.
        |(?<![%\\])(?:[A-Za-z\d]{1,16}_){1,2}
         (?=\d*+[A-Za-z])(?=[A-Za-z]*+\d)
         (?:(?=(?:[A-Za-z]*+\d++){3})|(?=(?:[A-Za-z]*+\d){8})
           |(?![A-Za-z\d]*?(?:[a-z]{5}|[A-Z]{5})))
         [A-Za-z\d]{20,}+[\w-]*+
    )
    """,
    re.VERBOSE,
)
_PRIVATE_KEY = re.compile(
    # Its first line alone must stay, for the others to be known by it.
    r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY[A-Z ]{0,8}-----(?!\s*+\Z)"
    r"(?:[^-]|-(?!----END))*+(?:-----END[A-Z ]{0,40}-----)?"
)
_SAID = re.compile(
    _BEGINNING
    + r"""(?:
    bearer(?:\s|\+|%20)++
        (?!(?:auth\w*|tokens?|schemes?|realm|errors?|formats?|headers?|challenges?|credentials?
            |type|is|or|and|was|not)(?![\w~+/-]))
        [\w.~+/=-]{4,}+
    |basic(?:\s|\+|%20)++(?=[\w+/]*?(?-i:[a-z][A-Z]|\d|=))[\w+/]{8,}+=*+
    |(?:identified\s++by\s++(?:password\s++)?|password\s++)'(?:[^']|'')*+'?  # SQL
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_USER = re.compile(
    r"""
    # scheme://user:password@host, but neither a port nor a host
    (?<=://)[^\s/@:?#"'<>]{0,128}+:(?!\d{1,5}(?:[/?#,\s]|\Z))
        [^\s@"'<>]{1,256}+(?:@[^\s@?#"'<>]{0,128}+(?=@))*+(?=@)
    |(?<=://)[\w.~%+-]{16,256}+(?=@)
    # user:password@host, but neither mailto: nor an image's tag before its digest
    |(?<![\w.%+@:/-])(?!(?:mailto|sips?|acct|e?-?mail|to|from|b?cc|xmpp|npm):)
        [\w.%+-]{1,64}+:[^\s:@/"'<>,;]{1,128}+(?=@(?!sha\d)[\w\[(])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LOOKS = ((_LONG, _TOKEN), (_PEM, _PRIVATE_KEY), (_MENTIONS, _SAID), (_AT, _USER))

# Only the first digit is read on, for four others may stand before a card's first four.
_CARD = re.compile(
    r"""
    [2-6](?<!\d.)(?<!\d\..)(?=(?P<rest>
        \d{12,18}(?!\d)
        |\d{3}(?P<gap>[ .-])\d{4}(?P=gap)\d{4}(?P=gap)\d{4}(?!\d)
        |\d{3}[ .-]\d{6}[ .-]\d{4,5}(?!\d)
    ))
    """,
    re.VERBOSE,
)
_NO_GAPS = str.maketrans("", "", " .-")
# Of every other digit counts the double, or the sum of that one's digits.
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


class Secrets:
    """Knows secrets by their keys and by their looks."""

    def __init__(self, keys: Sequence[str], *, by_look: bool) -> None:
        """Prepare to hide secrets.

        Args:
            keys: patterns of whole words in keys; `*` stands for any part of a word.
            by_look: whether to hide what looks like a secret, too.

        """
        self._keys = _pattern(keys)
        self._by_look = by_look
        self._is_name = lru_cache(MAX_KEYS)(self._names)
        self._hidden_key = lru_cache(MAX_KEYS)(self.hidden)

    def names(self, key: str) -> bool:
        """Tell whether a key says that its value is a secret."""
        return self._is_name(key[-MAX_KEY_CHARACTERS:])

    def _names(self, key: str) -> bool:
        return self._keys.search(_words(key)) is not None

    def hidden_key(self, key: str) -> str:
        """Give a key without secrets. A few keys come again and again, with ever new values."""
        return self._hidden_key(key) if len(key) <= MAX_KEY_CHARACTERS else self.hidden(key)

    def hidden(self, text: str) -> str:
        """Give a text with a word in the place of each secret."""
        if len(text) < SHORTEST:
            return text
        if _PAIR_HINT.search(text):
            text = _replaced(text, self._values(text), SECRET)
        if not self._by_look:
            return text
        for hint, look in _LOOKS:
            if hint.search(text):
                text = look.sub(SECRET, text)
        return _replaced(text, _cards(text), CARD)

    def _values(self, text: str) -> Iterator[Span]:
        """Find the values of keys that name a secret."""
        end = 0
        for pair in _PAIR.finditer(text):
            # One within another is hidden with it; one that is its last word is a key.
            if pair.end() >= end and self.names(pair["key"] or pair["option"] or pair["tag"]):
                start, end = _value(text, pair)
                yield start, end


def _pattern(keys: Sequence[str]) -> re.Pattern[str]:
    """Give the pattern that finds these names in a key's words."""
    names = "|".join(re.escape(_words(key)).replace(r"\*", "[^.]*") for key in keys)
    describing = "|".join(DESCRIBING)
    return re.compile(
        rf"(?:^|\.)(?:{names or '(?!)'})(?=\.|$)"
        rf"(?!\.(?:{describing})(?:\.|$))(?!.*\.(?:{describing})$)"
    )


def _words(key: str) -> str:
    """Give a key's words, in lower case and with a dot between them: apiKey is api.key."""
    return _BETWEEN_WORDS.sub(".", key).lower()


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
    bare = _PARAMETER if pair["equals"] else _OPERAND if pair["option"] else _WORD
    return _end(bare.match(text, _enclosed_end(text, start)), len(text))


def _enclosed_end(text: str, start: int) -> int:
    """Find the end of what stands in quotes or brackets; the start if neither is there."""
    if text.startswith(("[", "{", "("), start):
        return _bracket_end(text, start)
    quoted = _QUOTED.match(text, start) or _ESCAPED.match(text, start)
    return _end(quoted, start)


def _header_end(text: str, start: int, limit: int) -> int:
    """Find the end of a header: of its line, or where the next begins."""
    line = _HEADER_END.search(text, start, limit)
    return line.start() if line else limit


def _quoted_end(text: str, key_start: int) -> int:
    """Find the end of the quotes that open just before a key; the text's if none do."""
    quoted = _QUOTED.match(text, key_start - 1) if key_start else None
    return quoted.end() - 1 if quoted else len(text)


def _bracket_end(text: str, start: int) -> int:
    depth = 0
    for match in _BRACKET.finditer(text, start):
        if match[0][0] != '"':
            depth += 1 if match[0] in "[{(" else -1
        if depth == 0:
            return match.end()
    return len(text)


def _end(match: re.Match[str] | None, otherwise: int) -> int:
    return match.end() if match else otherwise


def _found(text: str, what: str, start: int) -> int:
    place = text.find(what, start)
    return len(text) if place < 0 else place


def _cards(text: str) -> Iterator[Span]:
    """Find the numbers that have a card's length, first digit and check digit."""
    for match in _CARD.finditer(text):
        end = match.end("rest")
        digits = [*map(int, text[match.start() : end].translate(_NO_GAPS))]
        doubled = map(_DOUBLED.__getitem__, digits[-2::-2])
        if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0:
            yield match.start(), end


def _replaced(text: str, spans: Iterable[Span], word: str) -> str:
    """Put a word in the place of each span; they come in order, and may overlap."""
    pieces, position = [], 0
    for start, end in spans:
        if start >= position and end > start:
            pieces += [text[position:start], word]
        position = max(position, end)
    return "".join([*pieces, text[position:]]) if pieces else text
