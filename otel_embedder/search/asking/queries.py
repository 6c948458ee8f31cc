"""What can be asked of a catalogue: one description for whoever asks, however they do.

The command line makes its options of these fields, an API its parameters: they
have one name, one meaning and one default everywhere.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from otel_embedder.search.entries import LATEST
from otel_embedder.search.times import EPOCH, nanoseconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_embedder.search.entries import RowKey

Kind = Literal["SERVER", "CLIENT", "INTERNAL", "PRODUCER", "CONSUMER"]
Status = Literal["UNSET", "OK", "ERROR"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STATUSES: tuple[Status, ...] = get_args(Status)
State = Literal["new", "regressed", "ongoing", "resolved", "muted"]

MAX_COUNT = 1_000  # hits: more is for `catalogue export`
DEFAULT_COUNT = 10
DEFAULT_GROUPS = 50

_MINUTE = timedelta(minutes=1)
_MINUTE_SECONDS = 60

_SPAN_OF_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_LONGEST_SECONDS = 100 * 366 * 86_400.0
# No span is older, and none is kept as later: who asks for the year 1 or 9999 means all there is.
_FIRST, _LAST = EPOCH, EPOCH + timedelta(microseconds=LATEST // 1_000)


def _text(value: object) -> str | None:
    """Give what is to be read; None for what a program gives, which needs no reading."""
    if isinstance(value, (int, float)):
        # A TypeError pydantic would let through.
        raise ValueError(f"is to be a text such as 15m, not the number {value}")  # noqa: TRY004
    return value if isinstance(value, str) else None


def _span_of_time(value: str) -> timedelta | None:
    """Read such as 15m; None if it is something else."""
    found = _SPAN_OF_TIME.fullmatch(value.strip())
    if found is None:
        return None
    seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST_SECONDS:
        raise ValueError("is longer than a hundred years")
    return timedelta(seconds=seconds)


def _moment(value: object) -> object:
    text = _text(value)
    if text is None:
        return value
    span = _span_of_time(text)
    if span is not None:
        return span
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(
            f"is to be a time back from now such as 15m, 1h or 2d, or a time with its zone such as "
            f"2026-05-04T09:30:00Z, not {value!r}"
        )
    return moment


class Stretch(NamedTuple):
    """Some time, from when to when."""

    since: AwareDatetime
    until: AwareDatetime


def _stretch(value: object) -> object:
    text = _text(value)
    if text is None:
        return value
    since, slash, until = text.partition("/")
    stretch = Stretch(_instant(since), _instant(until)) if slash else _span_of_time(text)
    if stretch is None:
        raise ValueError(
            "is to be a time such as 15m, 1h or 2d, or FROM/TO, two times with their zone such as "
            f"2026-05-04T09:30:00Z, not {value!r}"
        )
    return stretch


def _instant(value: str) -> datetime:
    moment = _moment(value.strip())
    if not isinstance(moment, datetime):
        # A TypeError pydantic would let through.
        raise ValueError(f"is FROM/TO of two times, not {value!r}")  # noqa: TRY004
    return moment


def _in_time(moment: datetime) -> datetime:
    return min(max(moment, _FIRST), _LAST)


def _lasting(value: timedelta | Stretch) -> timedelta | Stretch:
    if isinstance(value, Stretch):
        value = Stretch._make(map(_in_time, value))
    lasts = value if isinstance(value, timedelta) else value.until - value.since
    if lasts <= timedelta():
        raise ValueError("lasts no time: FROM is to be before TO")
    return value


def _duration(value: object) -> object:
    text = _text(value)
    if text is None:
        return value
    span = _span_of_time(text)
    if span is None:
        raise ValueError(f"is to be a duration such as 250ms, 1.5s or 2m, not {value!r}")
    return span


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _said(text: str) -> str:
    # What of an argument is not UTF-8 comes as lone surrogates.
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("is not UTF-8")
    # What takes no room, such as a zero width space, is no word either.
    if not any(letter.isprintable() and not letter.isspace() for letter in text):
        raise ValueError("is empty: a text without a word has no meaningful vector")
    return text


# None is said as JSON's schemas have durations, which is P0DT15M.
_SAID = WithJsonSchema({"type": "string"})
Moment = Annotated[
    timedelta | Annotated[AwareDatetime, AfterValidator(_in_time)],
    BeforeValidator(_moment),
    _SAID,
]
Stretched = Annotated[
    timedelta | Stretch, BeforeValidator(_stretch), AfterValidator(_lasting), _SAID
]
Duration = Annotated[timedelta, BeforeValidator(_duration), _SAID]
Pattern = Annotated[str, StringConstraints(min_length=1)]
Words = Annotated[str, AfterValidator(_said)]


class Narrowing(BaseModel):
    """Which texts of a catalogue to look at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: tuple[Pattern, ...] = Field(
        (),
        description="Only of this service, by its whole name; * and ? stand for any letters. May "
        "be repeated: one of them.",
    )
    operation: tuple[Pattern, ...] = Field(
        (),
        description="Only of operations with this in their name, in capitals or not; with * or ? "
        "it is the whole name. May be repeated: one of them.",
    )
    kind: tuple[Annotated[Kind, BeforeValidator(_upper)], ...] = Field(
        (), description="Only spans of this kind. May be repeated: one of them."
    )
    status: tuple[Annotated[Status, BeforeValidator(_upper)], ...] = Field(
        (), description="Only spans with this status. May be repeated: one of them."
    )
    since: Moment | None = Field(
        None,
        description="Only what was seen at or after this time: back from now, such as 15m, 1h or "
        "2d, or a time such as 2026-05-04T09:30:00Z.",
    )
    until: Moment | None = Field(
        None, description="Only what was seen at or before this time, said like since."
    )
    min_duration: Duration | None = Field(
        None, description="Only texts of which some span took as long, such as 250ms or 1.5s."
    )

    def takes_row(self, row: RowKey) -> bool:
        """Tell whether what a row says may pass."""
        return (
            (not self.service or any(fnmatchcase(row.service, each) for each in self.service))
            and (not self.kind or row.kind in self.kind)
            and (not self.operation or any(_names(each, row.operation) for each in self.operation))
        )

    def times(self, now: datetime) -> tuple[int | None, int | None]:
        """Give from when to when, in nanoseconds since 1970; None where it is not said."""
        return _nanoseconds(self.since, now), _nanoseconds(self.until, now)


