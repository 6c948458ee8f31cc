from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode
from structlog.testing import capture_logs

from otel_embedder import EmbeddingService
from otel_embedder.errors import MalformedTraceError
from otel_embedder.library.other_forms import as_trace
from tests.support.fakes import FakeModel
from tests.support.otlp_json import otlp_json, spans_of
from tests.support.otlp_samples import SPAN_ID, TRACE_ID, event, request, span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

REQUEST = request(
    span("pay", {"a": 1}, code=Status.STATUS_CODE_ERROR, message="no answer", events=[event()]),
    service="shop",
)
SPAN = next(spans_of(otlp_json(REQUEST)))
TEXT = "failed: no answer shop pay server slow"


@pytest.fixture(name="service")
async def _service() -> AsyncIterator[EmbeddingService]:
    async with EmbeddingService(model=FakeModel()) as service:
        yield service


@pytest.mark.parametrize(
    "trace",
    [
        otlp_json(REQUEST),
        otlp_json(REQUEST)["resourceSpans"][0],
        {**SPAN, "resource": otlp_json(REQUEST)["resourceSpans"][0]["resource"]},
    ],
    ids=["request", "resource", "span with its resource"],
)
async def test_otlp_as_a_dict_has_the_text_of_its_span(
    service: EmbeddingService, trace: Mapping[str, object]
) -> None:
    assert await service.render(trace) == TEXT
    assert (await service.embed(trace)).source == "model"
    assert as_trace(trace)["trace_id"] == TRACE_ID.hex()


async def test_a_span_of_otlp_alone_is_of_no_known_service(service: EmbeddingService) -> None:
    assert await service.render(SPAN) == TEXT.replace("shop", "unknown service")


async def test_what_an_sdks_span_says_of_itself_has_its_text(service: EmbeddingService) -> None:
    tracer = TracerProvider(resource=Resource({"service.name": "shop"})).get_tracer("tests")
    made = tracer.start_span("pay", attributes={"a": 1}, start_time=10**18)
    made.add_event("exception", {"exception.type": "OSError"})
    made.set_status(StatusCode.ERROR, "no answer")
    made.end(end_time=10**18 + 2_500_000_000)
    trace = json.loads(made.to_json())  # type: ignore[attr-defined]

    assert await service.render(trace) == await service.render(made)  # type: ignore[arg-type]
    assert as_trace(trace)["span_id"] == f"{made.get_span_context().span_id:016x}"


@pytest.mark.parametrize("trace", [{}, {"svc": "shop", "op": "pay"}, {"traceID": "1"}])
async def test_a_dict_without_any_name_of_ours_gets_a_stand_in(
    service: EmbeddingService, trace: Mapping[str, object]
) -> None:
    with capture_logs() as logs:
        embedding = await service.embed(trace)

    assert embedding.source == "fallback"
    assert "at least one of attributes, duration_ms" in logs[0]["error"]


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        ({"resourceSpans": []}, "here are 0"),
        (otlp_json(request(span(), span())), "here are 2"),
        ({**SPAN, "traceId": "xyz"}, "not 32 hex digits"),
        ({**SPAN, "events": [object()]}, "objects of another kind"),
        ({"context": {}, "status": 5}, "status must be an object"),
        ({"context": {}, "events": 5}, "events must be a list"),
        ({"context": {}, "start_time": "soon"}, "start_time must be a time"),
    ],
    ids=range(7),
)
def test_what_would_be_lost_is_named(trace: Mapping[str, object], words: str) -> None:
    with pytest.raises(MalformedTraceError, match=words):
        as_trace(trace)


def test_protobufs_names_are_read() -> None:
    trace = as_trace(
        {"trace_id": TRACE_ID.hex(), "span_id": SPAN_ID.hex(), "name": "pay", "status": {"code": 2}}
    )

    assert (trace["trace_id"], trace["operation"], trace["status"]) == (
        *(TRACE_ID.hex(), "pay", "ERROR"),
    )


def test_a_dict_of_ours_stays_itself() -> None:
    ours = {"trace_id": "7", "attributes": {"key": "a"}, "status": "ERROR"}

    assert as_trace(ours) is ours
