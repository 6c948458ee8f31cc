from __future__ import annotations

import asyncio
import gc
import gzip
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
import structlog
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from structlog.testing import capture_logs

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.errors import (
    BusyError,
    EmbeddingFailedError,
    ListenError,
    LoopError,
    MalformedRequestError,
    PermanentExportError,
    RequestTooLargeError,
    RetryableExportError,
)
from otel_embedder.fairness import Turns
from otel_embedder.otlp.names import TRACE_SERVICE
from otel_embedder.otlp.status import LOOP_RETRY_SECONDS
from otel_embedder.otlp.wire import RequestReader
from otel_embedder.otlp.wire import Span as WireSpan
from otel_embedder.pipeline.processor import Processor
from otel_embedder.receiver.calls import REQUEST_CANCELLED, REQUEST_FAILED
from otel_embedder.receiver.closing import Closing
from otel_embedder.receiver.intake.hops import HOPS_KEY
from otel_embedder.receiver.server import listening
from otel_embedder.receiver.traces import TraceReceiver
from otel_embedder.settings import load_settings
from otel_embedder.telemetry.logs import configure_logs
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.door import ASSUMED_DEADLINE, new_calls, new_messages
from tests.support.fakes import (
    FAKE_MODEL,
    PATIENCE,
    FakeConsumer,
    FakeExporter,
    FakeMetrics,
    FakeSpanEmbedder,
)
from tests.support.otlp_samples import field, request, span
from tests.support.peers import Client, retry_after

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from otel_embedder.otlp.call import Call
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.receiver.traces import Consumer
    from otel_embedder.telemetry.settings import LogFormat

    Stream = grpc.aio.StreamUnaryMultiCallable[bytes, bytes]
    Reflection = grpc.aio.StreamStreamMultiCallable[
        reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
    ]

pytestmark = pytest.mark.timeout(120)

NOT_PROTOBUF = b"\xff\xff\xff"
NAME = 5  # of Span
A_SPAN = span().SerializeToString()


def request_of(encoded_span: bytes, *, resource: bytes = b"") -> bytes:
    """Encode a request by hand, around a span that may not be one."""
    return field(1, field(1, resource) + field(2, field(2, encoded_span)))


MALFORMED = {
    "request": NOT_PROTOBUF,
    "resource spans": field(1, NOT_PROTOBUF),
    "resource": request_of(A_SPAN, resource=NOT_PROTOBUF),
    "scope spans": field(1, field(2, NOT_PROTOBUF)),
    "span": request_of(NOT_PROTOBUF),
    "attribute": request_of(field(9, NOT_PROTOBUF)),
    "attribute's value": request_of(field(9, field(1, b"key") + field(2, NOT_PROTOBUF))),
    "array in an attribute": request_of(
        field(9, field(1, b"key") + field(2, field(5, NOT_PROTOBUF)))
    ),
    "status": request_of(field(15, NOT_PROTOBUF)),
    "exception event": request_of(field(11, b"exception" + NOT_PROTOBUF)),
    "span that was cut short": request_of(A_SPAN[:-1]),
}


@asynccontextmanager
async def receiving(
    consumer: Consumer,
    *,
    metrics: FakeMetrics | None = None,
    compression: grpc.Compression | None = None,
    **flags: object,
) -> AsyncIterator[Client]:
    """Run the receiver on a free port, and give a client of it."""
    metrics = metrics or FakeMetrics()
    settings = load_settings({"listen": "127.0.0.1:0", **flags})
    messages = new_messages(metrics, max_bytes=settings.max_receive_bytes)
    receiver = TraceReceiver(consumer, new_calls(metrics), messages, metrics=metrics)
    async with (
        listening([receiver.rpc_handler()], settings, Closing()) as port,
        Client(port, compression=compression) as client,
    ):
        yield client


def processing(exporter: FakeExporter) -> Processor:
    options = RenderOptions(profile="template")
    return Processor(
        new_renderer(options),
        FakeSpanEmbedder(),
        Annotator(
            Origin(FAKE_MODEL, options.version()),
            encoding="bytes",
            prefix="embedding.",
            attach_text=False,
            max_remembered=100,
        ),
        exporter,
        embed_timeout=1,
        turns=Turns(seconds=0),
        metrics=FakeMetrics(),
    )


