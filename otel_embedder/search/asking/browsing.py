"""What a page asks beside questions: all texts, filters' counts, points, a curve; and vectors."""

from __future__ import annotations

from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from otel_embedder.search.asking.queries import (
    DEFAULT_COUNT,
    MAX_COUNT,
    Moment,
    Narrowing,
    Pattern,
    Words,
)
from otel_embedder.search.times import EPOCH

if TYPE_CHECKING:
    from otel_embedder.search.entries import RowKey

MAX_POINTS = 100_000
DEFAULT_POINTS = 20_000
MAX_TEXTS = 256


class FacetsQuery(Narrowing):
    """What is asked of filters: what they would leave."""


class EntriesQuery(Narrowing):
    """What is asked of texts one after the other, those that came last first."""

    key: tuple[int, ...] = Field((), description="Only texts of these keys.")
    before: int | None = Field(
        None, ge=1, description="Only texts with smaller keys: the `next` of the page before."
    )
    count: int = Field(
        DEFAULT_COUNT, ge=1, le=MAX_COUNT, description="How many texts to give at most."
    )


class MapQuery(Narrowing):
    """What is asked of texts as points."""

    after: int | None = Field(
        None,
        ge=0,
        description="Only texts that can be compared since then: `changed` of an answer before.",
    )
    count: int = Field(
        DEFAULT_POINTS,
        ge=1,
        le=MAX_POINTS,
        description="How many points to give at most: those seen last.",
    )


class CurveQuery(BaseModel):
    """What is asked of counts by time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: tuple[Pattern, ...] = Field(
        (), description="Only spans of this service, as for search."
    )
    since: Moment = Field(
        timedelta(hours=2), description="From when: back from now such as 2h, or a time."
    )
    until: Moment | None = Field(None, description="Until when; now, if nothing is said.")

    def takes_row(self, row: RowKey) -> bool:
        """Tell whether what a row says may pass."""
        return not self.service or any(fnmatchcase(row.service, each) for each in self.service)

    def times(self, now: datetime) -> tuple[int, int]:
        """Give from when to when, in seconds since 1970."""
        return _seconds(self.since, now), _seconds(self.until or now, now)


class EmbedQuery(BaseModel):
    """Texts to embed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: tuple[Words, ...] = Field(
        min_length=1, max_length=MAX_TEXTS, description="The texts, in order."
    )


def _seconds(moment: timedelta | datetime, now: datetime) -> int:
    at = now - moment if isinstance(moment, timedelta) else moment
    return (at - EPOCH) // timedelta(seconds=1)
