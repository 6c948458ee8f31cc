from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel_embedder.search.comparison import Difference, Side, compare, differences
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.fakes import FAKE_MODEL, FakeModel, embedding_of
from tests.support.otlp_samples import span

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.text.renderer import Saying


def sayings(made: Span, service: str = "shop") -> list[Saying]:
    return new_renderer(RenderOptions(profile="template")).sayings(
        made.SerializeToString(), service
    )


def found(one: Span, other: Span) -> dict[str, str]:
    """Give what two spans differ in, and what the texts make of it."""
    return {each.name: each.effect for each in differences(sayings(one), sayings(other))}


def test_spans_that_say_the_same_do_not_differ() -> None:
    assert differences(sayings(span(attributes={"a": 1})), sayings(span(attributes={"a": 1}))) == []


def test_the_order_of_attributes_is_no_difference() -> None:
    assert found(span(attributes={"a": 1, "b": 2}), span(attributes={"b": 2, "a": 1})) == {}


def test_what_the_texts_show_comes_first_and_what_they_leave_out_last() -> None:
    one = span("GET", {"thread.id": 1, "peer": "10.0.0.1", "b": 1, "a": 1}, milliseconds=1.1)
    other = span("GET", {"thread.id": 2, "peer": "10.0.0.2", "b": 2, "a": 1}, milliseconds=1.2)

    assert found(one, other) == {
        "b": "differs",
        "{duration_ms}": "alike",
        "peer": "alike",
        "thread.id": "left out",
    }


def test_every_field_may_differ() -> None:
    one = sayings(span("GET", milliseconds=1), "shop")
    other = sayings(span("PUT", code=Status.STATUS_CODE_ERROR, milliseconds=9), "bank")

    assert {each.name: each.effect for each in differences(one, other)} == dict.fromkeys(
        ("{service}", "{operation}", "{status}", "{duration_ms}"), "differs"
    )


@pytest.mark.parametrize(("key", "effect"), [("a", "differs"), ("thread.id", "left out")])
def test_what_only_one_span_says_is_a_difference(key: str, effect: str) -> None:
    saying = sayings(span(attributes={key: 1}))

    [difference] = differences(saying, sayings(span()))

    assert [*difference] == [key, effect, saying[-1], None]


def test_what_reads_the_same_without_a_mask_is_alike() -> None:
    assert found(span(attributes={"a": 5}), span(attributes={"a": "5"})) == {"a": "alike"}


def test_an_empty_value_is_not_the_same_as_none() -> None:
    assert found(span(attributes={"a": ""}), span()) == {"a": "differs"}


def test_two_texts_have_a_cosine_and_nothing_else() -> None:
    comparison = compare(Side("a"), Side("b"), FakeModel())

    one, other = embedding_of("a").vector, embedding_of("b").vector
    assert comparison.cosine == pytest.approx(float(one @ other))
    assert (comparison.model, comparison.differences) == (FAKE_MODEL, None)


def test_a_text_and_a_span_have_no_differences_to_list() -> None:
    comparison = compare(Side("a"), Side("b", sayings(span())), FakeModel())

    assert comparison.differences is None


def test_two_spans_have_differences() -> None:
    one, other = sayings(span(attributes={"a": 1})), sayings(span(attributes={"a": 2}))

    comparison = compare(Side("a", one), Side("a", other), FakeModel())

    assert comparison.cosine == pytest.approx(1)
    assert comparison.differences == [Difference("a", "differs", one[-1], other[-1])]
