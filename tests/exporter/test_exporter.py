from __future__ import annotations

import asyncio
import gc
import math
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otel_embedder.errors import PermanentExportError, RetryableExportError
from otel_embedder.otlp.names import TRACE_SERVICE
from otel_embedder.otlp.wire import parse_request
from tests.support.export_server import ExportServer
from tests.support.exporting import exporting, send
from tests.support.fakes import FakeMetrics
from tests.support.otlp_samples import field, request, span
from tests.support.peers import Answer, FakeNextHop, spans_in
from tests.support.processes import free_address
from tests.support.wire import annotate_all

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.otlp.call import Metadata
    from otel_embedder.otlp.wire import TraceRequest
    from tests.support.export_server import Handler

pytestmark = pytest.mark.timeout(120)

NO_GZIP = (("grpc.compression_enabled_algorithms_bitset", 0b1),)
LARGE_SPANS = [span(f"span {number}", {"filler": "x" * 10_000}) for number in range(40)]
SPANS = [span(f"span {number}", {"filler": "x" * 200}) for number in range(40)]


def too_large(limit: str = "") -> Answer:
    return Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, f"message larger than max {limit}")


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


async def test_a_request_of_which_nothing_was_taken_is_left_to_the_caller(
    next_hop: FakeNextHop,
) -> None:
    metrics = FakeMetrics()
    next_hop.answers = [Answer(grpc.StatusCode.UNAVAILABLE)]
    async with exporting(next_hop.url, metrics=metrics, max_send_bytes=2_000) as exporter:
        with pytest.raises(RetryableExportError):
            await send(exporter, request(*SPANS))

    [refused] = map(len, map(spans_in, next_hop.requests))
    assert metrics.counts == {"send_failed": refused}


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
    annotate_all(wire, field(9, field(1, b"k")) * 100)
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

    # gRPC sends a timeout of its own, rounded up.
    assert next_hop.time_remaining[0] < 0.25


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


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED"])
async def test_once_a_part_was_taken_the_rest_is_sent_again_here(
    next_hop: FakeNextHop, code: str
) -> None:
    metrics = FakeMetrics()
    refusal = Answer(grpc.StatusCode[code])
    next_hop.answers = [Answer(), refusal, refusal]
    async with exporting(next_hop.url, metrics=metrics, max_send_bytes=2_000) as exporter:
        response = await send(exporter, request(*SPANS))

    taken, *refused = next_hop.requests[:3]
    assert refused == [next_hop.requests[3]] * 2
    assert spans_in(taken) + next_hop.spans()[len(spans_in(taken)) * 3 :] == SPANS
    assert response == ExportTraceServiceResponse()
    assert metrics.counts == {"sent": 40, "send_retried": 2 * len(spans_in(refused[0]))}


async def test_the_next_hops_wish_to_wait_is_met(next_hop: FakeNextHop) -> None:
    next_hop.answers = [Answer(), Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=0.7)]
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with exporting(next_hop.url, max_send_bytes=5_000) as exporter:
        await send(exporter, request(*SPANS))

    assert loop.time() - started >= 0.7
    assert next_hop.requests[1] == next_hop.requests[2]


@pytest.mark.parametrize("wish", [1.0, 60.0])
async def test_what_would_take_longer_than_the_caller_waits_is_left_to_it(
    next_hop: FakeNextHop, wish: float
) -> None:
    metrics = FakeMetrics()
    next_hop.answers = [Answer(), *[Answer(grpc.StatusCode.UNAVAILABLE, retry_after=wish)] * 9]
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 1.1
    async with exporting(next_hop.url, metrics=metrics, max_send_bytes=2_000) as exporter:
        with pytest.raises(RetryableExportError) as raised:
            await send(exporter, request(*SPANS), deadline=deadline)

    assert loop.time() < deadline - 0.2
    assert raised.value.retry_after == wish
    taken, refused = map(len, map(spans_in, next_hop.requests))
    assert metrics.counts == {"sent": taken, "send_failed": refused}


async def test_a_caller_that_waits_for_ever_hears_after_the_time_of_one_call(
    next_hop: FakeNextHop,
) -> None:
    next_hop.answers = [Answer(), *[Answer(grpc.StatusCode.UNAVAILABLE)] * 99]
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with exporting(next_hop.url, timeout=0.5, max_send_bytes=2_000) as exporter:
        with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
            await send(exporter, request(*SPANS))

    assert loop.time() - started < 2
    assert len(next_hop.requests) > 2


