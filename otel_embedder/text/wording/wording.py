"""The parts of a span in words, as a profile has them: attributes, operation, error, duration."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.otlp.remembered import Made
from otel_embedder.otlp.spans import nanoseconds
from otel_embedder.text.durations import rounded_milliseconds
from otel_embedder.text.masking.masks import mask
from otel_embedder.text.values import common_length
from otel_embedder.text.wording import queries
from otel_embedder.text.wording.conventions import only_name, present
from otel_embedder.text.wording.keys import any_of, key_words
from otel_embedder.text.wording.words import (
    error_words,
    with_codes,
    without_marks,
    without_origin,
    without_packages,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from otel_embedder.text.errors.error_text import Part
    from otel_embedder.text.profiles.profile import Profile

    Words = tuple[str, ...]

KIND_NAMES = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}

THREE_DIGITS = re.compile(r"\d{3}", re.ASCII)
NO_WORDS: Mapping[str, str] = MappingProxyType({})
MAX_KEYS = 4_096
MAX_SERVICES = 512
# It has all parts that keys may be given apart.
ANY_VALUE = "a/b?c"

# Who is too slow for a person waiting, and for most of those who call.
SLOW_NANOSECONDS = 1_000_000_000
VERY_SLOW_NANOSECONDS = 10_000_000_000

# What is part of a longer thing that was said already is not said again, if it is as long as that.
MIN_REPEATED_WORDS = 5


class Reading(NamedTuple):
    """What becomes of an attribute, or of a part of one.

    Attributes:
        key: by its present name, as patterns see it.
        words: what it adds to the text, if the words were not said before.
        is_code: whether it goes to the codes.
        rule: what was done with it: the rule that it was left out by, or how its value is read.

    """

    key: str
    words: tuple[str, ...]
    is_code: bool
    rule: str


class Key(NamedTuple):
    """What a profile makes of an attribute, by its key alone.

    Attributes:
        name: the key, as patterns see it.
        rule: what is done with values: code, query, path or words; or what it is left out by.
        words: for some of its values.
        is_code: whether it goes to the codes.
        is_left_out: whether it is not in the text.

    """

    name: str
    rule: str
    words: Mapping[str, str] = NO_WORDS
    is_code: bool = False
    is_left_out: bool = False


class Keys:
    """Tells of keys what a profile makes of them."""

    def __init__(self, profile: Profile) -> None:
        self._keep = any_of(profile.keep)
        self._leave_out, self._left_out_by = any_of(profile.leave_out), profile.leave_out
        self._values = [(any_of(each.keys), each.words) for each in profile.values]
        self._codes = [(any_of(each.keys), each.words) for each in profile.codes]
        self._rules = {"query": any_of(profile.queries), "path": any_of(profile.paths)}

    def read(self, key: str) -> Key:
        """Give what is made of an attribute of this key."""
        name = key_words(key)
        for pattern, words_ in self._codes:
            if pattern.match(name):
                return Key(name, "code", words_, is_code=True)
        if self._leave_out.match(name) and not self._keep.match(name):
            by = next(pattern for pattern in self._left_out_by if fnmatchcase(name, pattern))
            return Key(name, f"left out by {by}", is_left_out=True)
        rule = next((rule for rule, by in self._rules.items() if by.match(name)), "words")
        values = (words_ for pattern, words_ in self._values if pattern.match(name))
        return Key(name, rule, next(values, NO_WORDS))


class Said(NamedTuple):
    """The words of an error.

    Attributes:
        type: of its class's name.
        message: of its message.

    """

    type: Words
    message: Words


class Wording:
    """Makes words of a span's parts by a profile. Pure, but for what it remembers of that.

    Attributes:
        silent_below: nanoseconds; of a span that took less nothing is said of that.

    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._mask = mask if profile.masks else str
        self._error_codes = profile.error_codes
        # For most spans that is all there is to look at.
        self.silent_below = {"none": inf, "words": SLOW_NANOSECONDS}.get(profile.duration, -inf)
        # Keys are few, and each is looked at by all patterns.
        self._key = lru_cache(MAX_KEYS)(Keys(profile).read)
        # Spans that fail differ in their attributes, and not in why they failed.
        self._errors = Made(self._error, _size)
        self._services = lru_cache(MAX_SERVICES)(self._service)

    def leaves_out(self, key: str) -> bool:
        """Tell whether no attribute of this key becomes words, whatever its value."""
        name = only_name(key)
        return name is not None and self._key(name).is_left_out

    def asks(self, key: str) -> bool:
        """Tell whether a value of this key is told as what a database is asked, if not in part."""
        return any(self._key(each.key).rule == "query" for each in present(key, ANY_VALUE))

    def attribute(self, key: str, value: str) -> list[Reading]:
        """Give what becomes of an attribute: of more than one, if it is two by present names."""
        return [self._named(each.key, each.value) for each in present(key, value)]

    def _named(self, name: str, value: str) -> Reading:
        key = self._key(name)
        if key.is_code:
            return Reading(key.name, tuple(self._code(key, value)), is_code=True, rule=key.rule)
        if key.is_left_out:
            return Reading(key.name, (), is_code=False, rule=key.rule)
        if value in key.words:
            told = tuple(key.words[value].split())
            return Reading(key.name, told, is_code=False, rule="words for its value")
        if value.lower() in self._profile.silent:
            return Reading(key.name, (), is_code=False, rule="says nothing")
        found, rule = self._value(key, value)
        cut = found[: self._profile.attribute_words]
        if len(cut) < len(found):
            rule += f", cut after {len(cut)} words"
        return Reading(key.name, tuple(cut), is_code=False, rule=rule)

    def _value(self, key: Key, value: str) -> tuple[list[str], str]:
        if value == "true":
            return words(key.name.rpartition(".")[2], self._mask), "true: the last part of its key"
        match key.rule:
            case "query":
                return queries.summary(value, self._mask), key.rule
            case "path":
                return words(without_origin(value), self._mask), key.rule
            case _:
                return words(without_packages(value), self._mask), key.rule

    def _code(self, key: Key, value: str) -> list[str]:
        if value in key.words:
            return key.words[value].split()
        return [value] if THREE_DIGITS.fullmatch(value) else words(value, self._mask)

    def service(self, name: str) -> Words:
        """Give the words of a service's name."""
        return self._services(name)

    def _service(self, name: str) -> Words:
        return tuple(words(name, self._mask) or name.lower().split())

    def operation(self, name: str) -> list[str]:
        """Give the words of a span's name, with what stands for some of them."""
        found = words(name, self._mask) or name.lower().split()
        return [word for each in found for word in self._profile.glosses.get(each, each).split()]

    def kind(self, number: int) -> list[str]:
        """Give the words of a SpanKind."""
        return self._profile.kinds.get(KIND_NAMES.get(number, ""), "").split()

    def status(self, name: str) -> list[str]:
        """Give the words of a status: UNSET, OK or ERROR."""
        return self._profile.statuses.get(name, "").split()

    def error(self, parts: Iterable[Part]) -> list[str]:
        """Give the words of what went wrong, each type and each message once.

        Args:
            parts: errors and their causes, the outermost first.

        """
        found: list[Words] = []
        said: list[str] = []
        for part in (cause for each in parts for cause in each.split()):
            type_, message = self._errors[part]
            # What a message begins with need not be said before it.
            news = [message] if message[: len(type_)] == type_ else [type_, message]
            for new in news:
                if new and not _is_said(new, said):
                    said.append(" ".join(new))
                    found.append(new)
        return fitted(found, self._profile.error_words)

    def _error(self, part: Part) -> Said:
        named = with_codes(without_marks(without_packages(part.message)), self._error_codes)
        type_ = words(part.short_type, self._mask)
        return Said(tuple(type_), tuple(error_words(named, self._mask)))

    def duration(self, started: int, ended: int) -> str:
        """Give the words of how long a span took, by its times in nanoseconds."""
        took = nanoseconds(started, ended) or 0
        if took < self.silent_below:
            return ""
        slow = ""
        if took >= SLOW_NANOSECONDS:
            slow = "very slow" if took >= VERY_SLOW_NANOSECONDS else "slow"
        if self._profile.duration == "words":
            return slow
        return f"{slow} in {rounded_milliseconds(took)}ms".lstrip()


def _size(part: Part) -> int:
    return 2 * sum(map(len, part))  # its words take as much


def _is_said(new: Sequence[str], said: Sequence[str]) -> bool:
    line = " ".join(new)
    return any(
        line in each or (len(new) >= MIN_REPEATED_WORDS and {*new} <= {*each.split()})
        for each in said
    )


def fitted(parts: Sequence[Sequence[str]], most: int) -> list[str]:
    """Give the words of parts, at most so many: of the longest parts none has more than another.

    So the innermost cause, which stands last, is told however much stands before it.
    """
    size = common_length(map(len, parts), most)
    longest = most if size is None else max(1, size)
    return [word for part in parts for word in part[:longest]][:most]
