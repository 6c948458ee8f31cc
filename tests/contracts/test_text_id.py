"""A span has one text id, whichever way it comes: sidecar, files, SDK or library."""

from __future__ import annotations

import asyncio
import math

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.fairness import Turns
from otel_embedder.files.annotating import FilesTally, SpanAnnotator
from otel_embedder.files.documents import protobuf_format
from otel_embedder.files.requests import Form, StoredRequest
from otel_embedder.library.service import EmbeddingService
from otel_embedder.otlp.call import Call
from otel_embedder.otlp.wire import parse_request
from otel_embedder.pipeline.processor import Processor
from otel_embedder.sdk import EmbeddingSpanExporter
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.contracts.test_standing import Texts, attributes_in
from tests.support.fakes import (
    FAKE_MODEL,
    FakeExporter,
    FakeMetrics,
    FakeModel,
    FakeSpanEmbedder,
)

KEY = "embedding.text_id"
ANNOTATOR = Annotator(
    Origin(FAKE_MODEL, RenderOptions().version()),
    encoding="bytes",
    prefix="embedding.",
    attach_text=False,
    max_remembered=10,
)


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

    assert of_the_library is not None
    assert (
        of_the_library
        == of_the_sdk
        == attributes_in(through_the_sidecar(encoded))[KEY]
        == attributes_in(through_files(encoded))[KEY]
    )


def through_the_sidecar(encoded: bytes) -> bytes:
    exporter = FakeExporter()
    processor = Processor(
        new_renderer(RenderOptions()),
        FakeSpanEmbedder(),
        ANNOTATOR,
        exporter,
        embed_timeout=3,
        turns=Turns(),
        metrics=FakeMetrics(),
    )

    async def send() -> None:
        await processor.consume(parse_request(encoded), Call(math.inf, ()))

    asyncio.run(send())
    return exporter.encoded[0]


def through_files(encoded: bytes) -> bytes:
    formats = {Form.PROTOBUF: protobuf_format(ANNOTATOR, with_lengths=False)}
    spans = SpanAnnotator(new_renderer(RenderOptions()), Texts(), formats, FilesTally())
    stored = StoredRequest(Form.PROTOBUF, "request 1", encoded, is_alone=True)
    [document] = spans.annotated([stored])
    return b"".join(document.pieces())
