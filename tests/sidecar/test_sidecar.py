from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import numpy as np
import pytest
from grpc_health.v1 import health_pb2
from structlog.testing import capture_logs

from otel_embedder.embedder.fallback import EMBEDDING_FAILED
from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.conversion import converted_model
from otel_embedder.embedder.models.engines import load_model, model_choice
from otel_embedder.embedder.models.reviving import MODEL_LOADED, MODEL_UNAVAILABLE
from otel_embedder.embedder.stand_in import STAND_IN_MODEL, stand_in
from otel_embedder.errors import ListenError
from otel_embedder.otlp.names import TRACE_SERVICE
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.sidecar import running
from otel_embedder.sidecar.stopping import (
    HANGUP_IGNORED,
    SERVICE_STARTED,
    SERVICE_STOPPED,
    SERVICE_STOPPING,
)
from otel_embedder.telemetry.metrics import Metrics
from tests.support.fakes import PATIENCE
from tests.support.http2 import call
from tests.support.in_process import InProcess, sidecar_in_process, tiny_model
from tests.support.otlp_samples import TRACE_ID, field, request, span
from tests.support.peers import Answer, Client, FakeNextHop, retry_after
from tests.support.processes import Sidecar, free_address, own_environment, running_sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.embedder.embedding import Vector

pytestmark = pytest.mark.timeout(120)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

METRICS = (
    "otel_embedder_receiver_accepted_spans_total",
    "otel_embedder_receiver_refused_spans_total",
    "otel_embedder_exporter_sent_spans_total",
    "otel_embedder_exporter_send_failed_spans_total",
    "otel_embedder_passed_spans_total",
    "otel_embedder_fallback_spans_total",
    "otel_embedder_embedded_texts_total",
    "otel_embedder_batch_size_bucket",
    "otel_embedder_inference_duration_seconds_bucket",
    "otel_embedder_queue_size",
    "process_resident_memory_bytes",
)


@asynccontextmanager
async def sidecar(next_hop: FakeNextHop | str, **flags: object) -> AsyncIterator[InProcess]:
    url = next_hop if isinstance(next_hop, str) else next_hop.url
    async with sidecar_in_process(url, **flags) as parts:
        yield parts


def strings_of(annotated: Span) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in annotated.attributes}


def vector_of(annotated: Span) -> Vector:
    [array] = [p.value.array_value for p in annotated.attributes if p.key == "embedding.vector"]
    return np.array([value.double_value for value in array.values], np.float32)


@pytest.mark.parametrize("preload", [True, False])
async def test_spans_go_in_and_come_out_with_vectors(
    next_hop: FakeNextHop, tiny_bert: Path, *, preload: bool
) -> None:
    with capture_logs() as logs:
        async with sidecar(next_hop, preload=preload, **tiny_model(tiny_bert)) as parts:
            await parts.client.export(request(span("a b c"), span("d e f")))

    for annotated in next_hop.spans():
        assert strings_of(annotated)["embedding.source"] == "model"
        assert strings_of(annotated)["embedding.model_name"] == "tiny-bert"
        assert np.linalg.norm(vector_of(annotated)) == pytest.approx(1, abs=1e-5)
    assert [line["event"] for line in logs].count(MODEL_LOADED) == 1
    assert parts.metrics.value("receiver_accepted_spans_total") == 2
    assert parts.metrics.value("exporter_sent_spans_total") == 2
    assert parts.metrics.value("embedded_texts_total", source="model") == 2


