"""Replaces what differs from span to span although it means the same.

An id, an address or a time says nothing about what went wrong, but makes every
text unique: the cache could never hit, and likeness would be measured on
digits. Status codes, ports and versions stay.
"""

from __future__ import annotations

import re

_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4 = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_HEXTET = r"[0-9a-fA-F]{1,4}"
_IPV6 = (
    rf"(?:{_HEXTET}:){{7}}{_HEXTET}"
    rf"|(?:{_HEXTET}(?::{_HEXTET}){{0,5}})?::(?:{_HEXTET}:){{0,5}}(?:{_IPV4}|{_HEXTET})?"
)

# The first pattern that matches at a place wins, so the specific ones go first.
# None nests a repetition in another: time grows with the length of the value.
PATTERNS = {
    "email": r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+",
    "time": (
        r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?\b"
        r"|\b\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\b"
    ),
    "uuid": r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b",
    # An IPv6 address needs a digit, for `a::b` is a name in C++. A version with
    # four parts is taken for an IPv4 address only if each part could be in one.
    "ip": rf"(?<![\d.]){_IPV4}(?!\.?\d)|(?<![\w:.])(?=[a-fA-F:]*\d)(?:{_IPV6})(?![\w:])",
    # A number in a path (not HTTP/2's), the end of a Kubernetes pod's name, a long
    # word of letters and digits mixed, or a not so long one in capitals.
    "id": (
        r"(?<=[a-z]/)\d+(?![\w.])"
        r"|(?<=-)(?=[a-z]*\d)[a-z\d]{8,10}-[a-z\d]{5}\b"
        r"|\b(?=[A-Z]*\d)(?=\d*[A-Z])[A-Z\d]{10,}\b"
        r"|(?:\b|(?<=_))(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z\d]{16,}(?:\b|(?=_))"
    ),
    "hex": r"\b0[xX][0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}\b",
    "number": r"(?<![\d.])\d{6,}(?!\.?\d)",
}

_ANY = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in PATTERNS.items()))


def mask(value: str) -> str:
    """Put a word for its kind, such as `<uuid>`, in the place of each passing detail."""
    return _ANY.sub(_word, value)


def _word(match: re.Match[str]) -> str:
    return f"<{match.lastgroup}>"
