"""A span has one text id, whichever way it comes: sidecar, files, SDK or library."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from otel_embedder.library.service import EmbeddingService
from otel_embedder.sdk import EmbeddingSpanExporter
from tests.contracts.test_standing import annotated_in_a_file, annotator, attributes_in, sent_on
from tests.support.fakes import (
    FakeModel,
)

KEY = "embedding.text_id"


def test_a_span_has_one_text_id_whichever_way_it_comes() -> None:
    ended, sent = InMemorySpanExporter(), InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(ended))
    span = provider.get_tracer("tests").start_span(
        "charge card", kind=SpanKind.CLIENT, attributes={"http.status_code": 503, "to": "bank"}
    )
    span.record_exception(TimeoutError("no answer"))
    span.set_status(StatusCode.ERROR, "declined")
    span.end()
    [made] = ended.get_finished_spans()
    encoded = encode_spans([made]).SerializeToString()

    with EmbeddingService.sync(model=FakeModel()) as service:
        EmbeddingSpanExporter(sent, service=service).export([made])
        of_the_library = service.embed(made).text_id
    of_the_sdk = (sent.get_finished_spans()[0].attributes or {})[KEY]

    by = annotator("embedding.")

    assert of_the_library is not None
    assert (
        of_the_library
        == of_the_sdk
        == attributes_in(sent_on(encoded, by))[KEY]
        == attributes_in(annotated_in_a_file(encoded, by))[KEY]
    )