async def test_spans_are_handed_on_and_counted() -> None:
    consumer, metrics = FakeConsumer(), FakeMetrics()
    sent = request(span("one"), span("two"))
    async with receiving(consumer, metrics=metrics) as client:
        response = await client.export(sent)

    assert consumer.requests == [sent]
    assert response == ExportTraceServiceResponse()
    assert metrics.counts == {"accepted": 2}


@pytest.mark.parametrize("empty", [ExportTraceServiceRequest(), request()], ids=["bytes", "spans"])
async def test_an_empty_request_succeeds(empty: ExportTraceServiceRequest) -> None:
    consumer = FakeConsumer()
    async with receiving(consumer) as client:
        response = await client.export(empty)

    assert response == ExportTraceServiceResponse()
    assert consumer.requests == []


@pytest.mark.parametrize("encoded", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_not_valid_protobuf_is_an_invalid_argument(encoded: bytes) -> None:
    exporter, metrics = FakeExporter(), FakeMetrics()
    async with receiving(processing(exporter), metrics=metrics) as client:
        refusal = await client.refusal(encoded)

    assert refusal.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert exporter.requests == []
    assert metrics.counts["accepted"] == 0


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_what_grpc_compresses_with_is_understood(compression: grpc.Compression) -> None:
    consumer = FakeConsumer()
    sent = request(*[span("one")] * 500)
    async with receiving(consumer, compression=compression) as client:
        await client.export(sent)

    assert consumer.requests == [sent]


async def test_64_mib_are_taken_and_not_a_byte_more() -> None:
    consumer = FakeConsumer()
    limit = 64 * 1024 * 1024
    overhead = len(request_of(field(NAME, b"a" * (limit - 100)))) - (limit - 100)
    largest = request_of(field(NAME, b"a" * (limit - overhead)))
    async with receiving(consumer) as client:
        await client.export(largest)
        refusal = await client.refusal(largest + field(1, b""))

    assert len(largest) == limit
    assert len(consumer.requests) == 1
    assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_the_limit_is_for_what_gzip_unpacks_to() -> None:
    consumer = FakeConsumer()
    async with receiving(
        consumer, compression=grpc.Compression.Gzip, max_receive_bytes=10_000
    ) as client:
        await client.export(request_of(field(NAME, bytes(9_000))))
        refusal = await client.refusal(request_of(field(NAME, bytes(11_000))))

    assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(consumer.requests) == 1


@pytest.mark.parametrize(
    "error",
    [ValueError("oh"), MemoryError(), RecursionError(), TimeoutError(), StopAsyncIteration()],
    ids=repr,
)
async def test_no_error_of_ours_loses_the_spans(error: Exception) -> None:
    metrics = FakeMetrics()
    with capture_logs() as logs:
        async with receiving(FakeConsumer(error), metrics=metrics) as client:
            refusal = await client.refusal(request(span(), span()))

    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    assert refusal.details() == f"unexpected {type(error).__name__}"
    assert metrics.counts == {"refused": 2}
    assert [line["event"] for line in logs] == [REQUEST_FAILED]


class Refusing:
    """Refuses what comes, and keeps nothing of it."""

    async def consume(self, _: TraceRequest, __: Call) -> ExportTraceServiceResponse:
        raise RetryableExportError("later")


@pytest.fixture
def _no_search_for_rings() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_search_for_rings")
@pytest.mark.parametrize("encoded", [request(span(), span()).SerializeToString(), NOT_PROTOBUF])
async def test_nothing_of_a_refused_request_waits_for_python_to_look_for_rings(
    encoded: bytes,
) -> None:
    def held() -> int:
        return sum(isinstance(each, (WireSpan, RequestReader)) for each in gc.get_objects())

    before = held()
    async with receiving(Refusing()) as client:
        for _ in range(3):
            await client.refusal(encoded)

    assert held() == before


@pytest.fixture
def _logs_to_stderr() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logs_to_stderr")
@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_an_error_in_the_log_tells_no_secrets(
    capsys: pytest.CaptureFixture[str], log_format: LogFormat
) -> None:
    configure_logs(log_format, "info")
    secret = (("authorization", "Bearer hunter2"),)
    async with receiving(FakeConsumer(ValueError("oh"))) as client:
        refusal = await client.refusal(request(span("hunter3")), metadata=secret)
    logged = capsys.readouterr().err

    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    assert REQUEST_FAILED in logged
    assert "ValueError" in logged
    assert "hunter" not in logged


@pytest.mark.parametrize(
    ("error", "code", "delay"),
    [
        (RetryableExportError("later"), grpc.StatusCode.UNAVAILABLE, None),
        (RetryableExportError("later", retry_after=1.7), grpc.StatusCode.UNAVAILABLE, 1.7),
        (RetryableExportError("now", retry_after=0.0), grpc.StatusCode.UNAVAILABLE, 0.0),
        (PermanentExportError("never", code=7), grpc.StatusCode.PERMISSION_DENIED, None),
        (PermanentExportError("never", code=8), grpc.StatusCode.RESOURCE_EXHAUSTED, None),
        (BusyError("too much", retry_after=0.7), grpc.StatusCode.UNAVAILABLE, 0.7),
        (LoopError("again"), grpc.StatusCode.UNAVAILABLE, LOOP_RETRY_SECONDS),
        (RequestTooLargeError("too large"), grpc.StatusCode.RESOURCE_EXHAUSTED, None),
        (MalformedRequestError("no protobuf"), grpc.StatusCode.INVALID_ARGUMENT, None),
        (EmbeddingFailedError("a fault of ours"), grpc.StatusCode.UNAVAILABLE, None),
    ],
    ids=repr,
)
async def test_the_status_tells_the_collector_what_to_do(
    error: Exception, code: grpc.StatusCode, delay: float | None
) -> None:
    metrics = FakeMetrics()
    with capture_logs() as logs:
        async with receiving(FakeConsumer(error), metrics=metrics) as client:
            refusal = await client.refusal(request(span()))

    assert refusal.code() is code
    assert retry_after(refusal) == delay
    assert metrics.counts == {"refused": 1}
    assert logs == []


@pytest.mark.parametrize("seconds", [2.0**63, -1.0, math.nan, math.inf, -math.inf])
async def test_a_time_that_no_clock_has_loses_no_span(seconds: float) -> None:
    consumer = FakeConsumer(RetryableExportError("later", retry_after=seconds))
    async with receiving(consumer) as client:
        refusal = await client.refusal(request(span()))

    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    wait = retry_after(refusal)
    assert wait is not None
    assert 0 <= wait <= 3600


async def test_words_of_the_next_hops_that_cannot_be_sent_lose_no_span() -> None:
    consumer = FakeConsumer(RetryableExportError("\ud800\0" + "x" * 100_000, retry_after=1))
    async with receiving(consumer) as client:
        refusal = await client.refusal(request(span()))

    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    assert str(refusal.details()).startswith("?")


async def test_what_a_request_takes_besides_is_in_flight_with_it() -> None:
    metrics = FakeMetrics()
    messages = new_messages(metrics, max_bytes=10_000, max_inflight_bytes=10_000)
    consumer = GrowingConsumer(6_000)
    receiver = TraceReceiver(consumer, new_calls(metrics), messages, metrics=metrics)
    settings = load_settings({"listen": "127.0.0.1:0"})
    async with (
        listening([receiver.rpc_handler()], settings, Closing()) as port,
        Client(port) as client,
    ):
        first = asyncio.create_task(client.export(request(span())))
        await consumer.grown.acquire()
        refusal = await client.refusal(request(span()))
        consumer.free.set()
        await first
        await client.export(request(span()))

    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    assert "requests of" in str(refusal.details())


class GrowingConsumer:
    """Lets each request take more, and keeps it until it is free."""

    def __init__(self, more: int) -> None:
        self.grown = asyncio.Semaphore(0)
        self.free = asyncio.Event()
        self._more = more

    async def consume(self, _: TraceRequest, call: Call) -> ExportTraceServiceResponse:
        call.grow(self._more)
        self.grown.release()
        await self.free.wait()
        return ExportTraceServiceResponse()


async def test_spans_whose_caller_leaves_are_counted_and_told_once() -> None:
    metrics, consumer = WatchedMetrics(), GrowingConsumer(0)
    with capture_logs() as logs:
        async with receiving(consumer, metrics=metrics) as client:
            for _ in range(3):
                leaving = asyncio.create_task(client.export(request(span(), span())))
                await consumer.grown.acquire()
                leaving.cancel()
                await asyncio.wait_for(metrics.left.acquire(), PATIENCE)

    assert metrics.counts == {"cancelled": 6, "caller_left": 3}
    assert [(line["event"], line["calls"]) for line in logs] == [(REQUEST_CANCELLED, 1)]


async def test_a_request_whose_caller_leaves_before_it_is_read_is_counted() -> None:
    metrics = WatchedMetrics()
    async with receiving(FakeConsumer(), metrics=metrics) as client:
        export: Stream = client.channel.stream_unary(f"/{TRACE_SERVICE}/Export")
        call = export()
        await call.wait_for_connection()
        await client.health("")  # and so the call has come before
        call.cancel()
        await asyncio.wait_for(metrics.left.acquire(), PATIENCE)

    assert metrics.counts == {"caller_left": 1}


class WatchedMetrics(FakeMetrics):
    """Tells when a caller has left."""

    def __init__(self) -> None:
        super().__init__()
        self.left = asyncio.Semaphore(0)

    def caller_left(self) -> None:
        super().caller_left()
        self.left.release()


async def test_a_bomb_of_empty_messages_goes_off_no_further_than_it_may() -> None:
    metrics = FakeMetrics()
    async with receiving(FakeConsumer(), metrics=metrics) as client:
        refusal = await client.refusal(gzip.compress(field(1, b"") * 500_000))
        await client.export(request(span()))

    assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert metrics.counts == {"accepted": 1}


async def test_partial_success_is_passed_back() -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 3
    response.partial_success.error_message = "too old"
    async with receiving(FakeConsumer(response)) as client:
        answer = await client.export(request(span()))

    assert answer == response


async def test_the_callers_own_headers_go_on_and_the_connections_do_not() -> None:
    consumer = FakeConsumer()
    own = (
        ("authorization", "Bearer abc"),
        ("x-scope-orgid", "shop"),
        ("trace-context-bin", b"\x00\xff"),
    )
    async with receiving(consumer) as client:
        await client.export(request(span()), metadata=own)

    *passed_on, (hops, _) = consumer.calls[0].metadata
    assert sorted(passed_on) == sorted(own)
    assert hops == HOPS_KEY


@pytest.mark.parametrize("name", ["tenant", "tenant-id", "team", "hostname", "host-id", "test"])
async def test_a_header_whose_name_only_begins_like_the_connections_goes_on(name: str) -> None:
    consumer = FakeConsumer()
    async with receiving(consumer) as client:
        await client.export(request(span()), metadata=((name, "shop"),))

    assert consumer.calls[0].metadata[:-1] == ((name, "shop"),)


async def test_the_callers_deadline_goes_on() -> None:
    consumer = FakeConsumer()
    async with receiving(consumer) as client:
        started = asyncio.get_running_loop().time()
        await client.export(request(span()), timeout=7)
        await client.export(request(span()), timeout=None)

    assert consumer.calls[0].deadline == pytest.approx(started + 7, abs=2)
    # Nobody waits for ever: OTLP's own is ten seconds.
    assert consumer.calls[1].deadline == pytest.approx(started + ASSUMED_DEADLINE, abs=2)


@pytest.mark.parametrize("service", ["", TRACE_SERVICE])
async def test_health_says_that_it_serves(service: str) -> None:
    async with receiving(FakeConsumer()) as client:
        status = await client.health(service)

    assert status == health_pb2.HealthCheckResponse.SERVING


async def test_health_knows_no_other_service() -> None:
    async with receiving(FakeConsumer()) as client:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await client.health("shop.Checkout")

    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_and_describes_the_services() -> None:
    questions = (
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=TRACE_SERVICE),
    )
    async with receiving(FakeConsumer()) as client:
        ask: Reflection = client.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        listed, described = [answer async for answer in ask(iter(questions))]

    names = {service.name for service in listed.list_services_response.service}
    assert {TRACE_SERVICE, "grpc.health.v1.Health"} <= names
    assert b"TraceService" in described.file_descriptor_response.file_descriptor_proto[0]


async def test_a_second_receiver_on_the_same_address_is_an_error_that_says_so() -> None:
    async with listening([], load_settings({"listen": "127.0.0.1:0"}), Closing()) as port:
        address = f"127.0.0.1:{port}"
        with pytest.raises(ListenError, match=f"cannot listen on {address}"):
            async with listening([], load_settings({"listen": address}), Closing()):
                pass
