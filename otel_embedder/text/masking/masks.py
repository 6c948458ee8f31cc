"""Replaces what differs from span to span although it means the same.

An id, an address or a time says nothing about what went wrong, but makes every
text unique: the cache could never hit, and likeness would be measured on
digits. Status codes, ports that are dialled and versions stay.
"""

from __future__ import annotations

import re
from functools import lru_cache

from otel_embedder.text.marks import Marked, any_of, seen_in, words_marks
from otel_embedder.text.masking.generated import ORDINAL, PODS, mask_generated
from otel_embedder.text.masking.statements import (
    mask_quoted_statements,
    without_keys,
    without_literals,
)
from otel_embedder.text.masking.times import mask_times
from otel_embedder.text.patterns import late

_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4 = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_HEXTET = r"[0-9a-fA-F]{1,4}"
_IPV6 = (
    rf"(?:{_HEXTET}:){{7}}{_HEXTET}"
    rf"|(?:{_HEXTET}(?::{_HEXTET}){{0,5}})?::(?:{_HEXTET}:){{0,5}}(?:{_IPV4}|{_HEXTET})?"
)

_ADDRESS = Marked(
    late(
        # An IPv6 address needs a digit, for `a::b` is a name in C++. A version with
        # four parts is taken for an IPv4 address only if each part could be in one.
        rf"(?=[\da-fA-F:])(?:(?<![\d.]){_IPV4}(?!\.?\d)"
        rf"|(?<![\w:.])(?=[0-9a-fA-F]{{0,4}}:)(?=[a-fA-F:]*\d)(?:{_IPV6})(?![\w:]))"
    ),
    rb"\.0{1,3}\.0{1,3}\.0|:[0a-fA-F]{0,4}:[0a-fA-F:.]{0,45}0"
    rb"|:(?:(?<=0:)|(?<=0.:)|(?<=0..:)|(?<=0...:))[0a-fA-F]{0,4}:",
)
_EMAIL = Marked(
    late(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"),
    b"@",
)
_UUID = Marked(
    late(r"(?<![^\W_])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![^\W_])"),
    rb"-(?:[0a-fA-F]{4}-){3}[0a-fA-F]{12}",
)
# `_path` looks for what stands before the numbers.
_PATH = Marked(
    late(r"\d(?<=/.)\d*+(?:[/,]\d++)*+(?!\w|\.(?!(?:json|xml|html?|csv|pdf|png|jpe?g|txt)\b)\w)"),
    b"/0",
)
# /odata/Orders(17)
_ENTITY = Marked(late(r"(/[A-Za-z_]{1,64}\()\d++(?=\)(?:[/?\s:]|\Z))"), rb"\(0")
_METHOD = re.compile(r"(?:.*\s)?(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)\s")
_IDS = re.compile(r"\d++")
# ?userId=17, order_id: 17
_NAMED = Marked(
    late(
        r"""(?<![A-Za-z])((?:[A-Za-z]{1,32}(?:[_-](?=[iI])|(?<=[a-z])(?=I)))?(?:id|Id|ID)["']?(?:=|:\s?)["']?)"""
        r"\d++(?!\w|[.:]\w)"
    ),
    words_marks(f"{name}[\"']?(?:=|: ?)[\"']?0" for name in ("id", "Id", "ID")),
)
# As Stripe's, which often have no digit.
_PREFIXED = Marked(
    late(
        r"\b((?:acct|ba|bpc|ch|cs|cus|evt|ii|pi|pm|po|price|prod|req|seti|si|src|sub|tok|txn)_)"
        r"(?=(?:[a-z\d]*+[A-Z]){3})[A-Za-z\d]{14,}\b"
    ),
    rb"_[a-zA-Z0]{14}",
)
_HEX = Marked(late(r"0(?<!\w.)[xX][0-9a-fA-F]{1,13}\b"), rb"0[xX][0a-fA-F]")
_NUMBER = Marked(late(r"\d(?<![\d.].)\d{5,}+(?!\.?\d)"), b"000000")
# A word of letters and digits; `_mixed` tells which of them are ids.
_MIXED = Marked(
    late(r"(?<![^\W_])(?=[A-Za-z]*+\d)(?=\d*+[A-Za-z])[A-Za-z\d]{8,}+(?:\b|(?=_))"),
    # A digit beside a letter, but not v2.
    rb"0(?:[a-zA-Z]|(?<=[a-zA-Z]0)(?:[a-zA-Z0]|(?<=[a-zA-Z0]{7}0)))",
)
_WORDS = any_of(
    *(_EMAIL, _UUID, _NAMED, _ADDRESS, _PREFIXED, _PATH, _ENTITY, PODS, _HEX, _MIXED, _NUMBER)
)
_ONLY_HEX = re.compile(r"[\da-fA-F]++")
_LONG = 16
_LONG_IN_CAPITALS = 10
# Names turn from small letters to capitals, or from letters to digits, now and then.
_TURN = re.compile(r"(?=[a-z][A-Z]|[A-Za-z]\d|\d[A-Za-z])")
_TURNS = 5
_SHORT = 12
_TURNS_BEHIND_PREFIX = 0.28

# Nearly all that is masked has one of these in it, or one of these words.
_MARKS = re.compile(r"[\d@:$]")
_MARK_WORDS = ("gen-", "_INBOX")

MAX_KEYS = 4_096
# Where conventions and instrumentations put a statement, a cache's key, a pod's name.
_KINDS = re.compile(
    r"(?P<statement>(?:^|[._])(?:statement|query\.text|query_text|sql|query|command)$)"
    r"|(?P<cache>(?:cache|redis|memcached?|kv)[._]?(?:item[._])?keys?$|kafka\.message\.key$)"
    r"|(?P<pod>(?:^|[._])(?:pod|(?:pod|host|replicaset|job|node)[._]?name)$)"
    r"|(?P<parameter>^db\.(?:query|operation)\.parameter\.)",
    re.IGNORECASE,
)
_PLAIN_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def mask(value: str) -> str:
    """Put a word for its kind, such as `<uuid>`, in the place of each passing detail."""
    if _MARKS.search(value) or any(word in value for word in _MARK_WORDS):
        return _mask_words(mask_generated(mask_times(mask_quoted_statements(value))))
    seen = seen_in(value)
    return _PREFIXED.sub(r"\1<id>", PODS.sub("<id>", value, seen), seen)


def mask_statement(statement: str) -> str:
    """Do the same with a statement to a database, literals and lengths of lists included."""
    return mask(without_literals(statement))


def mask_named(key: str, value: str) -> str:
    """Do the same with an attribute's value, whose key may tell what else passes."""
    match _kind(key):
        case "statement":
            return mask_statement(value)
        case "cache":
            return mask(without_keys(value))
        case "pod":
            return ORDINAL.sub("<id>", mask(value))
        case "parameter" if _PLAIN_NUMBER.fullmatch(value):
            return "<number>"
        case _:
            return mask(value)


def is_statement(key: str) -> bool:
    """Tell whether a key's values are masked as statements are."""
    return _kind(key) == "statement"


def is_cache_key(key: str) -> bool:
    """Tell whether a key's values are masked as keys of a cache are."""
    return _kind(key) == "cache"


@lru_cache(MAX_KEYS)
def _kind(key: str) -> str | None:
    match = _KINDS.search(key)
    return match.lastgroup if match else None


def _mask_words(text: str) -> str:
    seen = seen_in(text)
    if not _WORDS.may_be_in(seen):
        return text
    text = _EMAIL.sub("<email>", text, seen)
    if _UUID.may_be_in(seen):
        text = _UUID.sub("<uuid>", text, seen)
        seen = seen_in(text)  # for that had many marks of others
    text = _NAMED.sub(r"\1<id>", text, seen)
    text = _ADDRESS.sub("<ip>", text, seen)
    text = _PREFIXED.sub(r"\1<id>", text, seen)
    text = _ENTITY.sub(r"\1<id>", _PATH.sub(_path, text, seen), seen)
    text = PODS.sub("<id>", text, seen)
    text = _HEX.sub("<hex>", text, seen)
    return _NUMBER.sub("<number>", _MIXED.sub(_mixed, text, seen), seen)


def _path(match: re.Match[str]) -> str:
    """Mask the numbers of a path, not HTTP/2's or those of 1/3."""
    text, end = match.string, match.start() - 1
    if text[end - 1].islower() and end:
        return _IDS.sub("<id>", match[0])
    if not end or _METHOD.fullmatch(text, max(0, end - 8), end):  # GET /17
        return _IDS.sub("<id>", match[0])
    start = text.rfind("/", 0, end) + 1
    segment = text[start:end]
    in_path = start > 0 and any(map(str.isalpha, segment)) and not set(segment) & set(" \t\n,;()")
    return _IDS.sub("<id>", match[0]) if in_path else match[0]


def _mixed(match: re.Match[str]) -> str:
    """Mask a word that nobody would choose for a name."""
    word, (start, end), text = match[0], match.span(), match.string
    in_name = text.endswith("_", 0, start) or text.startswith("_", end)
    if (not in_name and word.isupper() and len(word) >= _LONG_IN_CAPITALS) or len(word) >= _LONG:
        return "<id>"
    if not in_name and _ONLY_HEX.fullmatch(word):
        return "<hex>"
    turns = len(_TURN.findall(word))
    if start > 1 and text[start - 1] == "_" and text[start - 2].islower() and len(word) >= _SHORT:
        return "<id>" if turns >= _TURNS_BEHIND_PREFIX * len(word) else word
    return "<id>" if turns >= _TURNS else word
