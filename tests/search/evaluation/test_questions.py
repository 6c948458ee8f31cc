from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel_embedder.errors import UnreadableFileError
from otel_embedder.otlp.facts import span_facts
from otel_embedder.search.evaluation.questions import Conditions, read_questions
from tests.support.otlp_samples import event, span

if TYPE_CHECKING:
    from pathlib import Path

SPAN = span_facts(
    span(
        "POST /orders",
        {"http.status_code": 503, "db.names": ["orders", "stock"], "peer": "bank:443"},
        code=Status.STATUS_CODE_ERROR,
        message="gave up",
        milliseconds=250,
        events=[event("retry", {"note": "first\nsecond"})],
    ).SerializeToString()
)


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"service": "shop"}, True),
        ({"service": "sho"}, False),
        ({"service": "sh.*"}, True),
        ({"name": "orders$"}, True),
        ({"name": "^orders"}, False),
        ({"status": "ERROR"}, True),
        ({"status": "OK"}, False),
        ({"attr": {r"http\.status_code": "^503$"}}, True),
        ({"attr": {r"http\.status": "503"}}, False),
        ({"attr": {r"http\..*|peer": "bank"}}, True),
        ({"attr": {r"http\.status_code": "503", "peer": "shop"}}, False),
        ({"attr": {r"db\.names": "stock"}}, True),
        ({"text": "gave up"}, True),
        ({"text": "first.second"}, True),
        ({"text": "^gave.*retry.*second$"}, True),
        ({"text": "bank"}, False),
        ({"min_ms": 250}, True),
        ({"min_ms": 250.1}, False),
        ({"any": [{"name": "cart"}, {"status": "ERROR"}]}, True),
        ({"any": [{"name": "cart"}, {"status": "OK"}]}, False),
        ({"any": [{"name": "orders"}], "status": "OK"}, False),
        ({"any": [{"any": [{"name": "orders"}]}]}, True),
    ],
)
def test_every_condition_must_hold(conditions: dict[str, Any], *, holds: bool) -> None:
    assert Conditions.model_validate(conditions).hold("shop", SPAN) is holds


def test_a_span_of_unknown_duration_is_not_slow() -> None:
    unknown = span_facts(b"")

    assert not Conditions(min_ms=1).hold("shop", unknown)


def test_questions_are_read_with_what_parts_them(tmp_path: Path) -> None:
    file = tmp_path / "questions.yaml"
    file.write_text(
        """
# A comment.
- {ds: shop, split: dev, intent: para, q: " the bank is down ", where: {name: "Charge|Pay"}}
- q: slow
  where:
    min_ms: 500
""",
        encoding="utf-8",
    )

    first, second = read_questions(file)

    assert (first.q, first.ds, first.where.name) == ("the bank is down", "shop", "Charge|Pay")
    assert (second.q, second.ds, second.where.min_ms) == ("slow", None, 500)


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("- q: a\n  where: {name: '['}", ["line 2: where.name: is no regular expression"]),
        ("- q: a\n  where: {attr: {'(': x}}", ["line 2: where.attr.(.[key]: is no regular"]),
        ("- q: a\n  where:\n    any:\n    - status: FAILED", ["line 4: where.any.status: Input"]),
        ("- q: a\n  where: {}", ["line 2: where: must have a condition"]),
        ("- q: a\n  where: {name: null}", ["line 2: where: must have a condition"]),
        ("- q: a\n  where: {title: x}", ["line 2: where.title: Extra inputs"]),
        ("- where: {name: x}", ["line 1: q: Field required"]),
        ("- q: ' '\n  where: {name: x}", ["line 1: q: String should have at least 1"]),
        ("- q: a\n  where: {min_ms: soon}", ["line 2: where.min_ms: Input should be"]),
        ("- q: a\n  where: {min_ms: -1}", ["line 2: where.min_ms: Input should be"]),
        (
            "- q: a\n\n- where: {name: '('}",
            ["line 1: where: Field", "line 3: q: Field", "line 3: where.name"],
        ),
        ("- a question", ["line 1: questions: Input should be"]),
        ("q: a", ["line 1: questions: Input should be a valid list"]),
        ("", ["line 1: questions: Input should be a valid list"]),
        ("[]", ["line 1: questions: List should have at least 1"]),
        ("- q: 'a", ["line 1: is not YAML: found unexpected end of stream"]),
        ("- q: a\n\t- b", ["line 2: is not YAML"]),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_field(
    content: str, problems: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "questions.yaml"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(UnreadableFileError) as raised:
        read_questions(file)

    assert str(raised.value).startswith(str(file))
    assert [problem for problem in problems if problem not in str(raised.value)] == []


@pytest.mark.parametrize("content", [b"\xff\xfe- q", b"- q: \x00"])
def test_what_is_no_text_is_told(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "questions.yaml"
    file.write_bytes(content)

    with pytest.raises(UnreadableFileError, match="is not a text file of YAML"):
        read_questions(file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="can't be read"):
        read_questions(tmp_path / "missing.yaml")