async def test_a_caller_that_leaves_ends_the_waiting_too(next_hop: FakeNextHop) -> None:
    next_hop.answers = [Answer(), Answer(grpc.StatusCode.UNAVAILABLE, retry_after=60)]
    async with exporting(next_hop.url, timeout=90, max_send_bytes=2_000) as exporter:
        task = asyncio.create_task(send(exporter, request(*SPANS)))
        await next_hop.arrived(2)
        task.cancel()
        await asyncio.wait([task], timeout=10)

    assert task.cancelled()
    assert len(next_hop.requests) == 2


async def test_what_was_taken_for_now_and_refused_for_good_adds_up(next_hop: FakeNextHop) -> None:
    next_hop.answers = [
        Answer(grpc.StatusCode.INVALID_ARGUMENT, "not these"),
        Answer(rejected=1, message="nor this"),
        Answer(grpc.StatusCode.UNAVAILABLE),
        Answer(grpc.StatusCode.INVALID_ARGUMENT, "nor those"),
    ]
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        response = await send(exporter, request(*SPANS))

    first, _, __, fourth = map(len, map(spans_in, next_hop.requests[:4]))
    assert response.partial_success.rejected_spans == first + 1 + fourth
    for said in ("not these", "nor this", "nor those"):
        assert said in response.partial_success.error_message


async def test_what_the_next_hop_finds_too_large_goes_in_smaller_pieces() -> None:
    """The server's own limit says so: the words are those of gRPC."""
    metrics = FakeMetrics()
    async with (
        FakeNextHop(options=(("grpc.max_receive_message_length", 100_000),)) as next_hop,
        exporting(next_hop.url, metrics=metrics) as exporter,
    ):
        response = await send(exporter, request(*LARGE_SPANS))

    assert response == ExportTraceServiceResponse()
    assert next_hop.spans() == LARGE_SPANS
    assert 80_000 < max(received.ByteSize() for received in next_hop.requests) <= 100_000
    assert exporter.send_limit() == 100_000
    assert metrics.counts == {"sent": 40}


async def test_what_was_learnt_of_the_next_hops_limit_is_remembered(next_hop: FakeNextHop) -> None:
    next_hop.answers = [too_large("(999999 vs. 100000)")]
    async with exporting(next_hop.url) as exporter:
        await send(exporter, request(*LARGE_SPANS))
        first = next_hop.requests[1:]
        await send(exporter, request(*LARGE_SPANS))

    assert next_hop.requests[1 + len(first) :] == first
    assert max(received.ByteSize() for received in first) <= 100_000


async def test_the_parts_behind_one_that_was_too_large_become_smaller_at_once(
    next_hop: FakeNextHop,
) -> None:
    next_hop.answers = [Answer(), too_large("(4000 vs. 1000)")]
    async with exporting(next_hop.url, max_send_bytes=4_000) as exporter:
        await send(exporter, request(*SPANS))

    first, _, *rest = next_hop.requests
    assert first.ByteSize() > 3_000
    assert max(received.ByteSize() for received in rest) <= 1_000
    assert spans_in(first) + [each for received in rest for each in spans_in(received)] == SPANS


@pytest.mark.parametrize("limit", ["", "(9999 vs. 0)", f"(1 vs. {'9' * 5_000})"])
async def test_where_the_next_hop_does_not_say_its_limit_halves_are_tried(
    next_hop: FakeNextHop, limit: str
) -> None:
    next_hop.answers = [too_large(limit), too_large(limit)]
    async with exporting(next_hop.url) as exporter:
        await send(exporter, request(*SPANS))

    whole, half, quarter, *_ = (len(spans_in(received)) for received in next_hop.requests)
    assert whole == 40
    assert 15 < half <= 20
    assert 5 < quarter <= 10
    assert len(next_hop.spans()) == whole + half + 40


async def test_a_limit_above_what_was_refused_is_somebody_elses(next_hop: FakeNextHop) -> None:
    """A gateway without a queue passes on what its backend says of a batch of many senders."""
    metrics = FakeMetrics()
    next_hop.answers = [too_large("(5242880 vs. 4194304)")]
    async with exporting(next_hop.url, metrics=metrics) as exporter:
        with pytest.raises(PermanentExportError, match="larger than max") as raised:
            await send(exporter, request(*SPANS))
        await send(exporter, request(*SPANS))
        limit = exporter.send_limit()

    assert raised.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert next_hop.requests == [request(*SPANS)] * 2
    assert limit == 4_000_000
    assert metrics.counts == {"sent": 40, "send_failed": 40}


