"""What somebody may decide about a group of failures: one description for whoever lets them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from otel_embedder.errors import QueryError
from otel_embedder.search.asking.queries import Moment, Pattern
from otel_embedder.search.groups.kept import FOR_EVER
from otel_embedder.search.times import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_embedder.search.groups.kept import GroupStore

MAX_NOTE = 10_000


class Decision(BaseModel):
    """What is decided; nothing more is to be said of some."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def apply(self, groups: GroupStore, group: str, now: datetime) -> None:
        """Decide so about a group, which is named by its id or the beginning of it.

        Raises:
            GroupError: there is no such group, or it can't become that.
            QueryError: a time is over.
            StoreError: it can't be written.

        """
        raise NotImplementedError


class Mute(Decision):
    """Tell no more of a group."""

    until: Moment | None = Field(
        None,
        description="Until then: a time from now on such as 2h or 7d, or a time such as "
        "2026-05-04T09:30:00Z; for ever, if it is not given.",
    )

    def apply(self, groups: GroupStore, group: str, now: datetime) -> None:
        """Mute it."""
        groups.decide(group, "muted", now=nanoseconds(now), until=self._end(now))

    def _end(self, now: datetime) -> int:
        if self.until is None:
            return FOR_EVER
        end = now + self.until if isinstance(self.until, timedelta) else self.until
        if end <= now:
            raise QueryError("until: is over; give a time to come", field="until")
        return nanoseconds(end)


class Resolve(Decision):
    """Say that a group is settled: if it comes again, it is told of as regressed."""

    def apply(self, groups: GroupStore, group: str, now: datetime) -> None:
        """Resolve it."""
        groups.decide(group, "resolved", now=nanoseconds(now))


class Reopen(Decision):
    """Take back that a group is muted or resolved."""

    def apply(self, groups: GroupStore, group: str, now: datetime) -> None:
        """Take it back."""
        groups.decide(group, "", now=nanoseconds(now))


class Merge(Decision):
    """Let a group count as another one."""

    into: Pattern = Field(description="The id of the other.")

    def apply(self, groups: GroupStore, group: str, now: datetime) -> None:  # noqa: ARG002 - as all
        """Merge it."""
        groups.merge(group, self.into)


class Split(Decision):
    """Make several groups of one."""

    place: int | None = Field(
        None,
        ge=1,
        description="Which <*> of its words, counted from 1, is told apart; without it a merge "
        "is taken back.",
    )

    def apply(self, groups: GroupStore, group: str, now: datetime) -> None:  # noqa: ARG002 - as all
        """Split it."""
        groups.split(group, self.place)


class Note(Decision):
    """Write to a group, in the place of what was there."""

    text: str = Field(max_length=MAX_NOTE, description="What; nothing takes a note away.")

    def apply(self, groups: GroupStore, group: str, now: datetime) -> None:  # noqa: ARG002 - as all
        """Write it."""
        groups.note(group, self.text)


DECISIONS: Mapping[str, type[Decision]] = {
    "mute": Mute,
    "resolve": Resolve,
    "reopen": Reopen,
    "merge": Merge,
    "split": Split,
    "note": Note,
}
