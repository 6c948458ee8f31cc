from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest
from structlog.testing import capture_logs

from otel_embedder.errors import SettingsError
from otel_embedder.exporter.own_signal import TELEMETRY_FAILING
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.checks import CHECKS
from otel_embedder.telemetry.otlp.resource import OWN_SCOPE
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.listener import Listener
from tests.support.otlp_samples import request, span
from tests.support.peers import Answer, FakeNextHop
from tests.support.processes import free_address, python

if TYPE_CHECKING:
    from pathlib import Path

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
STAGES = ["render", "embed", "attach", "forward"]


async def test_metrics_are_pushed_again_and_again_and_in_the_end(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    async with Listener() as listener:
        flags = {
            **tiny_model(tiny_bert),
            "metrics_otlp_endpoint": listener.url,
            "metrics_otlp_interval": 1.0,
            "telemetry_resource": "k8s.pod.name=a,service.name=mine",
        }
        async with sidecar_in_process(next_hop.url, **flags) as parts:
            await listener.heard(2)
            await parts.client.export(request(span("a"), span("b")))

    accepted = listener.last_metrics()["otel_embedder_receiver_accepted_spans_total"]
    assert accepted.sum.data_points[0].as_double == 2
    said = listener.metrics[-1].resource_metrics[0].resource.attributes
    resource = {each.key: each.value.string_value for each in said}
    assert resource["service.name"] == "mine"
    assert resource["k8s.pod.name"] == "a"
    assert resource["service.instance.id"]


async def test_a_request_is_told_as_spans_of_its_callers_trace(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    async with Listener() as listener:
        flags = {**tiny_model(tiny_bert), "traces_otlp_endpoint": listener.url}
        async with sidecar_in_process(next_hop.url, **flags) as parts:
            await parts.client.export(request(span("a")), metadata=CALLER)

    *stages, whole = listener.spans()
    assert [stage.name for stage in stages] == STAGES
    assert {stage.parent_span_id for stage in stages} == {whole.span_id}
    assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == (TRACE, PARENT)
    passed_on = dict(next_hop.metadata[0])["traceparent"]
    assert passed_on == f"00-{TRACE}-{stages[-1].span_id.hex()}-01"


async def test_a_request_that_is_refused_is_told_with_its_status(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    next_hop.answers = [Answer(grpc.StatusCode.UNIMPLEMENTED)]
    async with Listener() as listener:
        flags = {**tiny_model(tiny_bert), "traces_otlp_endpoint": listener.url}
        async with sidecar_in_process(next_hop.url, **flags) as parts:
            error = await parts.client.refusal(request(span("a")))

    codes = {each.key: each.value.int_value for each in listener.spans()[-1].attributes}
    assert codes["rpc.grpc.status_code"] == error.code().value[0]


async def test_own_spans_that_come_by_are_passed_on_bare_and_not_told_of(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    own = request(span("Export"))
    own.resource_spans[0].scope_spans[0].scope.name = OWN_SCOPE
    async with Listener() as listener:
        flags = {**tiny_model(tiny_bert), "traces_otlp_endpoint": listener.url}
        async with sidecar_in_process(next_hop.url, **flags) as parts:
            await parts.client.export(own)

    assert next_hop.requests == [own]
    assert listener.spans() == []
    assert parts.metrics.value("passed_spans_total", standing="own") == 1


async def test_spans_pass_where_nobody_takes_what_is_told(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    nowhere = f"http://{free_address()}"
    flags = {
        **tiny_model(tiny_bert),
        "metrics_otlp_endpoint": nowhere,
        "metrics_otlp_interval": 1.0,
        "traces_otlp_endpoint": nowhere,
    }
    with capture_logs() as logs:
        async with sidecar_in_process(next_hop.url, **flags) as parts:
            for _ in range(3):
                await parts.client.export(request(span("a")))

    assert len(next_hop.spans()) == 3
    failing = [line["signal"] for line in logs if line["event"] == TELEMETRY_FAILING]
    assert sorted(failing) == ["metrics", "traces"]


async def test_what_the_endpoint_refuses_is_counted_by_signal(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    async with Listener(*[grpc.StatusCode.UNAUTHENTICATED] * 9) as listener:
        flags = {
            **tiny_model(tiny_bert),
            "metrics_otlp_endpoint": listener.url,
            "metrics_otlp_interval": 3_600.0,
            "traces_otlp_endpoint": listener.url,
        }
        async with sidecar_in_process(next_hop.url, **flags) as parts:
            await parts.client.export(request(span("a")))

    for signal, came in (("metrics", listener.metrics), ("traces", listener.traces)):
        failed = parts.metrics.value("telemetry_send_failed_requests_total", signal=signal)
        assert failed == len(came) > 0


async def test_spans_pass_and_the_sidecar_ends_where_somebody_hangs(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    async with Listener() as listener:
        listener.hang()
        flags = {
            **tiny_model(tiny_bert),
            "metrics_otlp_endpoint": listener.url,
            "traces_otlp_endpoint": listener.url,
            "telemetry_timeout": 3_600.0,
        }
        async with sidecar_in_process(next_hop.url, **flags) as parts:
            await parts.client.export(request(span("a")))
            await listener.heard()
            await parts.client.export(request(span("b")))

    assert [each.name for each in next_hop.spans()] == ["a", "b"]


async def test_what_is_being_told_when_the_sidecar_ends_is_told_to_the_end(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    async with Listener() as listener:
        listener.hang()
        flags = {**tiny_model(tiny_bert), "traces_otlp_endpoint": listener.url}
        async with sidecar_in_process(next_hop.url, **flags) as parts:
            await parts.client.export(request(span("a")))
            await listener.heard()
            await parts.client.export(request(span("b")))
            asyncio.get_running_loop().call_later(0.1, listener.go_on)
        answered = listener.answered

    assert answered == 2


@pytest.mark.parametrize("name", ["metrics_otlp_endpoint", "traces_otlp_endpoint"])
def test_the_sidecar_does_not_tell_itself_of_itself(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"listen": "0.0.0.0:4327", name: "http://localhost:4327"}, CHECKS)

    assert any(
        said.startswith(f"--{name.replace('_', '-')}")
        and "where this sidecar itself listens (0.0.0.0:4327)" in said
        for said in caught.value.problems
    )


async def test_who_asks_for_nothing_has_the_callers_headers_passed_on(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    async with sidecar_in_process(next_hop.url, **tiny_model(tiny_bert)) as parts:
        await parts.client.export(request(span("a")), metadata=CALLER)

    assert dict(next_hop.metadata[0])["traceparent"] == CALLER[0][1]


def test_nothing_of_it_is_loaded_before_somebody_asks_for_it() -> None:
    loaded = python("import otel_embedder.sidecar.sidecar, sys; print(*sys.modules)").split()

    assert "otel_embedder.sidecar.own_telemetry" in loaded
    assert {"opentelemetry.sdk", "otel_embedder.telemetry.otlp.metrics"} & {*loaded} == set()
