"""What is refused for now is sent again while its caller waits, and holds nothing up meanwhile."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING

import grpc
import pytest

from otel_embedder.errors import RetryableExportError
from otel_embedder.exporter.patience import Backoff, Patience, WaitingRoom
from otel_embedder.otlp.names import EXPORT_METHOD
from tests.support.exporting import exporting, send
from tests.support.fakes import FakeMetrics
from tests.support.otlp_samples import request, span
from tests.support.peers import Answer, FakeNextHop, spans_in
from tests.support.processes import free_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from otel_embedder.exporter.exporter import OtlpExporter

pytestmark = pytest.mark.timeout(120)

SPANS = [span(f"span {number}", {"filler": "x" * 200}) for number in range(40)]
LARGE = request(*[span(f"large {number}", {"filler": "x" * 10_000}) for number in range(40)])
SMALL = request(span("small"))
AWAY = Answer(grpc.StatusCode.UNAVAILABLE)
AWAY_FOR_LONG = Answer(grpc.StatusCode.UNAVAILABLE, retry_after=20)


def in_seconds(seconds: float) -> float:
    """Give a deadline."""
    return asyncio.get_running_loop().time() + seconds


async def test_the_first_chunk_is_sent_again_while_its_caller_waits(next_hop: FakeNextHop) -> None:
    metrics = FakeMetrics()
    next_hop.answers = [AWAY] * 3
    async with exporting(next_hop.url, metrics=metrics) as exporter:
        await send(exporter, request(*SPANS), deadline=in_seconds(10))

    assert next_hop.requests == [request(*SPANS)] * 4
    assert metrics.counts == {"sent": 40, "send_retried": 3 * 40}


async def test_a_next_hop_that_comes_back_in_time_gets_what_was_sent_before() -> None:
    address = free_address()
    async with exporting(f"http://{address}") as exporter:
        sending = asyncio.create_task(send(exporter, SMALL, deadline=in_seconds(20)))
        await asyncio.wait([sending], timeout=0.5)
        async with FakeNextHop(port=int(address.rpartition(":")[2])) as next_hop:
            await sending

    assert next_hop.requests == [SMALL]


async def test_before_its_caller_stops_waiting_it_hears_why(next_hop: FakeNextHop) -> None:
    metrics = FakeMetrics()
    next_hop.answers = [AWAY] * 99
    deadline = in_seconds(1)
    async with exporting(next_hop.url, metrics=metrics) as exporter:
        with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
            await send(exporter, SMALL, deadline=deadline)

    assert asyncio.get_running_loop().time() < deadline
    assert 2 <= len(next_hop.requests) <= 5
    assert metrics.counts["send_failed"] == 1


@pytest.mark.parametrize("asked", [0.0, 0.001])
async def test_no_wait_is_shorter_than_ours_whatever_the_next_hop_asks_for(
    next_hop: FakeNextHop, asked: float
) -> None:
    slow_down = Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=asked)
    next_hop.answers = [Answer(), *[slow_down] * 9_999]
    async with exporting(next_hop.url, max_send_bytes=5_000) as exporter:
        with pytest.raises(RetryableExportError):
            await send(exporter, request(*SPANS), deadline=in_seconds(1.5))

    # After 0.1, 0.2, 0.4 and 0.8 seconds at the earliest.
    assert len(next_hop.requests) <= 1 + 5


async def test_a_wait_below_zero_is_none(next_hop: FakeNextHop) -> None:
    # A google.rpc.Status with a RetryInfo of -1 s.
    info = b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x01"
    detail = b"\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12" + bytes([len(info)]) + info
    details = b"\x08\x08\x1a" + bytes([len(detail)]) + detail
    slow_down = Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, status_details=details)
    next_hop.answers = [slow_down] * 9_999
    async with exporting(next_hop.url) as exporter:
        with pytest.raises(RetryableExportError) as raised:
            await send(exporter, SMALL, deadline=in_seconds(1))

    assert raised.value.retry_after == 0
    assert len(next_hop.requests) <= 5


async def test_only_so_many_wait_and_the_others_hear_at_once(next_hop: FakeNextHop) -> None:
    next_hop.answers = [AWAY_FOR_LONG] * 3
    async with exporting(next_hop.url, max_waiting=2) as exporter:
        waiting = [asyncio.create_task(sending_for_long(exporter)) for _ in range(2)]
        await next_hop.arrived(2)
        await asyncio.wait(waiting, timeout=0.2)
        with pytest.raises(RetryableExportError):
            await sending_for_long(exporter)
        still_waiting = [not task.done() for task in waiting]
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        next_hop.answers = [AWAY]
        await sending_for_long(exporter)

    assert still_waiting == [True, True]
    assert next_hop.requests[3:] == [SMALL] * 2


async def sending_for_long(exporter: OtlpExporter) -> None:
    await send(exporter, SMALL, deadline=in_seconds(25))


async def test_who_waits_to_be_sent_again_holds_no_bytes_of_those_being_sent(
    next_hop: FakeNextHop,
) -> None:
    size = LARGE.ByteSize()
    next_hop.answers = [AWAY_FOR_LONG]
    async with exporting(next_hop.url, max_sending_bytes=size) as exporter:
        waiting = asyncio.create_task(send(exporter, LARGE, deadline=in_seconds(25)))
        await next_hop.arrived()
        await send(exporter, LARGE, deadline=in_seconds(10))
        is_waiting = not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])

    assert is_waiting
    assert next_hop.requests == [LARGE] * 2


async def test_who_waits_to_be_sent_again_is_not_encoded_meanwhile() -> None:
    size = LARGE.ByteSize()
    async with exporting(f"http://{free_address()}") as exporter:
        tracemalloc.start()
        waiting = asyncio.create_task(send(exporter, LARGE, deadline=in_seconds(20)))
        async for held, peak in memory_by_and_by():
            assert not waiting.done()
            # Between two tries there are the spans that were parsed, and no request beside them.
            if peak > 1.9 * size and held < 1.5 * size:
                break
        tracemalloc.stop()
        waiting.cancel()
        await asyncio.wait([waiting])


async def memory_by_and_by() -> AsyncIterator[tuple[int, int]]:
    """Give the bytes that are held, and the most that were."""
    while True:
        yield tracemalloc.get_traced_memory()
        await asyncio.sleep(0.01)


async def test_a_part_that_waits_lets_others_be_sent(next_hop: FakeNextHop) -> None:
    """A chunk holds its bytes while it is on its way, not until its request is through."""
    next_hop.answers = [Answer(), AWAY_FOR_LONG]
    async with exporting(
        next_hop.url, max_send_bytes=100_000, max_sending_bytes=100_000
    ) as exporter:
        waiting = asyncio.create_task(send(exporter, LARGE, deadline=in_seconds(25)))
        await next_hop.arrived(2)
        await send(exporter, LARGE, deadline=in_seconds(10))
        is_waiting = not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])

    assert is_waiting


async def test_one_span_is_sent_beside_all_that_is_held_by_a_slow_next_hop(
    next_hop: FakeNextHop,
) -> None:
    next_hop.hold()
    async with exporting(
        next_hop.url, max_send_bytes=100_000, max_sending_bytes=1_000_000
    ) as exporter:
        large = [asyncio.create_task(exported(exporter, LARGE)) for _ in range(20)]
        await next_hop.arrived(7)
        small = asyncio.create_task(exported(exporter, SMALL))
        while SMALL not in next_hop.requests:
            await next_hop.arrived()
        arrived = len(next_hop.requests)
        next_hop.release()
        await asyncio.gather(small, *large)

    assert arrived < 20
    assert sum(len(spans_in(each)) for each in next_hop.requests) == 20 * 40 + 1


async def test_another_signal_that_is_small_is_sent_beside_it_as_well(
    next_hop: FakeNextHop,
) -> None:
    next_hop.hold()
    async with exporting(next_hop.url, max_sending_bytes=LARGE.ByteSize() * 2) as exporter:
        large = [asyncio.create_task(exported(exporter, LARGE)) for _ in range(3)]
        await next_hop.arrived()
        small = asyncio.create_task(
            exporter.forward(
                EXPORT_METHOD, SMALL.SerializeToString(), deadline=in_seconds(20), metadata=()
            )
        )
        await next_hop.arrived()
        on_its_way = next_hop.requests[-1]
        next_hop.release()
        await asyncio.gather(small, *large)

    assert on_its_way == SMALL


async def exported(exporter: OtlpExporter, message: ExportTraceServiceRequest) -> None:
    await send(exporter, message, deadline=in_seconds(20))


def test_a_large_request_may_wait_where_it_is_alone_and_no_other_beside_it() -> None:
    room = WaitingRoom(max_requests=3, max_bytes=100)
    large, small = room.let_in(1_000), room.let_in(1)
    room.leave(1_000)
    after = [room.let_in(50), room.let_in(51), room.let_in(50), room.let_in(0), room.let_in(0)]

    assert (large, small) == (True, False)
    assert after == [True, False, True, True, False]


def test_a_seat_is_taken_once_and_given_back() -> None:
    room = WaitingRoom(max_requests=1, max_bytes=100)
    error = RetryableExportError("away")
    with Patience(100, lambda: 0, room, 10) as patience:
        pauses = [patience.pause(error) for _ in range(3)]
        with Patience(100, lambda: 0, room, 10) as other:
            refused = other.pause(error)
    with Patience(100, lambda: 0, room, 10) as after:
        let_in = after.pause(error)

    assert None not in pauses
    assert refused is None
    assert let_in is not None


def test_who_has_no_time_to_wait_takes_no_seat() -> None:
    room = WaitingRoom(max_requests=1, max_bytes=100)
    with Patience(100, lambda: 0, room, 10) as patience:
        pause = patience.pause(RetryableExportError("away", retry_after=200))
        is_free = room.let_in(1)

    assert pause is None
    assert is_free


def test_waits_double_and_end_at_the_longest_however_many_there_were() -> None:
    backoff = Backoff(first=0.1, longest=2, jitter=0)

    assert [backoff.pause(attempt, None) for attempt in (1, 2, 3, 5, 6, 10_000)] == [
        *(0.1, 0.2, 0.4, 1.6),
        *(2, 2),
    ]


@pytest.mark.parametrize(("asked", "waited"), [(None, 0.4), (0, 0.4), (0.3, 0.4), (60, 60)])
def test_the_longer_wait_counts_ours_or_the_one_that_was_asked_for(
    asked: float | None, waited: float
) -> None:
    backoff = Backoff(first=0.1, longest=2, jitter=0)

    assert backoff.pause(3, RetryableExportError("busy", retry_after=asked)) == waited
