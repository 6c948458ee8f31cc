from __future__ import annotations

import asyncio
import math
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import grpc
import grpc.aio
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.errors import PermanentExportError, RetryableExportError
from otel_embedder.exporter import NextHop, OtlpExporter
from otel_embedder.receiver import TRACE_SERVICE
from otel_embedder.wire import parse_request
from tests.fakes import FakeMetrics
from tests.otlp_samples import field, request, span
from tests.peers import Answer, FakeNextHop, spans_in
from tests.processes import free_address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from otel_embedder.choices import Compression
    from otel_embedder.status import Metadata

pytestmark = pytest.mark.timeout(30)

NO_GZIP = (("grpc.compression_enabled_algorithms_bitset", 0b1),)
SPANS = [span(f"span {number}", {"filler": "x" * 200}) for number in range(40)]

OPENSSL = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
    *("-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
)


class Certificate(NamedTuple):
    """A certificate for localhost that vouches for itself."""

    file: Path
    key: Path

    def credentials(self) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials([(self.key.read_bytes(), self.file.read_bytes())])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    directory = tmp_path_factory.mktemp("certificate")
    made = Certificate(directory / "certificate.pem", directory / "key.pem")
    subprocess.run(
        [*OPENSSL, "-keyout", str(made.key), "-out", str(made.file)],
        capture_output=True,
        check=True,
    )
    return made


def exporting(
    url: str,
    *,
    metrics: FakeMetrics | None = None,
    headers: Mapping[str, str] | None = None,
    compression: Compression = "none",
    certificate: Path | None = None,
    timeout: float = 10,
    max_send_bytes: int = 4_000_000,
) -> OtlpExporter:
    return OtlpExporter(
        NextHop(url, headers=headers or {}, compression=compression, certificate=certificate),
        timeout=timeout,
        max_send_bytes=max_send_bytes,
        metrics=metrics or FakeMetrics(),
    )


async def send(
    exporter: OtlpExporter,
    message: ExportTraceServiceRequest,
    *,
    deadline: float = math.inf,
    metadata: Metadata = (),
) -> ExportTraceServiceResponse:
    parsed = parse_request(message.SerializeToString())
    return await exporter.export(parsed, deadline=deadline, metadata=metadata)


async def test_a_request_arrives_as_it_is(next_hop: FakeNextHop) -> None:
    metrics = FakeMetrics()
    async with exporting(next_hop.url, metrics=metrics) as exporter:
        response = await send(exporter, request(*SPANS))

    assert next_hop.requests == [request(*SPANS)]
    assert not response.HasField("partial_success")
    assert metrics.counts == {"sent": 40}


async def test_one_that_is_too_large_goes_in_several_with_each_span_once(
    next_hop: FakeNextHop,
) -> None:
    metrics = FakeMetrics()
    async with exporting(next_hop.url, metrics=metrics, max_send_bytes=2_000) as exporter:
        await send(exporter, request(*SPANS))

    assert len(next_hop.requests) > 1
    assert max(received.ByteSize() for received in next_hop.requests) <= 2_000
    assert next_hop.spans() == SPANS
    assert metrics.counts == {"sent": 40}
    assert {r.resource_spans[0].resource.SerializeToString() for r in next_hop.requests} == {
        request().resource_spans[0].resource.SerializeToString()
    }


async def test_after_a_refusal_the_rest_is_not_sent(next_hop: FakeNextHop) -> None:
    metrics = FakeMetrics()
    next_hop.answers = [Answer(), Answer(grpc.StatusCode.UNAVAILABLE)]
    async with exporting(next_hop.url, metrics=metrics, max_send_bytes=2_000) as exporter:
        with pytest.raises(RetryableExportError):
            await send(exporter, request(*SPANS))

    taken, refused = map(len, map(spans_in, next_hop.requests))
    assert metrics.counts == {"sent": taken, "send_failed": refused}


async def test_what_is_refused_for_good_does_not_take_the_rest_with_it(
    next_hop: FakeNextHop,
) -> None:
    metrics = FakeMetrics()
    next_hop.answers = [Answer(), Answer(grpc.StatusCode.INVALID_ARGUMENT, "not these")]
    async with exporting(next_hop.url, metrics=metrics, max_send_bytes=2_000) as exporter:
        response = await send(exporter, request(*SPANS))

    assert next_hop.spans() == SPANS
    assert len(next_hop.requests) > 2
    refused = len(spans_in(next_hop.requests[1]))
    assert response.partial_success.rejected_spans == refused
    assert "not these" in response.partial_success.error_message
    assert metrics.counts == {"sent": len(SPANS) - refused, "send_failed": refused}


