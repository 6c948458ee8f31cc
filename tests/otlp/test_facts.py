from __future__ import annotations

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.otlp.facts import EventFacts, service_name, span_facts
from tests.support.otlp_samples import Value, event, resource, span


def test_a_span_says_all_that_it_was_given() -> None:
    made = span(
        "GET /cart",
        {"a": "1\n2", "b": 3},
        code=Status.STATUS_CODE_ERROR,
        message="gave up",
        milliseconds=12.5,
        events=[event("retry", {"n": 1}), event("exception", {})],
    )

    facts = span_facts(made.SerializeToString())

    assert (facts.name, facts.status, facts.message) == ("GET /cart", "ERROR", "gave up")
    assert facts.milliseconds == 12.5
    assert facts.attributes == (("a", "1\n2"), ("b", "3"))
    assert facts.events == (EventFacts("retry", (("n", "1"),)), EventFacts("exception", ()))


@pytest.mark.parametrize(
    ("code", "status"),
    [(Status.STATUS_CODE_UNSET, "UNSET"), (Status.STATUS_CODE_OK, "OK")],
)
def test_a_status_has_its_name(code: Status.StatusCode.ValueType, status: str) -> None:
    assert span_facts(span(code=code).SerializeToString()).status == status


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("é", "é"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (0.25, "0.25"),
        (None, "null"),
        (b"\x01\xff", "01ff"),
        (["a", 1, ["é"]], '["a", 1, ["é"]]'),
        ({"a": {"b": None}}, '{"a": {"b": null}}'),
    ],
)
def test_a_value_is_a_string_or_json(value: Value, words: str) -> None:
    facts = span_facts(span(attributes={"key": value}).SerializeToString())

    assert facts.attributes == (("key", words),)


def test_a_value_that_is_too_deep_is_read_no_further() -> None:
    deep: Value = "bottom"
    for _ in range(40):
        deep = [deep]

    [(_, words)] = span_facts(span(attributes={"a": deep}).SerializeToString()).attributes

    assert words == "[" * 33 + "null" + "]" * 33


def test_nothing_at_all_is_a_span() -> None:
    facts = span_facts(Span().SerializeToString())

    assert (facts.name, facts.status, facts.milliseconds) == ("", "UNSET", None)
    assert (facts.attributes, facts.events) == ((), ())


def test_what_is_not_utf_8_is_read_all_the_same() -> None:
    encoded = span("xyz").SerializeToString().replace(b"xyz", b"x\xffz")

    assert span_facts(encoded).name == "x\ufffdz"


def test_a_resource_has_the_name_of_its_service_or_none() -> None:
    assert service_name(resource("shop", {"host.name": "a"}).SerializeToString()) == "shop"
    assert service_name(resource(None).SerializeToString()) == ""
