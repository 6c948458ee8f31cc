"""Groups of failures as answers have them: plain values, for a table, a line of JSON, a page."""

from dataclasses import dataclass

from otel_embedder.search.asking.answers import FoundExample
from otel_embedder.search.asking.json_types import Likeness, Measured, Second, Time
from otel_embedder.search.asking.queries import State


@dataclass(frozen=True, slots=True)
class RelatedGroup:
    """A group whose words are near those of another one.

    Attributes:
        id: its id.
        title: its words.
        service: at which it fails.
        cosine: how near they are; 1 is the same.

    """

    id: str
    title: str
    service: str
    cosine: Likeness


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """A group of failures. Times are nanoseconds since 1970, if nothing else is said.

    Attributes:
        id: stays, whatever comes.
        title: the words of the cause, `<*>` where they differ.
        state: new, regressed, ongoing, resolved or muted; see `states`.
        service: at which it fails.
        type: the exception's, empty if there is none.
        count: how many traces failed so, as far as the time that was asked for was counted.
        trend: how many in each step of that time.
        since: the begin of that time, in seconds since 1970.
        step: how many seconds each number of the trend stands for.
        growth: those of the second half of it for one of the first.
        first_seen: of its first failure.
        last_seen: of its last.
        came_again: of the first one after it was silent or resolved; None if it never was.
        reached: services that have an error in its traces, sorted.
        operations: at which it fails, sorted.
        examples: the latest of its traces, the latest first.
        note: what somebody wrote to it.
        muted_until: until when it is muted; None if for ever, or not at all.
        merged: ids of the groups that were merged into it.
        related: those that read alike, the nearest first; only where one group is asked for.

    """

    id: str
    title: str
    state: State
    service: str
    type: str
    count: int
    trend: tuple[int, ...]
    since: Second
    step: int
    growth: Measured
    first_seen: Time
    last_seen: Time
    came_again: Time | None
    reached: tuple[str, ...]
    operations: tuple[str, ...]
    examples: tuple[FoundExample, ...]
    note: str
    muted_until: Time | None
    merged: tuple[str, ...]
    related: tuple[RelatedGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class FreshGroup:
    """A group that is new, or has come again.

    Attributes:
        id: its id.
        title: its words.
        state: new or regressed.
        service: at which it fails.
        since: when it began, or came again, in nanoseconds since 1970.

    """

    id: str
    title: str
    state: State
    service: str
    since: Time


@dataclass(frozen=True, slots=True)
class FreshGroups:
    """The groups that are new, or have come again.

    Attributes:
        total: how many there are.
        groups: some of them, the latest first.

    """

    total: int
    groups: tuple[FreshGroup, ...]


@dataclass(frozen=True, slots=True)
class GroupsAnswer:
    """The groups that were asked for.

    Attributes:
        groups: new and regressed ones first, of each kind the one that grows most first.
        total: how many there are, those for which `count` left no room included.
        since: the begin of the time of trends, in seconds since 1970.
        step: how many seconds each number of a trend stands for.

    """

    groups: tuple[FoundGroup, ...]
    total: int
    since: Second
    step: int
