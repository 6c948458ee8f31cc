"""The OpenTelemetry SDK's own exporter as the client of a real sidecar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind

from tests.support.comparison import delivery, differences, spans_in
from tests.support.processes import Sink, free_address, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _model_cache(model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_MODEL_CACHE", str(model_cache))


@pytest.fixture(name="sink")
def _sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(name="spans")
def _spans() -> Sequence[ReadableSpan]:
    """Give spans as an instrumented shop makes them."""
    finished = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(finished))
    tracer = provider.get_tracer("shop.checkout", "1.0")
    with tracer.start_as_current_span("checkout", kind=SpanKind.SERVER) as checkout:
        checkout.set_attributes({"cart.items": 3, "cart.skus": ["a", "b"], "cart.total": 9.99})
        links = [Link(checkout.get_span_context(), {"why": "follows"})]
        with tracer.start_as_current_span("charge", kind=SpanKind.CLIENT, links=links) as charge:
            charge.record_exception(TimeoutError("the bank did not answer"))
    provider.shutdown()
    return finished.get_finished_spans()


def exported(
    spans: Sequence[ReadableSpan], address: str, compression: grpc.Compression | None = None
) -> SpanExportResult:
    exporter = OTLPSpanExporter(
        f"http://{address}", insecure=True, compression=compression, timeout=5
    )
    try:
        return exporter.export(spans)
    finally:
        exporter.shutdown()


@pytest.mark.parametrize("compression", list(grpc.Compression), ids=lambda item: item.name)
def test_spans_of_the_sdk_arrive_unchanged_with_their_vectors(
    sink: Sink, spans: Sequence[ReadableSpan], compression: grpc.Compression
) -> None:
    with running_sidecar(sink.address) as sidecar:
        sidecar.wait_for_model()
        result = exported(spans, sidecar.address, compression)

    came = delivery(sink.requests)
    assert result is SpanExportResult.SUCCESS
    assert differences(spans_in([encode_spans(spans).SerializeToString()]), came.spans) == []
    assert came.sources == {"model": 2}


def test_the_sdk_hears_of_no_success_while_the_next_hop_is_away(
    spans: Sequence[ReadableSpan],
) -> None:
    with running_sidecar(free_address()) as sidecar:
        result = exported(spans, sidecar.address)

    assert result is SpanExportResult.FAILURE


def test_a_sidecar_without_a_model_says_so_on_every_span(
    sink: Sink, spans: Sequence[ReadableSpan], tmp_path: Path
) -> None:
    with running_sidecar(sink.address, settings=["--model", str(tmp_path)]) as sidecar:
        result = exported(spans, sidecar.address)

    assert result is SpanExportResult.SUCCESS
    assert delivery(sink.requests).sources == {"fallback": 2}
