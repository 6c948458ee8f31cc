"""A row is what a span does, whatever became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.text.options import TEMPLATE, RenderOptions
from otel_embedder.text.rendering import new_renderer
from otel_embedder.text.row import SpanRow
from tests.support.otlp_samples import NOTHING, Value, event, span

if TYPE_CHECKING:
    from collections.abc import Mapping

ERROR = Status.STATUS_CODE_ERROR
PROFILES = [None, TEMPLATE]
CALL: Mapping[str, Value] = {"http.route": "/cart/{id}", "http.request.method": "POST"}


def row(made: Span, profile: str | None = None, service: str = "cart") -> SpanRow:
    renderer = new_renderer(RenderOptions(profile=profile))
    return renderer.row(made.SerializeToString(), service)


def called(attributes: Mapping[str, Value] = NOTHING, name: str = "POST /cart") -> Span:
    made = span(name, {**CALL, **attributes}, milliseconds=3)
    made.kind = Span.SPAN_KIND_CLIENT
    return made


def failed(attributes: Mapping[str, Value] = NOTHING) -> Span:
    told = event("exception", {"exception.type": "CartError", "exception.message": "POST refused"})
    made = span(
        "POST /cart",
        {**CALL, **attributes},
        code=ERROR,
        message="the cart is gone",
        milliseconds=20_000,
        events=[told],
    )
    made.kind = Span.SPAN_KIND_CLIENT
    return made


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "outcome",
    [
        NOTHING,
        {"http.response.status_code": 503},
        {"http.status_code": 503, "http.status_text": "Service Unavailable"},
        {"rpc.grpc.status_code": 14},
        {"error": True, "error.type": "CartError", "error_message": "POST refused"},
        {"exception.type": "CartError", "app.exception": "refused"},
        {"otel.status_code": "ERROR", "otel.status_description": "gone"},
    ],
)
def test_a_failing_and_a_good_span_of_an_operation_have_one_row(
    profile: str | None, outcome: Mapping[str, Value]
) -> None:
    good, bad = row(called(), profile), row(failed(outcome), profile)

    assert good._replace(status="") == bad._replace(status="")
    assert (good.status, bad.status) == ("UNSET", "ERROR")


@pytest.mark.parametrize("profile", PROFILES)
def test_other_attributes_make_another_row(profile: str | None) -> None:
    assert row(called({"rpc.method": "AddItem"}), profile) != row(called(), profile)


def test_a_row_in_words_says_operation_kind_and_attributes() -> None:
    assert row(called({"rpc.method": "AddItem"})) == SpanRow(
        "POST /cart", "CLIENT", "post cart client cart id add item", "UNSET"
    )


def test_a_row_by_the_template_says_operation_and_attributes() -> None:
    assert row(called({"rpc.method": "AddItem"}), TEMPLATE) == SpanRow(
        "POST /cart",
        "CLIENT",
        "POST /cart http.request.method=POST http.route=/cart/{id} rpc.method=AddItem",
        "UNSET",
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_an_operation_has_neither_secrets_nor_ids(profile: str | None) -> None:
    name = "GET https://bob:hunter2@shop.example/order/5b8efff7-9803-4103-a269-b633813fc60c"

    operation = row(called(name=name), profile).operation

    assert "hunter2" not in operation
    assert "5b8efff7" not in operation
    assert operation.startswith("GET https://")


def test_a_template_without_attributes_counts_operations() -> None:
    renderer = new_renderer(RenderOptions(template="{operation} {status}"))

    assert renderer.row(failed().SerializeToString(), "cart").words == "POST /cart"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_span_that_says_nothing_has_a_row(profile: str | None) -> None:
    assert row(Span(), profile).operation == ""
