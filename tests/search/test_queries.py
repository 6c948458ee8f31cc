from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from otel_embedder.search.asking.queries import LikeQuery, SearchQuery

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
