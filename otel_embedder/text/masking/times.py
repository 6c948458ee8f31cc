"""Masks moments and measured durations within a text, however programs write them.

A duration that somebody set, such as a timeout of 5 s, tells causes apart and stays; one
that was measured doesn't, unless it shows what was set: 4.9999 s of a timeout read 5 s.
"""

from __future__ import annotations

import re
from math import floor, log10

from otel_embedder.text.marks import Marked, any_of, seen_in, words_marks
from otel_embedder.text.patterns import late

MOMENT = "<time>"
DURATION = "<duration>"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_CAPITALS = "(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
_DAY = r"(?:(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,?\s{1,2})?"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:\s?[AaPp]\.?[Mm]\b\.?)?"
_ZONE = (
    r"(?:\s?(?:Z|UTC|GMT|[ECMP][SD]T|W?E[SD]?T|CES?T|EES?T|WES?T|ME?S?Z|BST|IST|JST|MSK|AE[SD]T"
    r"|SGT|HKT|KST)?\s?(?:[+-]\d\d:?\d\d)?(?:\s(?:UTC|GMT|[A-Z]{3,4}(?=\s\d{4}\b)))?"
    r"(?:\s?\([A-Z][\w ]{2,40}\)|\[\w{1,16}(?:/\w{1,32})?\])?(?:\sm=[+-]\d+\.\d+)?(?![A-Za-z\d]))?"
)
_YEAR = r"(?:19|20)\d\d"
_MOMENT = Marked(
    late(
        rf"""
    (?=[\dADFJMNOSTW])(?:                          # as each begins: most of a text is passed over
    # 2026-11-26T10:11:12Z, 2026-11-26 10:11:12.5 +0000 UTC, 20261126T101112Z
    \b\d{{4}}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{{1,9}})?)?{_ZONE})?(?!\w)
    |\b{_YEAR}[01]\d[0-3]\dT[0-2]\d{{3}}(?:\d\d(?:\.\d{{1,9}})?)?Z?\b
    # 26/Nov/2026:10:11:12 +0000
    |\b\d{{1,2}}/{_MONTH}/\d{{4}}(?::\d\d:\d\d:\d\d(?:\s[+-]\d{{4}})?)?
    # Thu, 26 Nov 2026 10:11:12 GMT, Thursday, 26-Nov-26 10:11:12 GMT
    |\b{_DAY}\d{{1,2}}(?:th|st|nd|rd)?[ -]{_MONTH}[ -](?:{_YEAR}|\d\d(?=\s\d))\b
        (?:(?:,|\sat)?\s{{1,2}}{_CLOCK}{_ZONE})?
    # 26-NOV-26, 26-NOV-2026 10.11.12.123456 AM
    |\b\d{{1,2}}-{_CAPITALS}-(?:{_YEAR}|\d\d)(?![\w-])(?:\s\d\d[.:]\d\d[.:]\d\d(?:[.,]\d{{1,9}})?(?:\s[AP]M)?)?
    # Thu Nov 26 10:11:12 UTC 2026, Nov 26 10:11:12, Nov 26 10:11:12 2026 GMT
    |\b{_DAY}{_MONTH}\s{{1,2}}\d{{1,2}}\s{{1,2}}{_CLOCK}{_ZONE}(?:\s{_YEAR}\b{_ZONE})?
    # Nov 26, 2026, 10:11:12 AM, Thu Nov 26 2026 10:11:12 GMT+0000 (Central European Time)
    |\b{_DAY}{_MONTH}\s{{1,2}}\d{{1,2}}(?:th|st|nd|rd)?,?\s{_YEAR}\b
        (?:(?:,|\sat)?\s{{1,2}}{_CLOCK}{_ZONE})?
    # 11/26/2026 10:11:12 AM, 26.11.2026 10:11, 2026/11/26, logs-2026.11.26
    |(?<![\w./-])\d{{1,2}}(?P<gap>[/.-])\d{{1,2}}(?P=gap){_YEAR}(?![\w/-]|\.\d)
        (?:,?\s{{1,2}}{_CLOCK}{_ZONE})?
    |(?<![\w./-])\d{{1,2}}/\d{{1,2}}/\d\d,?\s{_CLOCK}{_ZONE}
    |(?<![\w.]){_YEAR}/\d\d/\d\d(?![\w]|\.\d)(?:[ T]{_CLOCK}{_ZONE})?
    |(?:(?<=[_-])|(?<![\w.-])(?=[\d.]{{10}}\s\d\d?:)){_YEAR}\.\d\d\.\d\d(?![\w]|\.\d)
        (?:\s{_CLOCK}{_ZONE})?
    |\b\d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?(?:\s?[AaPp][Mm])?\b
    # Seconds since 1970; 26 Nov 10:11:12 UTC 2026
    |\b{_DAY}\d{{1,2}}\s{_MONTH}\s{_CLOCK}{_ZONE}(?:\s{_YEAR}\b)?
    |(?<![\w.])1[4-9]\d{{8}}\.\d{{1,9}}(?![\w.])
    )
    """,
        re.VERBOSE,
    ),
    rb":00(?<=0:00)|T0(?<=0T0)|-00?-00|/00?/00|\.00?\.00|\.0(?<=0000000000\.0)|"
    + words_marks(f"{month}[a-z]{{0,6}}\\.?[ /-]{{1,2}}0" for month in _MONTHS)
    + b"|"
    + words_marks(f"-{month.upper()}-0" for month in _MONTHS),
)
_NUMBER = r"\d{1,12}(?:\.\d{1,12})?"
# 4.9999s, 1m3.5s, 30 seconds
_DURATION = Marked(
    late(
        r"""
    \d(?<![\w.$%:/+-].)
    (?:\d{0,2}(?:,\d{3})++|\d{0,3}h(?=\d)\d{1,4}m(?=\d)\d|\d{0,3}[hm](?=\d)\d)?
    (?P<more>\d{0,11}(?:\.\d{1,12})?)
    (?P<gap>\s?)(?P<unit>(?<=\d)us|[nµμ]s|nanos(?:ec(?:ond)?s?)?|micros(?:ec(?:ond)?s?)?
        |m(?:illi)?s(?:ec(?:ond)?s?)?|millis|s(?:ec(?:ond)?s?)?)(?![\w/-]|\.\w)
    """,
        re.VERBOSE,
    ),
    rb"0 ?(?:[numz]?s(?![a-zA-Z0_/-])|[mns][a-z]?(?:ec|cro|lli|no))",
)
_ISO = Marked(late(r"\bPT(?:\d{1,6}H)?(?:\d{1,6}M)?\d{1,9}\.\d{1,12}S\b"), b"PT0")
# What is said before a duration that was measured.
_MEASURED = re.compile(
    r"""\b(?:took|elapsed|spent|lasted|latency|duration|waited|(?:complet|finish|execut)ed\ in)
    (?:\ for)?(?:["']?\s?[:=]\s?|\s)\Z""",
    re.VERBOSE,
)
_MEASURED_CHARACTERS = 24
_MEASURES = (
    *("nanos", "micros", "millis", "second", "elapsed", "duration", "latency", "took"),
    *("_ms", "_ns", "_us", "Ms", "MS"),
)
# buffered_nanos=29871, "took":17
_KEYED = Marked(
    late(
        rf"""
    (?<![\w.-])(?P<key>[\w.-]{{0,32}}?(?:nanos|micros|millis|second|elapsed|duration|latency|took
        |_[mnu]s|[a-z]M[sS])s?["']?(?:=|:\s?))(?P<number>{_NUMBER})(?![\w.])
    """,
        re.VERBOSE,
    ),
    words_marks(f"{word}[s]?[\"']?(?:=|: ?)0" for word in _MEASURES),
)
_ALWAYS_MEASURED = re.compile(
    r"nanos|micros|elapsed|took|duration|latency|wait|spent|cost|_[nu]s", re.IGNORECASE
)
_SETTING = re.compile(r"time_?out|limit|max|min|interval|ttl|delay|back_?off|every", re.IGNORECASE)
# In the 1990s, or of 404s.
_PLURAL = re.compile(r"(?:19|20)\d0|[1-5]\d\d")

