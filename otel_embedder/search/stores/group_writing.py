"""What a transaction does with groups of failures in SQLite.

Whoever writes finds the group of a failure within the transaction: so two writers that see the
same failure for the first time make one group of it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from otel_embedder.search.groups.failed import Failure
from otel_embedder.search.groups.kept import FOR_EVER, Came, Decision, Seen
from otel_embedder.search.groups.normal_form import normal_form
from otel_embedder.search.groups.seeing import LEAST_SILENCE, both, heard_at, seen_at
from otel_embedder.search.groups.templates import Group, Templates
from otel_embedder.search.stores import group_reading
from otel_embedder.search.stores.group_deciding import GroupDeciding
from otel_embedder.search.stores.group_tables import GroupTables, storable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from otel_embedder.search.groups.failed import FailedTrace
    from otel_embedder.search.groups.kept import TakenGroup
    from otel_embedder.search.stores.group_tables import Count

# Of a group so many traces are known by their ids: the latest.
MOST_MEMBERS = 1_000


class GroupWriting:
    """What one transaction does with groups."""

    def __init__(self, connection: sqlite3.Connection, count: Count) -> None:
        """Take the connection that is in the transaction.

        Args:
            connection: to the database that has the tables of `schema.GROUPS`.
            count: adds to counts in the same transaction, or in the same lock.

        """
        self._connection = connection
        self._tables = GroupTables(connection, count)
        self.deciding = GroupDeciding(self._tables)

    def take(self, writer: int, failures: Iterable[FailedTrace]) -> list[Came]:
        """Put failing traces into groups, and count them; give the groups that came, or came again.

        A trace that is known already, for some of its spans came before or by another way, is of
        the group of whichever of its failures was the first to end.
        """
        placing = _Placing(self._tables, {each.failure.service for each in failures})
        numbers: defaultdict[int, list[FailedTrace]] = defaultdict(list)
        left: set[int] = set()
        for failed in sorted(failures, key=lambda each: (each.ended, each.trace_id, each.span_id)):
            known = self._member(failed.trace_id)
            if known is not None:
                if known[:2] <= (failed.ended, failed.span_id):
                    continue
                left.add(self._take_away(known))
            number = placing.number_of(failed)
            self._tables.count(writer, failed.ended, number, by=1)
            self._put_member(writer, number, failed, placing.form_of(failed.failure))
            numbers[number].append(failed)
        placing.keep_templates()
        came = [
            self._saw(number, traces, is_new=placing.is_new(number))
            for number, traces in numbers.items()
        ]
        self._drop_empty(left - numbers.keys())
        self._tables.finish_counts()
        return [each for each in came if each is not None]

    def _member(self, trace_id: bytes) -> tuple[int, bytes, int, int] | None:
        """Give what is known of a trace: its end, span, group and writer."""
        found: tuple[int, bytes, int, int] | None = self._connection.execute(
            "SELECT ended, span_id, number, writer FROM members WHERE trace_id = ?", (trace_id,)
        ).fetchone()
        return found

    def _take_away(self, known: tuple[int, bytes, int, int]) -> int:
        ended, _, number, writer = known
        self._tables.count(writer, ended, number, by=-1)
        return number

    def _put_member(self, writer: int, number: int, failed: FailedTrace, words: str) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?)",
            (failed.trace_id, failed.span_id, number, failed.ended, writer, words),
        )

    def _saw(self, number: int, traces: Sequence[FailedTrace], *, is_new: bool) -> Came | None:
        """Keep when and where a group was seen; tell if it came, or came again."""
        self._connection.execute(
            "DELETE FROM members WHERE number = ? AND ended < (SELECT ended FROM members"
            " WHERE number = ? ORDER BY ended DESC LIMIT 1 OFFSET ?)",
            (number, number, MOST_MEMBERS - 1),
        )
        group = group_reading.numbered(self._connection, number)
        head = group_reading.head_of(self._connection, group)
        before = head.seen
        self._tables.put_seen(number, seen_at(None if is_new else group.seen, traces))
        if head.number != number:
            self._tables.put_seen(head.number, heard_at(head.seen, traces))
        last = traces[-1]
        is_resolved = head.decision.state == "resolved" and last.ended > head.decision.decided
        if is_resolved:
            self._tables.put_decision(
                head.group.id, head.decision._replace(state="regressed", decided=last.ended)
            )
        silence = 0
        if head.number != number or not is_new:
            silence = max(0, traces[0].ended - before.last)
            if silence < LEAST_SILENCE and not is_resolved:
                return None
        decision = head.decision
        return Came(
            id=head.group.id,
            title=head.group.title,
            service=head.group.key.service,
            silence=silence,
            was_resolved=is_resolved,
            is_muted=decision.state == "muted"
            and (decision.until == FOR_EVER or last.ended < decision.until),
            trace_id=last.trace_id,
            span_id=last.span_id,
            time=last.ended,
        )

    def _drop_empty(self, numbers: Iterable[int]) -> None:
        """Let go groups of which it turned out that their traces failed for another reason."""
        self._connection.executemany(
            "DELETE FROM groups WHERE number = ?"
            " AND number NOT IN (SELECT number FROM members)"
            " AND id NOT IN (SELECT id FROM decisions)",
            ((number,) for number in numbers),
        )

    def join(self, writer: int, taken: Iterable[TakenGroup]) -> list[int]:
        """Take groups of another catalogue; give the numbers that they have here.

        Their traces are counted already, in what comes with them.
        """
        return [self._join(writer, each) for each in taken]

    def _join(self, writer: int, taken: TakenGroup) -> int:
        kept = taken.kept
        known = group_reading.group_of(self._connection, kept.group.id)
        if known is None:
            number = self._tables.insert(kept.group, kept.seen)
            self._point_to_alike(kept.group)
        else:
            number = known.number
            known = self.deciding.split_alike(known, kept.group.pinned)
            self._tables.put_seen(number, both(known.seen, kept.seen))
        self._join_decision(kept.group, kept.decision)
        self._connection.executemany(
            "INSERT OR IGNORE INTO members VALUES (?, ?, ?, ?, ?, ?)",
            ((m.trace_id, m.span_id, number, m.ended, writer, m.words) for m in taken.members),
        )
        return number

    def _point_to_alike(self, group: Group) -> None:
        """Let a group of another catalogue count as the one here that its words would come to."""
        others = [
            each.group
            for each in group_reading.groups_of(self._connection, [group.key.service])
            if each.group.key == group.key and each.group.id != group.id
        ]
        alike = Templates(others).alike(group)
        if alike is not None:
            self._tables.put_decision(
                group.id, self._tables.decision(group.id)._replace(into=alike.id)
            )

    def _join_decision(self, group: Group, decision: Decision) -> None:
        id_ = group.id
        known = self._tables.decision(id_)
        later = max(known, decision, key=lambda each: each.decided)
        into = known.into
        if decision.into and not into and not self._leads_to(decision.into, id_):
            into = decision.into
        joined = later._replace(note=later.note or known.note or decision.note, into=into)
        # One that was split stays whatever its age, though nothing else was decided about it.
        if joined != known or group.pinned:
            self._tables.put_decision(id_, joined)

    def _leads_to(self, start: str, id_: str) -> bool:
        """Tell whether a group was merged into another one, by whatever ways."""
        while start and start != id_:
            start = self._tables.decision(start).into
        return bool(start)

    def forget(self, writer: int) -> None:
        """Take out the traces that a writer brought; groups stay."""
        self._connection.execute("DELETE FROM members WHERE writer = ?", (writer,))

    def let_go(self, *, before: int, most: int) -> bool:
        """Let groups go that were not seen since a time, and of more than so many the oldest.

        Those stay about which somebody decided something.
        """
        gone = self._connection.execute(
            "DELETE FROM groups WHERE id NOT IN (SELECT id FROM decisions)"
            " AND id NOT IN (SELECT into_id FROM decisions)"
            " AND (last_seen < ? OR number NOT IN"
            " (SELECT number FROM groups ORDER BY last_seen DESC, number LIMIT ?))",
            (before, most),
        )
        members = self._connection.execute(
            "DELETE FROM members WHERE ended < ? OR number NOT IN (SELECT number FROM groups)",
            (before,),
        )
        return bool(gone.rowcount or members.rowcount)

    def delete_service(self, service: str) -> list[int]:
        """Take out what failed at a service, and that others' failures reached it."""
        kept = group_reading.groups(self._connection)
        own = [each for each in kept if each.group.key.service == service]
        for each in own:
            for table in ("groups", "members"):
                self._connection.execute(f"DELETE FROM {table} WHERE number = ?", (each.number,))  # noqa: S608
            self._connection.execute("DELETE FROM decisions WHERE id = ?", (each.group.id,))
            self._connection.execute(
                "UPDATE decisions SET into_id = '' WHERE into_id = ?", (each.group.id,)
            )
        for each in kept:
            if service in each.seen.services and each.group.key.service != service:
                services = tuple(name for name in each.seen.services if name != service)
                self._tables.put_seen(each.number, replace(each.seen, services=services))
        return [each.number for each in own]