async def test_without_preloading_nothing_loads_before_the_first_text(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    with capture_logs() as logs:
        async with sidecar(next_hop, preload=False, **tiny_model(tiny_bert)):
            pass

    assert logs == []


async def test_a_text_that_comes_again_is_known(next_hop: FakeNextHop, tiny_bert: Path) -> None:
    async with sidecar(next_hop, **tiny_model(tiny_bert)) as parts:
        for _ in range(3):
            await parts.client.export(request(span("a b c")))

    assert parts.metrics.value("embedded_texts_total", source="model") == 1
    assert parts.metrics.value("embedded_texts_total", source="cache") == 2
    assert len({vector_of(annotated).tobytes() for annotated in next_hop.spans()}) == 1


def test_a_converted_model_that_is_damaged_is_made_anew(tiny_bert: Path) -> None:
    settings = load_settings(tiny_model(tiny_bert))
    damaged = converted_model(settings.model, settings.model_cache)
    (damaged / "model.bin").write_bytes(b"half of it")
    [embedding] = load_model(model_choice(settings)).encode(["a b c"])

    assert embedding.model == "tiny-bert"
    assert (damaged / "model.bin").stat().st_size > 1_000


async def test_spans_flow_with_stand_ins_when_the_model_is_corrupt(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    (tiny_bert / "model.safetensors").write_bytes(b"\x00" * 1000)
    with capture_logs() as logs:
        async with sidecar(next_hop, **tiny_model(tiny_bert)) as parts:
            for _ in range(2):
                await parts.client.export(request(span("a"), span("b")))

    events = [line["event"] for line in logs]
    assert (events.count(MODEL_UNAVAILABLE), events.count(EMBEDDING_FAILED)) == (1, 1)
    assert parts.metrics.value("fallback_spans_total") == 4
    for annotated in next_hop.spans():
        assert strings_of(annotated)["embedding.source"] == "fallback"
        assert strings_of(annotated)["embedding.model_name"] == STAND_IN_MODEL
        assert np.array_equal(vector_of(annotated), stand_in(TRACE_ID.hex(), 16).vector)


@pytest.mark.parametrize("broken", ["config.json", "tokenizer.json", "model.safetensors"])
async def test_spans_flow_as_they_are_if_that_is_wanted_when_the_model_is_corrupt(
    next_hop: FakeNextHop, tiny_bert: Path, broken: str
) -> None:
    (tiny_bert / broken).write_bytes(b"[]")
    sent = request(span("a"), span("b"))
    with capture_logs() as logs:
        async with sidecar(next_hop, on_failure="omit", **tiny_model(tiny_bert)) as parts:
            await parts.client.export(sent)

    assert next_hop.requests == [sent]
    assert MODEL_UNAVAILABLE in [line["event"] for line in logs]


async def test_a_model_that_comes_too_late_holds_nobody_up(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    async with sidecar(next_hop, embed_timeout=1e-6, **tiny_model(tiny_bert)) as parts:
        await parts.client.export(request(span("a")))

    [annotated] = next_hop.spans()
    assert strings_of(annotated)["embedding.source"] == "fallback"


async def test_settings_reach_the_parts(next_hop: FakeNextHop, tiny_bert: Path) -> None:
    async with sidecar(
        next_hop,
        attribute_prefix="vec.",
        attach_text=True,
        encoding="base64",
        template="{service}: {operation}",
        next_hop_headers="tenant=shop",
        max_send_bytes=1024,
        **tiny_model(tiny_bert),
    ) as parts:
        await parts.client.export(request(*[span("a", {"filler": "x" * 300})] * 5))

    attributes = strings_of(next_hop.spans()[0])
    assert attributes["vec.text"] == "mahavishnu: a"
    assert len(attributes["vec.vector"]) == 16 * 4 * 4 // 3 + 3
    assert len(next_hop.requests) > 1
    assert all(("tenant", "shop") in metadata for metadata in next_hop.metadata)


async def test_the_next_hops_refusals_come_back_so_that_nothing_is_lost(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    next_hop.answers = [
        # Longer than the caller waits, so it is not sent again here.
        Answer(grpc.StatusCode.UNAVAILABLE, "busy", retry_after=61.7),
        Answer(grpc.StatusCode.PERMISSION_DENIED, "no"),
        Answer(rejected=1, message="too old"),
    ]
    async with sidecar(next_hop, **tiny_model(tiny_bert)) as parts:
        busy = await parts.client.refusal(request(span()))
        forbidden = await parts.client.refusal(request(span()))
        partly = await parts.client.export(request(span()))

    assert (busy.code(), retry_after(busy)) == (grpc.StatusCode.UNAVAILABLE, 61.7)
    assert forbidden.code() is grpc.StatusCode.PERMISSION_DENIED
    assert partly.partial_success.rejected_spans == 1
    assert parts.metrics.value("receiver_refused_spans_total") == 2


async def test_who_sends_no_deadline_has_one_all_the_way(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    async with sidecar(next_hop, assumed_deadline=3.0, **tiny_model(tiny_bert)) as parts:
        await parts.client.export(request(span()), timeout=None)

    [remaining] = next_hop.time_remaining
    assert 0 < remaining <= 3


async def test_where_there_is_no_next_hop_the_spans_may_be_sent_again(tiny_bert: Path) -> None:
    async with sidecar(f"http://{free_address()}", **tiny_model(tiny_bert)) as parts:
        refusal = await parts.client.refusal(request(span()))

    assert refusal.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_malformed_request_goes_nowhere(next_hop: FakeNextHop, tiny_bert: Path) -> None:
    async with sidecar(next_hop, **tiny_model(tiny_bert)) as parts:
        refusal = await parts.client.refusal(field(1, field(2, field(2, b"\xff\xff"))))

    assert refusal.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert next_hop.requests == []


async def test_a_caller_that_leaves_ends_its_request(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    next_hop.hold()
    async with sidecar(next_hop, **tiny_model(tiny_bert)) as parts:
        leaving = asyncio.create_task(parts.client.export(request(span())))
        await next_hop.arrived()
        leaving.cancel()
        async with asyncio.timeout(PATIENCE):
            await next_hop.was_left.wait()
        next_hop.release()
        await parts.client.export(request(span()))

    assert leaving.cancelled()


async def test_closing_says_not_serving_and_lets_what_is_in_flight_finish(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    next_hop.hold()
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(sidecar_alone(next_hop, tiny_bert))
        healths = parts.healths(TRACE_SERVICE)
        before = await anext(healths)
        in_flight = asyncio.create_task(parts.export(request(span())))
        await next_hop.arrived()
        closing = asyncio.create_task(stack.aclose())
        after = await asyncio.wait_for(anext(healths), PATIENCE)
        next_hop.release()
        async with asyncio.timeout(PATIENCE):
            response = await in_flight
            await healths.aclose()
            await closing

    assert (before, after) == (SERVING, NOT_SERVING)
    assert not response.HasField("partial_success")
    assert len(next_hop.spans()) == 1


async def test_who_watches_the_health_does_not_hold_up_the_end(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        client = await stack.enter_async_context(sidecar_alone(next_hop, tiny_bert))
        healths = client.healths("")
        await anext(healths)
        await stack.aclose()


@asynccontextmanager
async def sidecar_alone(next_hop: FakeNextHop, tiny_bert: Path) -> AsyncIterator[Client]:
    """Run a sidecar whose client is not closed before it."""
    async with AsyncExitStack() as stack:
        settings = load_settings(
            {
                "listen": "127.0.0.1:0",
                "next_hop": next_hop.url,
                "metrics_listen": "",
                "model": str(tiny_bert),
                "model_cache": tiny_bert.parent / "cache",
            }
        )
        port = await stack.enter_async_context(running(settings, Metrics()))
        yield Client(port)


async def test_what_does_not_finish_in_time_is_given_up(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    next_hop.hold()
    async with asyncio.timeout(PATIENCE):
        async with sidecar(next_hop, shutdown_timeout=0.1, **tiny_model(tiny_bert)) as parts:
            stuck = asyncio.create_task(parts.client.export(request(span())))
            await next_hop.arrived()
        await asyncio.wait([stuck])

    # So grpc.aio tells of the status CANCELLED, after which a Collector sends again.
    assert stuck.cancelled()


async def test_the_metrics_are_served(next_hop: FakeNextHop, tiny_bert: Path) -> None:
    address = free_address()
    async with sidecar(next_hop, **{**tiny_model(tiny_bert), "metrics_listen": address}) as parts:
        await parts.client.export(request(span("a"), span("a", {"embedding.vector": "theirs"})))
        page = await asyncio.to_thread(read, f"http://{address}/metrics")

    for name in METRICS:
        assert f"\n{name}" in page
    assert "\notel_embedder_receiver_accepted_spans_total 2.0\n" in page
    assert '\notel_embedder_passed_spans_total{standing="foreign"} 1.0\n' in page


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - our own
        page: bytes = answer.read()
    return page.decode()


async def test_an_address_for_metrics_that_is_taken_is_an_error_that_says_so(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    address = free_address()
    flags = {**tiny_model(tiny_bert), "metrics_listen": address}
    async with sidecar(next_hop, **flags):
        with pytest.raises(ListenError, match=f"metrics_listen: cannot listen on {address}"):
            async with sidecar(next_hop, **flags):
                pass


async def test_what_was_opened_is_closed_when_the_address_is_taken(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    metrics_address = free_address()
    async with sidecar(next_hop, **{**tiny_model(tiny_bert), "listen": free_address()}) as parts:
        del parts
    listen = free_address()
    async with sidecar(next_hop, **{**tiny_model(tiny_bert), "listen": listen}):
        flags = {**tiny_model(tiny_bert), "listen": listen, "metrics_listen": metrics_address}
        for _ in range(2):
            with pytest.raises(ListenError, match=f"listen: cannot listen on {listen}"):
                async with sidecar(next_hop, **flags):
                    pass


@asynccontextmanager
async def process(next_hop: FakeNextHop, model_cache: Path) -> AsyncIterator[Sidecar]:
    """Run `otel-embedder serve` with the real model, already converted."""
    with ExitStack() as stack:
        started = running_sidecar(
            f"127.0.0.1:{next_hop.port}", settings=["--model-cache", str(model_cache)]
        )
        yield await asyncio.to_thread(stack.enter_context, started)
        next_hop.release()
        await asyncio.to_thread(stack.close)


def until_closed(port: int) -> None:
    """Wait until nobody listens on a port."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except OSError:
            return
    raise AssertionError("it goes on listening")


def port_of(sidecar: Sidecar) -> int:
    return int(sidecar.address.rpartition(":")[2])


@pytest.mark.integration
async def test_the_first_spans_are_embedded(next_hop: FakeNextHop, model_cache: Path) -> None:
    async with (
        process(next_hop, model_cache) as sidecar,
        Client(port_of(sidecar)) as client,
    ):
        await client.export(request(span("one"), span("two")))

    for annotated in next_hop.spans():
        assert strings_of(annotated)["embedding.source"] == "model"
        assert strings_of(annotated)["embedding.model_name"] == DEFAULT_MODEL
        assert vector_of(annotated).shape == (384,)
        assert np.linalg.norm(vector_of(annotated)) == pytest.approx(1, abs=1e-5)


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_what_is_in_flight_finish(
    next_hop: FakeNextHop, model_cache: Path, number: signal.Signals
) -> None:
    next_hop.hold()
    async with (
        process(next_hop, model_cache) as sidecar,
        Client(port_of(sidecar)) as client,
        Client(port_of(sidecar)) as newcomer,
    ):
        in_flight = asyncio.create_task(client.export(request(span())))
        await next_hop.arrived()
        sidecar.send_signal(number)
        await asyncio.to_thread(sidecar.wait_for_event, SERVICE_STOPPING)
        await asyncio.to_thread(until_closed, port_of(sidecar))
        refusal = await newcomer.refusal(request(span()))
        next_hop.release()
        response = await in_flight
        code = await asyncio.to_thread(sidecar.wait)
        await asyncio.to_thread(sidecar.wait_for_event, SERVICE_STOPPED)

    assert not response.HasField("partial_success")
    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    assert len(next_hop.spans()) == 1
    assert code == 0


@pytest.mark.integration
async def test_a_second_signal_ends_it_at_once(next_hop: FakeNextHop, model_cache: Path) -> None:
    next_hop.hold()
    async with (
        process(next_hop, model_cache) as sidecar,
        Client(port_of(sidecar)) as client,
    ):
        in_flight = asyncio.create_task(client.refusal(request(span())))
        await next_hop.arrived()
        sidecar.send_signal(signal.SIGTERM)
        await asyncio.to_thread(sidecar.wait_for_event, SERVICE_STOPPING)
        sidecar.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(sidecar.wait)
        refusal = await in_flight

    assert code == -signal.SIGTERM
    assert refusal.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_hangup_ends_nothing_and_is_told_once(
    next_hop: FakeNextHop, tmp_path: Path
) -> None:
    async with bare_process(next_hop, tmp_path) as sidecar, Client(port_of(sidecar)) as client:
        next_hop.hold()
        in_flight = asyncio.create_task(client.export(request(span())))
        await next_hop.arrived()
        sidecar.send_signal(signal.SIGHUP)
        await asyncio.to_thread(sidecar.wait_for_event, HANGUP_IGNORED)
        sidecar.send_signal(signal.SIGHUP)
        next_hop.release()
        await in_flight
        await client.export(request(span()))
        sidecar.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(sidecar.wait)

    assert len(sidecar.lines_with(HANGUP_IGNORED)) == 1
    assert code == 0


async def test_in_a_log_of_json_every_line_is_json(next_hop: FakeNextHop, tmp_path: Path) -> None:
    # gRPC itself complains of this one.
    unknown = [(b"grpc-encoding", b"zstd")]
    async with bare_process(next_hop, tmp_path) as sidecar:
        await call(port_of(sidecar), b"", unknown)
        await asyncio.to_thread(sidecar.stop)

    assert [json.loads(line)["event"] for line in sidecar.lines_with("")][-1] == SERVICE_STOPPED


async def test_who_wants_the_lines_of_grpc_gets_them(next_hop: FakeNextHop, tmp_path: Path) -> None:
    unknown = [(b"grpc-encoding", b"zstd")]
    async with bare_process(next_hop, tmp_path, GRPC_VERBOSITY="ERROR") as sidecar:
        await call(port_of(sidecar), b"", unknown)
        await asyncio.to_thread(sidecar.stop)

    assert sidecar.lines_with("grpc-encoding")


@asynccontextmanager
async def bare_process(
    next_hop: FakeNextHop, empty: Path, **environment: str
) -> AsyncIterator[Sidecar]:
    """Run `otel-embedder serve` with an empty directory for a model: its spans get nothing."""
    settings = ["--no-preload", "--model", str(empty), "--on-failure", "omit"]
    with ExitStack() as stack:
        started = running_sidecar(
            f"127.0.0.1:{next_hop.port}", settings=settings, environment=environment
        )
        yield await asyncio.to_thread(stack.enter_context, started)
        next_hop.release()
        await asyncio.to_thread(stack.close)


def serve(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_embedder", "serve", *flags],
        env=own_environment({}),
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=30,
    )


async def test_a_port_that_is_taken_ends_the_process_with_1_and_a_clear_line(
    next_hop: FakeNextHop,
) -> None:
    address = f"127.0.0.1:{next_hop.port}"
    finished = await asyncio.to_thread(
        serve, "--listen", address, "--metrics-listen", "", "--no-preload"
    )

    assert finished.returncode == 1
    assert f"cannot listen on {address}" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_bad_settings_end_the_process_with_2_and_a_line_for_each() -> None:
    finished = serve("--listen", "nowhere", "--cache-size", "7", "--encoding", "morse")

    assert finished.returncode == 2
    for flag in ("--listen", "--cache-size", "--encoding"):
        assert f"\n  {flag} is " in finished.stderr
    assert SERVICE_STARTED not in finished.stderr
    assert "Traceback" not in finished.stderr
