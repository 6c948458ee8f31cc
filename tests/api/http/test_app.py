from __future__ import annotations

import json
import re
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydantic import TypeAdapter

from otel_embedder.api.questions import QUESTIONS
from otel_embedder.search.asking.answers import Answer
from otel_embedder.search.asking.queries import LikeQuery, SearchQuery
from tests.support.made_up import MODEL, Seen, vector_of, write
from tests.support.sites import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.sites import Served

ANSWER = TypeAdapter(Answer)
SEEN = (
    Seen("payment failed at the bank", service="payment", status="ERROR"),
    Seen("cart stored in redis", service="cart", number=9),
)


@pytest.fixture(scope="module")
def page() -> Iterator[Served]:
    with served(*SEEN) as site:
        yield site


def test_a_question_in_words_has_the_catalogue_s_own_answer(page: Served) -> None:
    asked = {"question": "the bank says no", "service": ["payment", "cart"], "count": "1"}
    answer = page.client.get("/api/v1/search", params=asked)
    assert answer.status_code == 200
    own = page.catalogue.search(SearchQuery.model_validate(asked))
    assert answer.content == ANSWER.dump_json(own)
    assert page.client.post("/api/v1/search", json={**asked, "count": 1}).content == answer.content


def test_the_like_of_a_trace_is_found(page: Served) -> None:
    trace = f"{9:032x}"
    answer = page.client.get("/api/v1/like", params={"like": trace}).content
    assert answer == ANSWER.dump_json(page.catalogue.like(LikeQuery(like=trace)))
    assert ANSWER.validate_json(answer).hits[0].examples[0].trace_id == trace


