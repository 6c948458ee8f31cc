from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import grpc
import numpy as np
import pytest
from structlog.testing import capture_logs

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.errors import LoopError
from otel_embedder.otlp.wire import TraceRequest, parse_request
from otel_embedder.pipeline.echoes import LOOP_SUSPECTED, MAX_REMEMBERED, Echoes
from otel_embedder.receiver.hops import HOPS_KEY, LOOP_DETECTED, Hops
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.sidecar import running
from otel_embedder.telemetry.metrics import Metrics
from tests.support.otlp_samples import request, span
from tests.support.peers import Client, FakeNextHop, retry_after
from tests.support.processes import (
    CONFIGURATIONS,
    free_address,
    running_collector,
    running_sidecar,
    send,
)
from tests.support.tiny_bert import write_tiny_bert
from tests.support.wire import annotate_all, spans_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

pytestmark = pytest.mark.timeout(60)


def test_a_request_names_the_sidecars_that_it_has_passed() -> None:
    first, second = Hops(), Hops()
    once = first.with_own((("tenant", "shop"),))
    twice = second.with_own(once)

    assert once[0] == twice[0] == ("tenant", "shop")
    assert [key for key, _ in twice] == ["tenant", HOPS_KEY]
    assert str(twice[1][1]).split(",")[0] == once[1][1]


def test_a_request_that_comes_back_is_refused_and_the_log_says_so_once() -> None:
    first, second = Hops(), Hops()
    metadata = second.with_own(first.with_own(()))
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(LoopError, match="let next_hop lead to"):
                first.with_own(metadata)

    assert [(line["event"], line["sidecars"]) for line in logs] == [(LOOP_DETECTED, 2)]


@pytest.mark.parametrize("strange", ["", ",", "x" * 1_000, b"\xff"])
def test_a_header_of_somebody_else_is_no_loop(strange: str | bytes) -> None:
    [(key, value)] = Hops().with_own(((HOPS_KEY, strange),))

    assert (key, isinstance(value, str)) == (HOPS_KEY, True)


ANNOTATOR = Annotator(
    Origin("m", "1"), encoding="bytes", prefix="embedding.", attach_text=False, max_remembered=1
)
OURS = ANNOTATOR.attributes(Embedding(np.ones(3, np.float32), "m", "model"), None)
FOREIGN = span("theirs", {"embedding.vector": [0.5]}, trace_id=bytes(range(16)))


def numbered(number: int) -> TraceRequest:
    one = span(trace_id=number.to_bytes(16))
    return annotate_all(parse_request(request(one).SerializeToString()), OURS)


def came_back(sent: TraceRequest) -> TraceRequest:
    return parse_request(sent.encode())


def test_of_many_requests_the_last_are_remembered() -> None:
    echoes = Echoes(ANNOTATOR)
    for number in range(MAX_REMEMBERED + 1):
        echoes.remember(numbered(number))

    echoed = [echoes.is_echo(came_back(numbered(number))) for number in (0, 1, MAX_REMEMBERED)]
    assert echoed == [False, True, True]


def test_a_request_whose_first_span_has_anothers_vector_is_known_again() -> None:
    echoes = Echoes(ANNOTATOR)
    sent = parse_request(request(FOREIGN, span()).SerializeToString())
    sent.add(spans_of(sent)[1], OURS)
    echoes.remember(sent)

    assert echoes.is_echo(came_back(sent))


def test_what_came_with_its_vectors_may_be_sent_again_on_purpose() -> None:
    echoes = Echoes(ANNOTATOR)
    archived = came_back(numbered(1))
    echoes.remember(archived)

    assert not echoes.is_echo(archived)


def test_a_request_of_nothing_but_others_vectors_is_no_echo() -> None:
    echoes = Echoes(ANNOTATOR)
    foreign = parse_request(request(FOREIGN).SerializeToString())
    echoes.remember(foreign)

    assert not echoes.is_echo(foreign)


class Running(NamedTuple):
    """A sidecar in this process."""

    url: str
    client: Client
    metrics: Metrics


@pytest.fixture
def tiny_bert(tmp_path: Path) -> Path:
    return write_tiny_bert(tmp_path / "tiny-bert")


@asynccontextmanager
async def sidecar(
    tiny_bert: Path, next_hop: str, *, listen: str = "127.0.0.1:0"
) -> AsyncIterator[Running]:
    settings = load_settings(
        {
            "listen": listen,
            "next_hop": next_hop,
            "metrics_listen": "",
            "model": str(tiny_bert),
            "model_cache": tiny_bert.parent / "cache",
            "model_threads": 1,
            "encoding": "bytes",
        }
    )
    metrics = Metrics()
    async with running(settings, metrics) as port, Client(port) as client:
        yield Running(f"http://127.0.0.1:{port}", client, metrics)


def vectors(spans: list[Span]) -> list[list[bytes]]:
    return [
        [pair.value.bytes_value for pair in one.attributes if pair.key == "embedding.vector"]
        for one in spans
    ]


async def test_two_sidecars_that_are_each_others_next_hop_let_nothing_go_round(
    tiny_bert: Path,
) -> None:
    first, second = free_address(), free_address()
    async with (
        sidecar(tiny_bert, f"http://{second}", listen=first) as one,
        sidecar(tiny_bert, f"http://{first}", listen=second) as other,
    ):
        with capture_logs() as logs:
            refusals = [await one.client.refusal(request(span())) for _ in range(2)]

    assert [refusal.code() for refusal in refusals] == [grpc.StatusCode.UNAVAILABLE] * 2
    assert [retry_after(refusal) for refusal in refusals] == [30, 30]
    assert [line["event"] for line in logs].count(LOOP_DETECTED) == 1
    assert one.metrics.value("exporter_sent_spans_total") == 0
    assert other.metrics.value("passed_spans_total", standing="current") == 2


async def test_of_two_sidecars_in_a_row_the_second_leaves_the_firsts_vectors_alone(
    tiny_bert: Path, next_hop: FakeNextHop
) -> None:
    async with (
        sidecar(tiny_bert, next_hop.url) as second,
        sidecar(tiny_bert, second.url) as first,
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
    async with sidecar(tiny_bert, next_hop.url) as one:
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
    async with sidecar(tiny_bert, next_hop.url) as one:
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
