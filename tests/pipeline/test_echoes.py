"""Spans that come back, which only they themselves tell of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.otlp.wire import TraceRequest, parse_request
from otel_embedder.pipeline.echoes import LOOP_SUSPECTED, MAX_REMEMBERED, Echoes
from otel_embedder.telemetry.otlp.resource import OWN_SCOPE
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.otlp_samples import request, span
from tests.support.processes import (
    CONFIGURATIONS,
    free_address,
    running_collector,
    running_sidecar,
    send,
)
from tests.support.wire import annotate_all, spans_of

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tests.support.peers import FakeNextHop

pytestmark = pytest.mark.timeout(120)

ANNOTATOR = Annotator(
    Origin("m", "1"), encoding="bytes", prefix="embedding.", attach_text=False, max_remembered=1
)
OURS = ANNOTATOR.attributes(Embedding(np.array([0.6, 0.8], np.float32), "m", "model"), None)
FOREIGN = span("theirs", {"embedding.vector": [0.5]}, trace_id=bytes(range(16)))


def numbered(number: int) -> TraceRequest:
    one = span(trace_id=number.to_bytes(16))
    return annotate_all(parse_request(request(one).SerializeToString()), OURS)


def came_back(sent: TraceRequest) -> TraceRequest:
    return parse_request(sent.encode())


def remember(echoes: Echoes, request: TraceRequest) -> None:
    echoes.remember(echoes.representative(request))


def is_echo(echoes: Echoes, request: TraceRequest) -> bool:
    return echoes.is_echo(echoes.representative(request))


def test_of_many_requests_the_last_are_remembered() -> None:
    echoes = Echoes(ANNOTATOR)
    for number in range(MAX_REMEMBERED + 1):
        remember(echoes, numbered(number))

    echoed = [is_echo(echoes, came_back(numbered(number))) for number in (0, 1, MAX_REMEMBERED)]
    assert echoed == [False, True, True]


def test_a_request_whose_first_span_has_anothers_vector_is_known_again() -> None:
    echoes = Echoes(ANNOTATOR)
    sent = parse_request(request(FOREIGN, span()).SerializeToString())
    sent.add(spans_of(sent)[1], OURS)
    remember(echoes, sent)

    assert is_echo(echoes, came_back(sent))


def test_a_request_that_begins_with_spans_of_a_sidecars_own_work_is_known_again() -> None:
    echoes = Echoes(ANNOTATOR)
    mixed = request(span("Export"))
    mixed.resource_spans[0].scope_spans[0].scope.name = OWN_SCOPE
    mixed.resource_spans.extend(request(span()).resource_spans)
    sent = parse_request(mixed.SerializeToString())
    sent.add(spans_of(sent)[1], OURS)
    remember(echoes, sent)

    assert is_echo(echoes, came_back(sent))


def test_what_came_with_its_vectors_may_be_sent_again_on_purpose() -> None:
    echoes = Echoes(ANNOTATOR)
    archived = came_back(numbered(1))
    remember(echoes, archived)

    assert not is_echo(echoes, archived)


def test_a_request_of_nothing_but_others_vectors_is_no_echo() -> None:
    echoes = Echoes(ANNOTATOR)
    foreign = parse_request(request(FOREIGN).SerializeToString())
    remember(echoes, foreign)

    assert not is_echo(echoes, foreign)


def vectors(spans: list[Span]) -> list[list[bytes]]:
    return [
        [pair.value.bytes_value for pair in one.attributes if pair.key == "embedding.vector"]
        for one in spans
    ]


async def test_of_two_sidecars_in_a_row_the_second_leaves_the_firsts_vectors_alone(
    tiny_bert: Path, next_hop: FakeNextHop
) -> None:
    async with (
        sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), encoding="bytes") as second,
        sidecar_in_process(second.url, **tiny_model(tiny_bert), encoding="bytes") as first,
    ):
        with capture_logs() as logs:
            for _ in range(3):
                await first.client.export(request(span("a"), span("b")))

    assert [len(found) for found in vectors(next_hop.spans())] == [1] * 6
    assert second.metrics.value("embedded_texts_total", source="model") == 0
    assert second.metrics.value("came_back_spans_total") == 0
    assert LOOP_SUSPECTED not in [line["event"] for line in logs]


async def test_spans_that_come_back_with_our_vector_pass_unchanged_and_are_told_of_once(
    tiny_bert: Path, next_hop: FakeNextHop
) -> None:
    async with sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), encoding="bytes") as one:
        with capture_logs() as logs:
            await one.client.export(request(span("a"), span("b")))
            for _ in range(2):
                await one.client.export(next_hop.requests[-1])

    went, came_back, again = next_hop.requests
    assert went == came_back == again
    assert [line["event"] for line in logs].count(LOOP_SUSPECTED) == 1
    assert one.metrics.value("came_back_spans_total") == 4
    assert one.metrics.value("embedded_texts_total", source="cache") == 0


async def test_spans_that_are_sent_again_after_a_failure_are_no_loop(
    tiny_bert: Path, next_hop: FakeNextHop
) -> None:
    async with sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), encoding="bytes") as one:
        with capture_logs() as logs:
            for _ in range(3):
                await one.client.export(request(span("a"), span("b")))

    assert one.metrics.value("came_back_spans_total") == 0
    assert LOOP_SUSPECTED not in [line["event"] for line in logs]


@pytest.mark.collector
@pytest.mark.integration
def test_a_collector_whose_second_pipeline_leads_back_is_told_of(
    tmp_path: Path, model_cache: Path
) -> None:
    listen, embedded = free_address(), free_address()
    environment = {
        "OTELCOL_SIDECAR_ENDPOINT": listen,
        "OTELCOL_EMBEDDED_ENDPOINT": embedded,
        "OTELCOL_STORAGE_DIRECTORY": str(tmp_path / "spans"),
    }
    back = "service::pipelines::traces/embedded::exporters: [otlp_grpc/sidecar]"
    with (
        running_sidecar(
            embedded, listen=listen, settings=["--model-cache", str(model_cache)]
        ) as one,
        running_collector(
            CONFIGURATIONS / "sidecar.yaml", environment, overrides=[back]
        ) as collector,
    ):
        one.wait_for_model()
        send(collector.address, [request(span("a"), span("b")).SerializeToString()])
        facts = one.wait_for_event(LOOP_SUSPECTED)

    assert "next_hop" in facts["remedy"]
