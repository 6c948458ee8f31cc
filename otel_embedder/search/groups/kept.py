"""Groups of failures as a catalogue keeps them, and what was decided about them by hand.

A group is never thrown together with another one: one that somebody merged into another still
has its template, its counts and its id, and points there. So a merge can be undone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_embedder.search.groups.templates import Group

NEVER = 0  # as a time
FOR_EVER = 0  # as the end of a time

# REGRESSED: was resolved, and came again.
Decided = Literal["", "resolved", "regressed", "muted"]


class Decision(NamedTuple):
    """What somebody decided about a group.

    Attributes:
        state: what it is; empty if nobody said.
        decided: when, in nanoseconds since 1970; of a group that was resolved and came again, when
            it did.
        until: until when it is muted, FOR_EVER if nobody said.
        note: what somebody wrote to it.
        into: the id of the group that it was merged into; empty if it was not.

    """

    state: Decided = ""
    decided: int = NEVER
    until: int = FOR_EVER
    note: str = ""
    into: str = ""


class Member(NamedTuple):
    """A trace that is in a group.

    Attributes:
        trace_id: as in OTLP.
        span_id: of the span at which it failed.
        ended: when that ended, in nanoseconds since 1970.
        words: why it failed, in their normal form.

    """

    trace_id: bytes
    span_id: bytes
    ended: int
    words: str


@dataclass(frozen=True, slots=True)
class Seen:
    """When a group was seen, and where. Times are nanoseconds since 1970.

    Attributes:
        first: of its first failure.
        last: of its last one.
        silent_since: of the last one before it was silent for long; NEVER if it was not.
        came_again: of the first one after that.
        services: which it reached, sorted.
        operations: where it failed, sorted.

    """

    first: int
    last: int
    silent_since: int = NEVER
    came_again: int = NEVER
    services: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()

    @property
    def silence(self) -> int:
        """How long it was silent before it came again, in nanoseconds; 0 if it was not."""
        return self.came_again - self.silent_since


@dataclass(frozen=True, slots=True)
class KeptGroup:
    """A group as a catalogue keeps it.

    Attributes:
        number: what it has in counts, above 0.
        group: its id, key and template.
        seen: when and where.
        decision: what somebody decided about it.

    """

    number: int
    group: Group
    seen: Seen
    decision: Decision = field(default_factory=Decision)


@dataclass(frozen=True, slots=True)
class TakenGroup:
    """A group of another catalogue.

    Attributes:
        kept: as that one keeps it.
        members: those of the writer whose counts come with it.

    """

    kept: KeptGroup
    members: Sequence[Member] = ()


def counting_as(group: KeptGroup, by_id: Mapping[str, KeptGroup]) -> KeptGroup:
    """Give what a group counts as; one that was merged into what has gone is itself again."""
    seen = {group.group.id}
    while (into := by_id.get(group.decision.into)) and into.group.id not in seen:
        group = into
        seen.add(group.group.id)
    return group


class Came(NamedTuple):
    """A group that is new, or has come again.

    Attributes:
        id: its id, or that of the group that it was merged into.
        title: its words.
        service: at which it fails.
        silence: how long it was silent before, in nanoseconds; 0 if it is new.
        was_resolved: whether somebody had resolved it.
        is_muted: whether somebody does not want to be told.
        trace_id: of a trace of it.
        span_id: of the span at which that failed.
        time: when that failed, in nanoseconds since 1970.

    """

    id: str
    title: str
    service: str
    silence: int
    was_resolved: bool
    is_muted: bool
    trace_id: bytes
    span_id: bytes
    time: int


class GroupStore(Protocol):
    """The groups of a catalogue. Safe to use from several threads; each call is all or nothing.

    Groups are named by their ids, or by as much of the beginning as no other id has. What names
    none raises an UnknownGroupError; whatever else fails raises a StoreError.
    """

    def all(self) -> list[KeptGroup]:
        """Give all groups, in the order that they came."""
        ...

    def members(self, numbers: Sequence[int], *, most: int) -> list[Member]:
        """Give the latest traces of some groups, the latest first."""
        ...

    def members_of(self, writer: str) -> Mapping[int, Sequence[Member]]:
        """Give the traces that a writer brought, by the numbers of their groups."""
        ...

    def find(self, name: str) -> KeptGroup:
        """Give the group of this id, or of one that begins so."""
        ...

    def decide(self, name: str, state: Decided, *, now: int, until: int = FOR_EVER) -> None:
        """Keep what somebody decided about a group; an empty state takes it back."""
        ...

    def note(self, name: str, text: str) -> None:
        """Keep what somebody wrote to a group, in the place of what was there."""
        ...

    def merge(self, name: str, into: str) -> None:
        """Let a group count as another one from now on.

        Raises:
            GroupError: that would be a group merged into itself.

        """
        ...

    def split(self, name: str, place: int | None = None) -> list[str]:
        """Undo a merge, or a place of the template; give the ids of what it becomes.

        Args:
            name: of the group.
            place: which of its `<*>`, from 1 on: those of its members that are kept become groups
                by their word there, and what comes from now on does, too. None: the group was
                merged, and is its own again.

        Raises:
            GroupError: it was not merged, or has no such place.

        """
        ...
