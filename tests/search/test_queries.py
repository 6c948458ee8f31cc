from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from otel_embedder.search.asking.queries import ChangesQuery, LikeQuery, SearchQuery
from otel_embedder.search.entries import LATEST

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
NOON = 1_777_896_000 * 10**9
HOUR = 3_600 * 10**9


@pytest.mark.parametrize(
    ("said", "nanoseconds"),
    [
        ("1h", NOON - HOUR),
        ("90m", NOON - HOUR * 3 // 2),
        ("1.5h", NOON - HOUR * 3 // 2),
        ("2d", NOON - 48 * HOUR),
        ("1w", NOON - 7 * 24 * HOUR),
        ("0s", NOON),
        ("2026-05-04T11:00:00Z", NOON - HOUR),
        ("2026-05-04 13:00:00.25+02:00", NOON - HOUR + 250_000_000),
    ],
)
def test_a_time_is_said_back_from_now_or_with_its_zone(said: str, nanoseconds: int) -> None:
    query = SearchQuery.model_validate({"question": "a", "since": said, "until": said})

    assert query.times(NOW) == (nanoseconds, nanoseconds)


def test_times_may_be_given_as_such() -> None:
    query = SearchQuery(question="a", since=timedelta(hours=1), until=NOW)

    assert query.times(NOW) == (NOON - HOUR, NOON)
    assert SearchQuery(question="a").times(NOW) == (None, None)


def test_a_time_that_no_clock_has_is_the_first_or_the_last_that_is_kept() -> None:
    first, last = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"
    query = SearchQuery.model_validate({"question": "a", "since": first, "until": last})
    changes = ChangesQuery.model_validate({"window": f"{first}/{last}"})

    assert query.times(NOW) == (0, LATEST // 1_000 * 1_000)
    window, _ = changes.times(NOW)
    assert (window.since, window.until) == (0, LATEST // 60_000_000_000 * 60 + 60)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("question", "", "is empty"),
        ("question", " \u200b", "is empty"),
        ("question", "\udcff", "is not UTF-8"),
        ("since", "yesterday", "15m, 1h or 2d"),
        ("since", "2026-05-04T11:00:00", "with its zone"),
        ("until", "1y", "15m, 1h or 2d"),
        ("until", "999999999w", "a hundred years"),
        ("min_duration", "fast", "250ms, 1.5s or 2m"),
        ("min_duration", "100", "250ms, 1.5s or 2m"),
        ("min_duration", 100, "a text such as 15m, not the number 100"),
        ("since", 1e12, "a text such as 15m, not the number 1000000000000.0"),
        ("kind", ["HTTP"], "SERVER"),
        ("status", ["FAILED"], "ERROR"),
        ("service", [""], "at least 1 character"),
        ("threshold", 1.5, "less than or equal to 1"),
        ("threshold", "near", "number"),
        ("count", 0, "greater than or equal to 1"),
        ("count", 1_001, "less than or equal to 1000"),
        ("colour", "red", "not permitted"),
    ],
)
def test_what_can_not_be_asked_is_said(field: str, value: object, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SearchQuery.model_validate({"question": "a", field: value})

    [error] = caught.value.errors()[:1]
    assert error["loc"][0] == field
    assert problem in error["msg"]


def test_every_field_says_what_it_is() -> None:
    for kind in (SearchQuery, LikeQuery):
        assert all(field.description for field in kind.model_fields.values())


ON_MAY_4 = datetime(2026, 5, 4, 10, 7, 30, tzinfo=UTC)


def on_may_4(*times: str) -> tuple[int, ...]:
    return tuple(int(datetime.fromisoformat(f"2026-05-04T{each}Z").timestamp()) for each in times)


@pytest.mark.parametrize(
    ("asked", "window", "baseline"),
    [
        ({}, ("09:53", "10:08"), ("08:53", "09:53")),
        ({"window": "90s", "at": "1h"}, ("09:06", "09:08"), ("08:06", "09:06")),
        ({"at": "2026-05-04T10:00:00Z", "against": "2h"}, ("09:45", "10:00"), ("07:45", "09:45")),
        (
            {"window": "2026-05-04T09:30:10Z/2026-05-04T09:31:30Z"},
            ("09:30", "09:32"),
            ("08:30", "09:30"),
        ),
        (
            {"against": "2026-05-04T03:00:00Z/2026-05-04T06:00:00+02:00"},
            ("09:53", "10:08"),
            ("03:00", "04:00"),
        ),
    ],
)
def test_a_window_and_what_it_is_compared_with_are_whole_minutes(
    asked: dict[str, str], window: tuple[str, ...], baseline: tuple[str, ...]
) -> None:
    times = ChangesQuery.model_validate(asked).times(ON_MAY_4)

    assert times == (on_may_4(*window), on_may_4(*baseline))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"window": "soon"}, "is to be a time such as 15m"),
        ({"window": "2026-05-04T09:30:00Z"}, "or FROM/TO"),
        ({"window": "2026-05-04T09:30:00Z/15m"}, "is FROM/TO of two times, not '15m'"),
        ({"window": "0m"}, "lasts no time"),
        ({"against": "2026-05-04T09:30:00Z/2026-05-04T09:30:00Z"}, "FROM is to be before TO"),
        (
            {"window": "2026-05-04T09:30:00Z/2026-05-04T09:31:00Z", "at": "1h"},
            "is when a window such as 15m ends",
        ),
    ],
)
def test_times_that_can_not_be_compared_are_refused(asked: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ChangesQuery.model_validate(asked)