@pytest.mark.parametrize("limit", ["", "(9999 vs. 100)"])
async def test_spans_that_are_always_too_large_make_no_others_go_one_by_one(limit: str) -> None:
    def judge(received: ExportTraceServiceRequest) -> Answer | None:
        is_odd = any(each.name == "odd" for each in spans_in(received))
        return too_large(limit) if is_odd else None

    async with FakeNextHop(judge=judge) as next_hop, exporting(next_hop.url) as exporter:
        with suppress(PermanentExportError):
            await send(exporter, request(*[span("odd")] * 64))
        next_hop.requests.clear()
        await send(exporter, request(*LARGE_SPANS))

    assert next_hop.spans() == LARGE_SPANS
    assert len(next_hop.requests) <= 8


async def test_one_span_that_is_always_too_large_does_not_make_those_behind_it_go_one_by_one() -> (
    None
):
    def judge(received: ExportTraceServiceRequest) -> Answer | None:
        is_odd = any(each.name == "odd" for each in spans_in(received))
        return too_large() if is_odd else None

    spans = [span(f"span {number}") for number in range(1_000)]
    async with FakeNextHop(judge=judge) as next_hop, exporting(next_hop.url) as exporter:
        answer = await send(exporter, request(*spans[:5], span("odd"), *spans[5:]))

    taken = [each for each in next_hop.requests if judge(each) is None]
    assert [each for received in taken for each in spans_in(received)] == spans
    assert answer.partial_success.rejected_spans == 1
    assert len(next_hop.requests) < 40


async def test_a_span_that_is_too_large_for_the_next_hop_goes_bare(next_hop: FakeNextHop) -> None:
    metrics = FakeMetrics()
    next_hop.answers = [too_large("(9999 vs. 10)")]
    wire = annotated(span("large"))
    async with exporting(next_hop.url, metrics=metrics) as exporter:
        await exporter.export(wire, deadline=math.inf, metadata=())

    assert [len(each.attributes) for each in next_hop.spans()] == [100, 0]
    assert next_hop.requests[1] == request(span("large"))
    assert not wire.is_bare()
    assert metrics.counts == {"sent": 1, "sent_bare": 1}


async def test_of_what_was_taken_in_part_or_not_at_all_nothing_is_told_to_have_arrived(
    next_hop: FakeNextHop,
) -> None:
    next_hop.answers = [Answer(), Answer(rejected=1), Answer(grpc.StatusCode.INVALID_ARGUMENT)]
    parts: list[TraceRequest] = []
    wire = parse_request(request(*SPANS).SerializeToString())
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        await exporter.export(wire, deadline=math.inf, metadata=(), arrived=parts.append)
    first, _, _, *others = next_hop.requests
    told = [ExportTraceServiceRequest.FromString(part.encode()) for part in parts]

    assert told == [first, *others]


async def test_what_arrived_is_told_though_the_rest_did_not(next_hop: FakeNextHop) -> None:
    next_hop.answers = [Answer(), Answer(grpc.StatusCode.UNAVAILABLE, retry_after=60)]
    parts: list[TraceRequest] = []
    wire = parse_request(request(*SPANS).SerializeToString())
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        with pytest.raises(RetryableExportError):
            await exporter.export(wire, deadline=math.inf, metadata=(), arrived=parts.append)

    assert [part.spans for part in parts] == [len(spans_in(next_hop.requests[0]))]


async def test_a_span_too_large_by_itself_keeps_its_vector_where_that_is_taken(
    next_hop: FakeNextHop,
) -> None:
    large = span("large", {"body": "x" * 3_000})
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        await exporter.export(annotated(large), deadline=math.inf, metadata=())

    assert [len(each.attributes) for each in next_hop.spans()] == [101]


async def test_a_span_too_large_even_when_bare_is_rejected_and_the_rest_is_not() -> None:
    metrics = FakeMetrics()
    small, large = span("small"), span("large", {"body": "x" * 5_000})
    async with (
        FakeNextHop(options=(("grpc.max_receive_message_length", 3_000),)) as next_hop,
        exporting(next_hop.url, metrics=metrics) as exporter,
    ):
        wire = annotated(small, large, small)
        response = await exporter.export(wire, deadline=math.inf, metadata=())

    assert [each.name for each in next_hop.spans()] == ["small", "small"]
    assert response.partial_success.rejected_spans == 1
    assert "larger than max" in response.partial_success.error_message
    assert metrics.counts == {"sent": 2, "sent_bare": 1, "send_failed": 1}


