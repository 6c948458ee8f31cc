"""What somebody decides about groups of failures, in SQLite."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from otel_embedder.errors import GroupError
from otel_embedder.search.groups.kept import NEVER, Decided, Decision
from otel_embedder.search.groups.templates import ANYTHING, Group, id_of
from otel_embedder.search.stores import group_reading
from otel_embedder.search.stores.group_tables import storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_embedder.search.groups.kept import KeptGroup
    from otel_embedder.search.stores.group_tables import GroupTables


class GroupDeciding:
    """What one transaction decides."""

    def __init__(self, tables: GroupTables) -> None:
        """Take the transaction's tables."""
        self._tables = tables
        self._connection = tables.connection

    def decide(self, name: str, state: Decided, *, now: int, until: int) -> None:
        """Keep what somebody decided about a group."""
        group = group_reading.head_of(self._connection, group_reading.find(self._connection, name))
        decided = group.decision._replace(state=state, decided=now, until=until)
        self._tables.put_decision(group.group.id, decided)

    def note(self, name: str, text: str) -> None:
        """Keep what somebody wrote to a group."""
        group = group_reading.find(self._connection, name)
        self._tables.put_decision(group.group.id, group.decision._replace(note=storable(text)))

    def merge(self, name: str, into: str) -> None:
        """Let a group count as another one."""
        group = group_reading.find(self._connection, name)
        head = group_reading.head_of(self._connection, group_reading.find(self._connection, into))
        if head.number == group.number:
            raise GroupError(
                f"the group {group.group.id} would be merged into itself, since {into} counts as"
                " it: name another"
            )
        self._tables.put_decision(group.group.id, group.decision._replace(into=head.group.id))
        last = max(head.seen.last, group.seen.last)
        self._tables.put_seen(head.number, replace(head.seen, last=last))

    def split(self, name: str, place: int | None) -> list[str]:
        """Undo a merge, or a place of a template."""
        kept = group_reading.find(self._connection, name)
        if place is None:
            if not kept.decision.into:
                raise GroupError(
                    f"the group {kept.group.id} was not merged into another: say at which of its"
                    f" {ANYTHING} to split it"
                )
            head = group_reading.head_of(self._connection, kept)
            self._tables.put_decision(kept.group.id, kept.decision._replace(into=""))
            self._put_last(head)
            return [kept.group.id]
        return self._split_at(kept, _place_of(kept.group, place))

    def split_alike(self, kept: KeptGroup, places: Iterable[int]) -> KeptGroup:
        """Split a group at these places as well, as another catalogue has it; give what it is."""
        for place in sorted({*places} - kept.group.pinned):
            self._split_at(kept, place)
            kept = group_reading.numbered(self._connection, kept.number)
        return kept

    def _split_at(self, kept: KeptGroup, place: int) -> list[str]:
        """Let each word that members have at a place be a group, the first member's this one."""
        group = kept.group
        pinned = group.pinned | {place}
        own = group.first.split()[place]
        template = [*group.template[:place], own, *group.template[place + 1 :]]
        self._connection.execute(
            "UPDATE groups SET template = ?, pinned = ? WHERE number = ?",
            (" ".join(template), json.dumps(sorted(pinned)), kept.number),
        )
        # So that it stays when it is not seen for long: what was decided does.
        self._tables.put_decision(group.id, kept.decision)
        found = self._connection.execute(
            "SELECT trace_id, ended, writer, words FROM members WHERE number = ? ORDER BY ended",
            (kept.number,),
        )
        by_word: defaultdict[str, list[tuple[bytes, int, int, str]]] = defaultdict(list)
        for member in found.fetchall():
            by_word[member[3].split()[place]].append(member)
        by_word.pop(own, None)
        ids = [
            self._moved(kept, [*template[:place], word, *template[place + 1 :]], pinned, members)
            for word, members in by_word.items()
        ]
        self._tables.finish_counts()
        self._put_last(kept)
        return [group.id, *ids]

    def _put_last(self, kept: KeptGroup) -> None:
        """Keep when a group was last seen by itself, as far as its traces tell."""
        self._connection.execute(
            "UPDATE groups SET last_seen = coalesce("
            " (SELECT max(ended) FROM members WHERE number = groups.number), last_seen)"
            " WHERE number = ?",
            (kept.number,),
        )

    def _moved(
        self,
        kept: KeptGroup,
        template: list[str],
        pinned: frozenset[int],
        members: Sequence[tuple[bytes, int, int, str]],
    ) -> str:
        """Make a group of some members of another one; give its id."""
        first = members[0][3]
        group = Group(id_of(kept.group.key, first.split()), kept.group.key, template, first, pinned)
        known = group_reading.group_of(self._connection, group.id)
        seen = replace(
            kept.seen,
            first=members[0][1],
            last=members[-1][1],
            silent_since=NEVER,
            came_again=NEVER,
        )
        number = known.number if known else self._tables.insert(group, seen)
        self._tables.put_decision(group.id, known.decision if known else Decision())
        for trace_id, ended, writer, _ in members:
            self._connection.execute(
                "UPDATE members SET number = ? WHERE trace_id = ?", (number, trace_id)
            )
            self._tables.count(writer, ended, kept.number, by=-1)
            self._tables.count(writer, ended, number, by=1)
        return group.id


def _place_of(group: Group, number: int) -> int:
    """Give the position in a template of the `<*>` of this number."""
    places = [place for place, word in enumerate(group.template) if word == ANYTHING]
    if not 1 <= number <= len(places):
        has = f"{len(places)} of them" if places else "none"
        raise GroupError(f"the group {group.id} has no {ANYTHING} number {number}: it has {has}")
    return places[number - 1]