class _Placing:
    """Finds the groups of failures of some services."""

    def __init__(self, tables: GroupTables, services: Iterable[str]) -> None:
        self._tables = tables
        known = group_reading.groups_of(tables.connection, {*map(storable, services)})
        self._templates = Templates(each.group for each in known)
        self._numbers = {each.group.id: each.number for each in known}
        self._known = {*self._numbers.values()}
        self._wider: dict[str, Group] = {}
        # Most failures are alike: each kind is looked for once.
        self._groups: dict[Failure, Group] = {}
        self._forms: dict[Failure, str] = {}

    def number_of(self, failed: FailedTrace) -> int:
        group = self._groups.get(failed.failure)
        if group is None:
            failure = Failure(*map(storable, failed.failure))
            group, is_other = self._templates.group_of(failure)
            self._groups[failed.failure] = group
            self._forms[failed.failure] = normal_form(failure.words)
            if group.id not in self._numbers:
                seen = Seen(failed.ended, failed.ended)
                self._numbers[group.id] = self._tables.insert(group, seen)
            elif is_other:
                self._wider[group.id] = group
        return self._numbers[group.id]

    def form_of(self, failure: Failure) -> str:
        return self._forms[failure]

    def is_new(self, number: int) -> bool:
        return number not in self._known

    def keep_templates(self) -> None:
        self._tables.connection.executemany(
            "UPDATE groups SET template = ? WHERE id = ?",
            ((" ".join(group.template), group.id) for group in self._wider.values()),
        )