_TIMES = any_of(_MOMENT, _ISO, _DURATION, _KEYED)

# What people set: these, and these by tens.
_SET = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 7.5, 8.0, 9.0, 10.0)
# A timer fires so much earlier or later.
_TOLERANCE = 0.01


def mask_times(text: str) -> str:
    """Put `<time>` for each moment, `<duration>` for each duration that was measured."""
    seen = seen_in(text)
    if not _TIMES.may_be_in(seen):
        return text
    text = _MOMENT.sub(MOMENT, text, seen)
    text = _ISO.sub(DURATION, text, seen)
    text = _DURATION.sub(_duration, text, seen)
    return _KEYED.sub(_keyed, text, seen)


def _duration(match: re.Match[str]) -> str:
    unit = match["gap"] + match["unit"]
    number = match[0].removesuffix(unit).replace(",", "")
    if unit == "s" and _PLURAL.fullmatch(number):
        return match[0]
    start = match.start()
    said = _MEASURED.search(match.string, max(0, start - _MEASURED_CHARACTERS), start)
    if said:
        return DURATION
    if not number.replace(".", "").isdigit():  # 1m3.5s
        return DURATION if "." in number else match[0]
    number = _as_set(number)
    return number + unit if number else DURATION


def _keyed(match: re.Match[str]) -> str:
    key, number = match["key"], match["number"]
    if _SETTING.search(key) or not float(number):
        return key + (_as_set(number) or DURATION)
    is_round = len(number.rstrip("0")) <= 1 and not _ALWAYS_MEASURED.search(key)
    return key + (number if is_round else DURATION)


def _as_set(number: str) -> str:
    """Give the number that somebody may have set, if this one is as near as timers are."""
    value = float(number)
    if not value:
        return number
    scale = 10.0 ** floor(log10(value))
    nearest = min(_SET, key=lambda mantissa: abs(mantissa - value / scale))
    if abs(nearest * scale - value) > _TOLERANCE * value:
        return ""
    return f"{nearest * scale:.12g}" if "e" not in f"{nearest * scale:.12g}" else number