@pytest.mark.parametrize(
    ("path", "status", "field", "words"),
    [
        ("search", 422, "question", "question: Field required"),
        ("search?question=a&since=yesterday", 422, "since", "15m, 1h or 2d"),
        ("search?question=a&question=b", 422, "question", "once"),
        ("search?question=a&colour=red", 422, "colour", "there are service, operation"),
        ("search?question=a&count=0", 422, "count", "greater than or equal to 1"),
        ("search?question=%E2%80%8B", 422, "question", "is empty"),
        ("like?like=" + 32 * "f", 404, None, "among its examples"),
        ("nowhere", 404, None, "/api/v1/nowhere"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_do(
    page: Served, path: str, status: int, field: str | None, words: str
) -> None:
    answer = page.client.get(f"/api/v1/{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.get("field") == field
    assert words in problem["detail"]


def test_half_a_surrogate_that_names_a_field_is_said_again(page: Served) -> None:
    headers = {"Content-Type": "application/json"}
    answer = page.client.post("/api/v1/search", content=rb'{"\ud800": 1}', headers=headers)

    assert answer.status_code == 422
    assert answer.json()["field"] == "\ud800"


@pytest.mark.parametrize(
    "asked",
    [
        "search?question=a&since=0001-01-01T00:00:00%2B14:00&until=9999-12-31T23:59:59-12:00",
        "changes?at=9999-12-31T23:59:59Z",
        "changes?at=0001-01-01T00:00:00Z&window=3d",
    ],
)
def test_times_that_no_clock_has_can_be_asked_about(page: Served, asked: str) -> None:
    assert page.client.get(f"/api/v1/{asked}").status_code == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, b'"a"', b"\xff"])
def test_a_body_that_is_no_object_is_refused(page: Served, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = page.client.post("/api/v1/search", content=body, headers=headers)
    assert answer.status_code == 400


def test_who_has_an_answer_already_gets_nothing_again(page: Served) -> None:
    first = page.client.get("/api/v1/search?question=bank")
    again = page.client.get(
        "/api/v1/search?question=bank", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_the_page_s_own_files_are_given_with_their_types(page: Served) -> None:
    index = page.client.get("/")
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert index.content == page.client.get("/index.html").content
    again = page.client.get("/", headers={"If-None-Match": index.headers["etag"]})
    assert again.status_code == 304


def test_status_tells_what_the_catalogue_holds(page: Served) -> None:
    status = page.client.get("/api/v1/status").json()
    assert status["catalogue"]["texts"] == 2
    assert page.client.get("/healthz").status_code == page.client.get("/readyz").status_code == 200


def test_the_map_has_a_point_for_each_text_and_says_what_it_is_by_its_key(page: Served) -> None:
    points = page.client.get("/api/v1/map").json()
    assert len(points["x"]) == len(points["key"]) == 2
    assert points["services"] == ["cart", "payment"]
    service = points["services"][points["service"][0]]
    [hit] = page.client.get(f"/api/v1/entries?key={points['key'][0]}").json()["hits"]
    assert hit["service"] == service


def test_entries_come_page_by_page_and_none_twice(page: Served) -> None:
    first = page.client.get("/api/v1/entries?count=1").json()
    second = page.client.get(f"/api/v1/entries?count=1&before={first['next']}").json()
    found = [hit["text"] for hit in first["hits"] + second["hits"]]
    assert sorted(found) == sorted(seen.words for seen in SEEN)
    assert second["next"] is None


def test_facets_are_counted_without_their_own_filter(page: Served) -> None:
    facets = page.client.get("/api/v1/facets?service=cart").json()
    assert facets["texts"] == 1
    assert {each["value"] for each in facets["service"]} == {"cart", "payment"}
    assert facets["status"] == [{"value": "UNSET", "texts": 1}]


def test_the_curve_counts_spans_by_the_minute(page: Served) -> None:
    at = "2026-03-01T11:59:00Z"
    curve = page.client.get(f"/api/v1/curve?since={at}&until=2026-03-01T12:01:00Z").json()
    assert (curve["since"], curve["step"]) == ("2026-03-01T11:59:00.000Z", 60)
    assert (curve["spans"], curve["errors"]) == ([0, 2, 0], [0, 1, 0])
    of_cart = page.client.get(f"/api/v1/curve?since={at}&service=cart").json()
    assert sum(of_cart["spans"]) == 1


def test_texts_are_embedded_as_questions_are(page: Served) -> None:
    answer = page.client.post("/api/v1/embed", json={"texts": ["a", "b"]}).json()
    made = [np.array(each["vector"], np.float32) for each in answer["embeddings"]]
    assert answer["model"] == MODEL
    assert all((each == vector_of(text)).all() for each, text in zip(made, "ab", strict=True))


def test_events_come_each_second_until_the_page_closes(page: Served) -> None:
    with page.client.stream("GET", "/api/v1/events") as stream:
        lines = stream.iter_lines()
        told = dict(pairwise(line for line in islice(lines, 8) if line))
    assert json.loads(told["event: status"].removeprefix("data: "))["texts"] == 2
    groups = json.loads(told["event: groups"].removeprefix("data: "))
    assert groups == {"total": 0, "groups": []}


def test_texts_that_come_are_told_with_their_places() -> None:
    with served(*SEEN) as page:
        with page.client.stream("GET", "/api/v1/events") as stream:
            lines = stream.iter_lines()
            next(line for line in lines if line == "event: groups")
            write(page.store, Seen("the newest", service="mail", number=99))
            next(line for line in lines if line == "event: texts")
            told = json.loads(next(lines).removeprefix("data: "))
        points = told["points"]
        assert (points["total"], points["services"]) == (1, ["mail"])
        whole = page.client.get("/api/v1/map").json()
        assert (whole["total"], whole["changed"]) == (3, points["changed"])
        at = whole["key"].index(points["key"][0])
        assert (whole["x"][at], whole["y"][at]) == (points["x"][0], points["y"][0])
        assert told["after"] < points["changed"]
        later = page.client.get(f"/api/v1/map?after={points['changed']}").json()
        assert (later["total"], later["key"]) == (0, [])


def test_the_document_describes_each_path_by_the_query_and_the_answer(page: Served) -> None:
    document = page.client.get("/api/v1/openapi.json").json()
    for question in QUESTIONS:
        path = document["paths"][f"/api/v1/{question.name}"]
        names = [each["name"] for each in path["get"]["parameters"]]
        assert names == [*question.query.model_fields]
    schemas = document["components"]["schemas"]
    references = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document))
    assert {*references} <= {*schemas}
    hit = page.client.get("/api/v1/search?question=bank").json()["hits"][0]
    assert {*hit} == {*schemas["Hit"]["properties"]}
