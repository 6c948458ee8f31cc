"""What is read of groups of failures in SQLite."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from otel_embedder.errors import UnknownGroupError
from otel_embedder.search.groups.kept import Decision, KeptGroup, Member, Seen
from otel_embedder.search.groups.templates import Group, Key
from otel_embedder.search.stores.group_tables import storable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

_GROUP = (
    "number, g.id, service, type, length, first_word, template, first_words, pinned, first_seen,"
    " last_seen, silent_since, came_again, services, operations"
)
_DECISION = (
    "coalesce(state, ''), coalesce(decided, 0), coalesce(until, 0), coalesce(note, ''),"
    " coalesce(into_id, '')"
)
_JOINED = f"SELECT {_GROUP}, {_DECISION} FROM groups g LEFT JOIN decisions d ON g.id = d.id"  # noqa: S608


def groups(connection: sqlite3.Connection) -> list[KeptGroup]:
    """Give all groups, in the order that they came."""
    return [_kept(found) for found in connection.execute(f"{_JOINED} ORDER BY number")]


def groups_of(connection: sqlite3.Connection, services: Iterable[str]) -> list[KeptGroup]:
    """Give the groups at whose root these services are, in the order that they came."""
    found = connection.execute(
        f"{_JOINED} WHERE service IN (SELECT value FROM json_each(?)) ORDER BY number",  # noqa: S608
        (json.dumps(sorted(services)),),
    )
    return [_kept(each) for each in found]


def group_of(connection: sqlite3.Connection, id_: str) -> KeptGroup | None:
    """Give the group of an id, if it is there."""
    found = connection.execute(f"{_JOINED} WHERE g.id = ?", (id_,)).fetchone()
    return found and _kept(found)


def numbered(connection: sqlite3.Connection, number: int) -> KeptGroup:
    """Give the group of a number, which must be there."""
    return _kept(connection.execute(f"{_JOINED} WHERE number = ?", (number,)).fetchone())


def head_of(connection: sqlite3.Connection, group: KeptGroup) -> KeptGroup:
    """Give the group that one counts as: itself, or what it was merged into."""
    while group.decision.into:
        into = group_of(connection, group.decision.into)
        if into is None:
            break  # it went; this one stands for itself again
        group = into
    return group


def find(connection: sqlite3.Connection, name: str) -> KeptGroup:
    """Give the group that is named by its id, or by the beginning of it.

    Raises:
        UnknownGroupError: none is, or several are.

    """
    # What of an argument is not UTF-8 comes as half a surrogate, which no id has.
    begin = storable(name)
    found = connection.execute(
        f"{_JOINED} WHERE substr(g.id, 1, ?) = ? ORDER BY number LIMIT 2", (len(begin), begin)
    ).fetchall()
    if not found or not name:
        raise UnknownGroupError(f"the catalogue has no group of failures {name!r}: see `groups`")
    if len(found) > 1:
        raise UnknownGroupError(f"several groups of failures begin with {name!r}: give more of it")
    return _kept(found[0])


def members(connection: sqlite3.Connection, numbers: Sequence[int], most: int) -> list[Member]:
    """Give the latest traces of some groups, the latest first."""
    found = connection.execute(
        "SELECT trace_id, span_id, ended, words FROM members"
        " WHERE number IN (SELECT value FROM json_each(?)) ORDER BY ended DESC, trace_id LIMIT ?",
        (json.dumps([*numbers]), most),
    )
    return [Member(*each) for each in found]


def members_of_writer(connection: sqlite3.Connection, writer: int) -> dict[int, list[Member]]:
    """Give the traces that a writer brought, by the numbers of their groups."""
    found = connection.execute(
        "SELECT number, trace_id, span_id, ended, words FROM members WHERE writer = ?", (writer,)
    )
    members: defaultdict[int, list[Member]] = defaultdict(list)
    for number, *member in found:
        members[number].append(Member(*member))
    return members


def _kept(found: tuple[Any, ...]) -> KeptGroup:
    number, id_, service, type_, length, first_word, template, first_words, pinned, *rest = found
    first, last, silent_since, came_again, services, operations, *decision = rest
    key = Key(service, type_, length, first_word)
    group = Group(id_, key, template.split(), first_words, frozenset(json.loads(pinned)))
    names = tuple(json.loads(services)), tuple(json.loads(operations))
    seen = Seen(first, last, silent_since, came_again, *names)
    return KeptGroup(number, group, seen, Decision(*decision))