async def test_what_is_refused_for_good_as_a_whole_is_refused(next_hop: FakeNextHop) -> None:
    next_hop.answers = [Answer(grpc.StatusCode.UNAUTHENTICATED, "who are you")] * len(SPANS)
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        with pytest.raises(PermanentExportError, match="who are you"):
            await send(exporter, request(*SPANS))


async def test_a_span_that_is_too_large_only_with_its_vector_goes_without(
    next_hop: FakeNextHop,
) -> None:
    metrics = FakeMetrics()
    small, large = span("small"), span("large", {"body": "x" * 1_500})
    wire = parse_request(request(small, large, small).SerializeToString())
    [(_, scope)] = wire.scopes()
    scope.appended = dict.fromkeys(range(3), field(9, field(1, b"k")) * 100)
    async with exporting(next_hop.url, metrics=metrics, max_send_bytes=2_000) as exporter:
        await exporter.export(wire, deadline=math.inf, metadata=())

    assert [each for each in next_hop.spans() if each.name == "large"] == [large]
    annotated = [each for each in next_hop.spans() if each.name == "small"]
    assert [len(each.attributes) for each in annotated] == [len(small.attributes) + 100] * 2
    assert metrics.counts == {"sent": 3, "sent_bare": 1}


async def test_an_answer_that_makes_no_sense_still_means_that_the_spans_were_taken() -> None:
    async def export(_: bytes, __: object) -> bytes:
        return b"\xff\xff"

    metrics = FakeMetrics()
    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Export": grpc.unary_unary_rpc_method_handler(export)
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(TRACE_SERVICE, handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with exporting(f"http://127.0.0.1:{port}", metrics=metrics) as exporter:
        response = await send(exporter, request(*SPANS))
    await server.stop(None)

    assert response == ExportTraceServiceResponse()
    assert metrics.counts == {"sent": len(SPANS)}


async def test_a_proxy_for_the_web_is_not_on_the_way(
    next_hop: FakeNextHop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with exporting(next_hop.url) as exporter:
        await send(exporter, request(*SPANS))

    assert next_hop.spans() == SPANS


async def test_configured_headers_go_along_and_before_the_callers(next_hop: FakeNextHop) -> None:
    async with exporting(next_hop.url, headers={"tenant": "ours", "key": "secret"}) as exporter:
        await send(
            exporter,
            request(*SPANS),
            metadata=(("tenant", "theirs"), ("x-own", "own"), ("own-bin", b"\x00\xff")),
        )

    sent = [
        (key, value)
        for key, value in next_hop.metadata[0]
        if key in {"tenant", "key", "x-own", "own-bin"}
    ]
    assert sorted(sent) == [
        ("key", "secret"),
        ("own-bin", b"\x00\xff"),
        ("tenant", "ours"),
        ("x-own", "own"),
    ]


async def test_every_chunk_has_the_headers(next_hop: FakeNextHop) -> None:
    async with exporting(next_hop.url, headers={"key": "secret"}, max_send_bytes=2_000) as exporter:
        await send(exporter, request(*SPANS))

    assert all(("key", "secret") in metadata for metadata in next_hop.metadata)


async def test_a_call_takes_no_longer_than_configured(next_hop: FakeNextHop) -> None:
    next_hop.hold()
    async with exporting(next_hop.url, timeout=0.2) as exporter:
        with pytest.raises(RetryableExportError, match="DEADLINE_EXCEEDED"):
            await send(exporter, request(*SPANS))

    assert next_hop.time_remaining[0] <= 0.2


async def test_a_call_takes_no_longer_than_its_caller_waits(next_hop: FakeNextHop) -> None:
    deadline = asyncio.get_running_loop().time() + 5
    async with exporting(next_hop.url) as exporter:
        await send(exporter, request(*SPANS), deadline=deadline)

    # gRPC sends a timeout of its own, rounded up.
    assert 3 < next_hop.time_remaining[0] < 5.5


async def test_a_deadline_that_has_passed_may_be_tried_again(next_hop: FakeNextHop) -> None:
    metrics = FakeMetrics()
    deadline = asyncio.get_running_loop().time() - 1
    async with exporting(next_hop.url, metrics=metrics) as exporter:
        with pytest.raises(RetryableExportError, match="DEADLINE_EXCEEDED"):
            await send(exporter, request(*SPANS), deadline=deadline)

    assert metrics.counts == {"send_failed": 40}


async def test_a_caller_that_leaves_ends_the_call(next_hop: FakeNextHop) -> None:
    next_hop.hold()
    async with exporting(next_hop.url) as exporter:
        task = asyncio.create_task(send(exporter, request(*SPANS)))
        await next_hop.arrived()
        task.cancel()
        async with asyncio.timeout(10):
            await next_hop.was_left.wait()
        await asyncio.wait([task])

    assert task.cancelled()


async def test_gzip_is_used_where_it_is_configured() -> None:
    """A server that knows no gzip refuses it, and that is how we see it."""
    async with FakeNextHop(options=NO_GZIP) as next_hop:
        async with exporting(next_hop.url, compression="gzip") as exporter:
            with pytest.raises(PermanentExportError, match=r"(?i)gzip"):
                await send(exporter, request(*SPANS))
        async with exporting(next_hop.url, compression="none") as exporter:
            await send(exporter, request(*SPANS))

    assert len(next_hop.requests) == 1


async def test_gzip_arrives_as_it_is(next_hop: FakeNextHop) -> None:
    async with exporting(next_hop.url, compression="gzip") as exporter:
        await send(exporter, request(*SPANS))

    assert next_hop.requests == [request(*SPANS)]


async def test_where_nobody_listens_it_may_be_tried_again() -> None:
    metrics = FakeMetrics()
    async with exporting(f"http://{free_address()}", metrics=metrics) as exporter:
        with pytest.raises(RetryableExportError, match="UNAVAILABLE") as raised:
            await send(exporter, request(*SPANS))

    assert raised.value.retry_after is None
    assert metrics.counts == {"send_failed": 40}


async def test_a_next_hop_that_comes_back_is_found_again() -> None:
    async with FakeNextHop() as first, exporting(first.url) as exporter:
        await send(exporter, request(*SPANS))
        await first.stop()
        async with FakeNextHop(port=first.port) as second, asyncio.timeout(10):
            await reconnected(exporter)
            await send(exporter, request(*SPANS))

    assert second.requests == [request(*SPANS)]


async def reconnected(exporter: OtlpExporter) -> None:
    """Wait until the channel has found out that nobody is there, and then that somebody is."""
    await exporter._channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
    await exporter._channel.channel_ready()


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
async def test_the_next_hops_wish_to_wait_is_passed_on(next_hop: FakeNextHop, code: str) -> None:
    next_hop.answers = [Answer(grpc.StatusCode[code], "busy", retry_after=1.7)]
    async with exporting(next_hop.url) as exporter:
        with pytest.raises(RetryableExportError, match=f"{code}: busy") as raised:
            await send(exporter, request(*SPANS))

    assert raised.value.retry_after == 1.7


@pytest.mark.parametrize(
    "code",
    ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"],
)
async def test_what_a_collector_would_retry_may_be_tried_again(
    next_hop: FakeNextHop, code: str
) -> None:
    next_hop.answers = [Answer(grpc.StatusCode[code])]
    async with exporting(next_hop.url) as exporter:
        with pytest.raises(RetryableExportError):
            await send(exporter, request(*SPANS))


@pytest.mark.parametrize(
    "code",
    [
        *("INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED"),
        *("INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED"),
    ],
)
async def test_what_a_collector_would_drop_keeps_its_code(next_hop: FakeNextHop, code: str) -> None:
    next_hop.answers = [Answer(grpc.StatusCode[code], "no")]
    async with exporting(next_hop.url) as exporter:
        with pytest.raises(PermanentExportError, match=f"{code}: no") as raised:
            await send(exporter, request(*SPANS))

    assert raised.value.code == grpc.StatusCode[code].value[0]


async def test_status_details_that_are_garbage_do_not_hide_the_status(
    next_hop: FakeNextHop,
) -> None:
    next_hop.answers = [
        Answer(grpc.StatusCode.PERMISSION_DENIED, "no", status_details=b"\xff\xff\xff")
    ]
    async with exporting(next_hop.url) as exporter:
        with pytest.raises(PermanentExportError, match="PERMISSION_DENIED: no"):
            await send(exporter, request(*SPANS))


async def test_partial_success_is_summed_up(next_hop: FakeNextHop) -> None:
    next_hop.answers = [
        Answer(rejected=2, message="too old"),
        Answer(),
        Answer(rejected=1, message="too new"),
        Answer(message="a warning"),
    ]
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        response = await send(exporter, request(*SPANS))

    assert len(next_hop.requests) >= 4
    assert response.partial_success.rejected_spans == 3
    assert response.partial_success.error_message == "too old; too new; a warning"


async def test_tls_to_a_next_hop_that_the_certificate_vouches_for(
    certificate: Certificate,
) -> None:
    async with (
        FakeNextHop(credentials=certificate.credentials()) as next_hop,
        exporting(next_hop.url, certificate=certificate.file) as exporter,
    ):
        await send(exporter, request(*SPANS))

    assert next_hop.url.startswith("https://")
    assert next_hop.requests == [request(*SPANS)]


async def test_a_next_hop_that_nobody_vouches_for_gets_no_spans(certificate: Certificate) -> None:
    async with (
        FakeNextHop(credentials=certificate.credentials()) as next_hop,
        exporting(next_hop.url) as exporter,
    ):
        with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
            await send(exporter, request(*SPANS))

    assert next_hop.requests == []