class Filters(Narrowing):
    """Which texts of a catalogue to look at, and how many to give."""

    threshold: float | None = Field(
        None, ge=-1, le=1, description="Only texts with at least this cosine."
    )
    count: int = Field(
        DEFAULT_COUNT, ge=1, le=MAX_COUNT, description="How many texts to give at most."
    )


class SearchQuery(Filters):
    """What is asked in words."""

    question: Words = Field(description="What to look for, in plain words.")


class LikeQuery(Filters):
    """What is asked by an example."""

    like: Words = Field(
        description="What to look for the like of: TRACE_ID, TRACE_ID:SPAN_ID or a text's id, of "
        "one that the catalogue has as an example; or a text."
    )


class GroupsQuery(BaseModel):
    """Which groups of failures to look at, and how many to give."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: tuple[Pattern, ...] = Field(
        (),
        description="Only failures of this service or that reached it, by its whole name; * and ? "
        "stand for any letters. May be repeated: one of them.",
    )
    state: tuple[Annotated[State, BeforeValidator(_lower)], ...] = Field(
        (), description="Only groups of this state. May be repeated: one of them."
    )
    since: Moment | None = Field(
        None,
        description="Only what failed at or after this time: back from now, such as 15m, 1h or "
        "2d, or a time such as 2026-05-04T09:30:00Z.",
    )
    until: Moment | None = Field(
        None, description="Only what failed at or before this time, said like since."
    )
    count: int = Field(
        DEFAULT_GROUPS, ge=1, le=MAX_COUNT, description="How many groups to give at most."
    )

    def takes(self, services: Iterable[str]) -> bool:
        """Tell whether failures that these services have part in may pass."""
        return not self.service or any(
            fnmatchcase(service, pattern) for service in services for pattern in self.service
        )

    def times(self, now: datetime) -> tuple[int | None, int | None]:
        """Give from when to when, in nanoseconds since 1970; None where it is not said."""
        return _nanoseconds(self.since, now), _nanoseconds(self.until, now)


class Minutes(NamedTuple):
    """Some time in whole minutes.

    Attributes:
        since: seconds since 1970.
        until: the same; what begins then is not in it.

    """

    since: int
    until: int


class ChangesQuery(BaseModel):
    """Which time is compared with which."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: Stretched = Field(
        timedelta(minutes=15),
        description="What to look at: the last time such as 15m, or FROM/TO, two times such as "
        "2026-05-04T09:30:00Z.",
    )
    against: Stretched = Field(
        timedelta(hours=1),
        description="What to compare it with: as long right before it, such as 1h, or FROM/TO.",
    )
    at: Moment | None = Field(
        None, description="When a window such as 15m ends, said like FROM or back from now."
    )
    count: int = Field(
        DEFAULT_COUNT, ge=1, le=MAX_COUNT, description="How many rows to give of each kind at most."
    )

    @field_validator("at")
    @classmethod
    def _says_it_alone(
        cls, at: timedelta | datetime | None, known: ValidationInfo
    ) -> timedelta | datetime | None:
        if at is not None and isinstance(known.data.get("window"), Stretch):
            raise ValueError("is when a window such as 15m ends; one of FROM/TO says that itself")
        return at

    def times(self, now: datetime) -> tuple[Minutes, Minutes]:
        """Give the window, and the time that it is compared with."""
        if isinstance(self.window, Stretch):
            window = _minutes(*self.window)
        else:
            at = self.at if self.at is not None else timedelta()
            end = _whole_minutes(_moment_at(at, now), up=True)
            window = Minutes(end - _whole_seconds(self.window), end)
        if isinstance(self.against, Stretch):
            return window, _minutes(*self.against)
        return window, Minutes(window.since - _whole_seconds(self.against), window.since)


def _minutes(since: datetime, until: datetime) -> Minutes:
    return Minutes(_whole_minutes(since, up=False), _whole_minutes(until, up=True))


def _whole_minutes(moment: datetime, *, up: bool) -> int:
    """Give the minute that a moment is in by its begin, or by its end, in seconds since 1970."""
    minutes = (moment - EPOCH) / _MINUTE
    return (math.ceil(minutes) if up else math.floor(minutes)) * _MINUTE_SECONDS


def _whole_seconds(span: timedelta) -> int:
    """Give how many seconds the minutes take that a span of time needs."""
    return math.ceil(span / _MINUTE) * _MINUTE_SECONDS


def _names(pattern: str, operation: str) -> bool:
    pattern, operation = pattern.casefold(), operation.casefold()
    if "*" in pattern or "?" in pattern:
        return fnmatchcase(operation, pattern)
    return pattern in operation


def _nanoseconds(moment: timedelta | datetime | None, now: datetime) -> int | None:
    if moment is None:
        return None
    return nanoseconds(_moment_at(moment, now))


def _moment_at(moment: timedelta | datetime, now: datetime) -> datetime:
    return now - moment if isinstance(moment, timedelta) else moment
