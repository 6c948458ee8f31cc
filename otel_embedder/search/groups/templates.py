"""Which group a failure is of: a template of words, which grows as its members differ.

An identity must be exact. Vectors are not: "refused :7070" and "refused :9555" are as near as
can be, while lines that one statement has logged may be far apart. So the words decide.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.search.groups.normal_form import NUMBER, normal_form

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_embedder.search.groups.failed import Failure

# Of these rules: with other ones, ids would be others.
VERSION = 1
ANYTHING = "<*>"
LEAST_SHARE = 0.7
ID_DIGITS = 16

_REAL_WORD = re.compile(r"[A-Za-z]{2,}")


class Key(NamedTuple):
    """What failures of one group have in common, whatever their words are.

    Attributes:
        service: of the span at which they failed.
        type: the exception's.
        length: how many words there are.
        first: the first of them; `<*>` where that is likely another each time. Of failures that say
            nothing, the operation.

    """

    service: str
    type: str
    length: int
    first: str


@dataclass(slots=True)
class Group:
    """A kind of failure.

    Attributes:
        id: 16 hex digits, which stay whatever comes later.
        key: what all of its failures have in common.
        template: the words that they share, `<*>` where they differ.
        first: the words of its first member, in their normal form; the id is made of them.
        pinned: places at which another word is another group, as somebody decided.

    """

    id: str
    key: Key
    template: list[str]
    first: str
    pinned: frozenset[int] = frozenset()

    @property
    def title(self) -> str:
        """The template on one line; where failures say nothing, what failed."""
        return " ".join(self.template) or self.key.first


class Templates:
    """The groups that are known, and what is of which."""

    def __init__(self, known: Iterable[Group] = ()) -> None:
        """Begin with groups that were known before, in the order that they came."""
        self._by_key: defaultdict[Key, list[Group]] = defaultdict(list)
        for group in known:
            self._by_key[group.key].append(group)

    def group_of(self, failure: Failure) -> tuple[Group, bool]:
        """Give the group of a failure, and whether it has become another: new, or wider."""
        form = normal_form(failure.words)
        words = form.split()
        if len(_REAL_WORD.findall(form)) < 2:  # noqa: PLR2004 - one says too little
            # "HTTP 500" of another operation is another failure.
            key = Key(failure.service, failure.type, len(words), failure.operation)
            return self._exact(key, words)
        first = ANYTHING if _is_volatile(words[0]) else words[0]
        key = Key(failure.service, failure.type, len(words), first)
        groups = self._by_key[key]
        nearest = _nearest(groups, words)
        if nearest is None:
            return self._added(key, words), True
        best = _nearest((each for each in groups if _fits(each, words)), words)
        if best is None:
            return self._added(key, words, pinned=nearest.pinned), True
        merged = [
            one if one == other else ANYTHING
            for one, other in zip(best.template, words, strict=True)
        ]
        is_wider, best.template = merged != best.template, merged
        return best, is_wider

    def alike(self, group: Group) -> Group | None:
        """Give the group that one from elsewhere would come to by its words, if there is any.

        None that somebody told apart from it, there or here.
        """
        if len(_REAL_WORD.findall(group.first)) < 2:  # noqa: PLR2004 - as above
            return None
        fitting = (
            each
            for each in self._by_key[group.key]
            if _fits(each, group.template) and _fits(group, each.template)
        )
        return _nearest(fitting, group.template)

    def _exact(self, key: Key, words: list[str]) -> tuple[Group, bool]:
        for group in self._by_key[key]:
            if group.template == words:
                return group, False
        return self._added(key, words), True

    def _added(self, key: Key, words: list[str], *, pinned: frozenset[int] = frozenset()) -> Group:
        group = Group(id_of(key, words), key, words, " ".join(words), pinned)
        self._by_key[key].append(group)
        return group


def _nearest(groups: Iterable[Group], words: list[str]) -> Group | None:
    """Give the first of those that share most of these words, if that is enough."""
    best = max(groups, key=lambda group: _share(group.template, words), default=None)
    return best if best is not None and _share(best.template, words) >= LEAST_SHARE else None


def id_of(key: Key, words: list[str]) -> str:
    """Give the id of the group whose first member says these words, in their normal form."""
    said = "\0".join((str(VERSION), *map(str, key), *words))
    return sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:ID_DIGITS]


def _fits(group: Group, words: list[str]) -> bool:
    return all(group.template[place] == words[place] for place in group.pinned)


def _is_volatile(word: str) -> bool:
    return NUMBER in word or "<" in word or any(map(str.isdigit, word))


def _share(template: list[str], words: list[str]) -> float:
    """Give how many of the places say the same; 0 where a port or a code is another."""
    same = 0
    for one, other in zip(template, words, strict=True):
        if one == other:
            same += 1
        elif any(map(str.isdigit, one)) and any(map(str.isdigit, other)):
            return 0.0
    return same / len(words)