async def test_spans_of_a_resource_larger_than_the_next_hop_takes_are_refused_at_once() -> None:
    small, large = request(span("small")), request(*SPANS, service="s" * 5_000)
    small.MergeFrom(large)
    async with (
        FakeNextHop(options=(("grpc.max_receive_message_length", 3_000),)) as next_hop,
        exporting(next_hop.url, metrics=(metrics := FakeMetrics())) as exporter,
    ):
        response = await send(exporter, small)

    assert [each.name for each in next_hop.spans()] == ["small"]
    assert response.partial_success.rejected_spans == len(SPANS)
    assert metrics.counts == {"sent": 1, "send_failed": len(SPANS)}


async def test_a_request_of_one_span_that_is_too_large_is_refused(next_hop: FakeNextHop) -> None:
    next_hop.answers = [too_large()] * 2
    async with exporting(next_hop.url) as exporter:
        with pytest.raises(PermanentExportError, match="larger than max") as raised:
            await exporter.export(annotated(span()), deadline=math.inf, metadata=())

    assert raised.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert len(next_hop.requests) == 2


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [Answer(grpc.StatusCode.UNAVAILABLE)],
        [Answer(grpc.StatusCode.INVALID_ARGUMENT)] * 40,
        [Answer(), *[Answer(grpc.StatusCode.UNAVAILABLE)] * 40],
        [too_large(), Answer(grpc.StatusCode.INVALID_ARGUMENT)],
    ],
    ids=["taken", "not now", "never", "a part", "too large"],
)
async def test_nothing_of_a_request_is_held_on_to(
    next_hop: FakeNextHop, answers: list[Answer]
) -> None:
    next_hop.answers = answers
    wire = parse_request(request(*SPANS).SerializeToString())
    [(_, scope)] = wire.scopes()
    before = list(map(sys.getrefcount, scope.spans))
    async with exporting(next_hop.url, timeout=0.4, max_send_bytes=2_000) as exporter:
        gc.disable()
        try:
            with suppress(RetryableExportError, PermanentExportError):
                await exporter.export(wire, deadline=math.inf, metadata=())
            after = list(map(sys.getrefcount, scope.spans))
        finally:
            gc.enable()

    assert after == before


async def test_another_signal_goes_and_is_answered_as_it_is() -> None:
    async with OtherSignal() as next_hop, exporting(next_hop.url, headers={"key": "k"}) as exporter:
        answer = await exporter.forward(
            OtherSignal.METHOD, b"\xff any", deadline=math.inf, metadata=(("x-own", "own"),)
        )

    assert next_hop.received == [b"\xff any"]
    assert answer == b"\xfe as it is"
    assert {("key", "k"), ("x-own", "own")} <= set(next_hop.metadata)


@pytest.mark.parametrize(
    ("code", "error"),
    [("UNAVAILABLE", RetryableExportError), ("UNIMPLEMENTED", PermanentExportError)],
)
async def test_another_signal_is_refused_as_spans_are(code: str, error: type[Exception]) -> None:
    async with (
        OtherSignal(grpc.StatusCode[code]) as next_hop,
        exporting(next_hop.url) as exporter,
    ):
        with pytest.raises(error, match=code):
            await exporter.forward(OtherSignal.METHOD, b"", deadline=math.inf, metadata=())


def annotated(*spans: Span) -> TraceRequest:
    """Give a request with a hundred attributes behind each of its spans."""
    wire = parse_request(request(*spans).SerializeToString())
    return annotate_all(wire, field(9, field(1, b"k")) * 100)


class OtherSignal(ExportServer):
    """A next hop for logs, which keeps what it is sent."""

    SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"
    METHOD = f"/{SERVICE}/Export"

    def __init__(self, code: grpc.StatusCode = grpc.StatusCode.OK) -> None:
        self.received: list[bytes] = []
        self.metadata: Metadata = ()
        self._code = code

    def handlers(self) -> dict[str, Handler]:
        return {self.SERVICE: grpc.unary_unary_rpc_method_handler(self._export)}

    async def _export(
        self, encoded: bytes, context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> bytes:
        self.received.append(encoded)
        self.metadata = tuple(context.invocation_metadata() or ())
        if self._code is not grpc.StatusCode.OK:
            await context.abort(self._code)
        return b"\xfe as it is"
