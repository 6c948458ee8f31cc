from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from otel_embedder.errors import ExportError, UnreadableFileError
from otel_embedder.exporter.channel import NextHop
from otel_embedder.exporter.exporter import OtlpExporter
from otel_embedder.exporter.replay import CATCH_UP_SECONDS, Latency, Load, Replay, SendTally, reach
from otel_embedder.fairness import Turns
from otel_embedder.otlp.wire import parse_request
from tests.support.fakes import PATIENCE, FakeExporter, FakeMetrics
from tests.support.otlp_samples import request, span
from tests.support.peers import KEEPALIVE, MAX_SENDING_BYTES, Answer, FakeNextHop
from tests.support.processes import free_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
    )

    from otel_embedder.exporter.replay import Clock, Exporter
    from otel_embedder.otlp.call import Metadata
    from otel_embedder.otlp.wire import Arrived, TraceRequest

pytestmark = pytest.mark.timeout(120)

ONE_AT_A_TIME = Load(rate=None, concurrency=1, attempts=5)
REQUESTS = [request(span(f"span {number}"), span("and one more")) for number in range(6)]


class FakeClock:
    """Stands still until somebody sleeps or turns it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleeps: list[float] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


class SlowExporter(FakeExporter):
    """Notes when each request comes, and takes as many seconds as it is told for each."""

    def __init__(self, clock: FakeClock, seconds: Sequence[float]) -> None:
        super().__init__()
        self.times: list[float] = []
        self._clock = clock
        self._seconds = list(seconds)
        self._start = clock.now

    async def export(
        self,
        request: TraceRequest,
        *,
        deadline: float,
        metadata: Metadata,
        arrived: Arrived | None = None,
    ) -> ExportTraceServiceResponse:
        self.times.append(self._clock.now - self._start)
        self._clock.now += self._seconds.pop(0)
        return await super().export(request, deadline=deadline, metadata=metadata, arrived=arrived)


class Source:
    """Gives requests, then an error if it has one; remembers how many were asked for."""

    def __init__(
        self, *messages: ExportTraceServiceRequest, error: Exception | None = None
    ) -> None:
        self.read = 0
        self.ended = threading.Event()
        self._messages = messages
        self._error = error

    def __iter__(self) -> Iterator[TraceRequest]:
        for message in self._messages:
            self.read += 1
            yield parse_request(message.SerializeToString())
        self.ended.set()
        if self._error:
            raise self._error


@asynccontextmanager
async def exporting(url: str) -> AsyncIterator[OtlpExporter]:
    next_hop = NextHop(url, headers={}, compression="none", keepalive=KEEPALIVE)
    async with OtlpExporter(
        next_hop,
        timeout=PATIENCE,
        max_send_bytes=4_000_000,
        max_sending_bytes=MAX_SENDING_BYTES,
        turns=Turns(),
        metrics=FakeMetrics(),
    ) as exporter:
        yield exporter


async def replay(
    exporter: Exporter,
    *messages: ExportTraceServiceRequest,
    load: Load = ONE_AT_A_TIME,
    clock: Clock | None = None,
) -> SendTally:
    tally = SendTally()
    await replaying(exporter, load, tally, clock=clock).run(iter(Source(*messages)))
    return tally


def replaying(
    exporter: Exporter,
    load: Load,
    tally: SendTally,
    *,
    clock: Clock | None = None,
    on_answer: Callable[[float], object] = lambda _: None,
) -> Replay:
    return Replay(exporter, load, tally, clock=clock or FakeClock(), on_answer=on_answer)


async def test_every_request_arrives_as_it_is_and_in_its_order(next_hop: FakeNextHop) -> None:
    async with exporting(next_hop.url) as exporter:
        tally = await replay(exporter, *REQUESTS)

    assert next_hop.requests == REQUESTS
    assert (tally.requests, tally.sent, tally.accepted) == (6, 12, 12)
    assert (tally.rejected, tally.refused, tally.retries, tally.unanswered()) == (0, {}, 0, 0)


async def test_each_request_that_is_done_with_is_told(next_hop: FakeNextHop) -> None:
    next_hop.answers = [Answer(), Answer(grpc.StatusCode.INVALID_ARGUMENT)]
    steps: list[float] = []
    async with exporting(next_hop.url) as exporter:
        replay = replaying(exporter, ONE_AT_A_TIME, SendTally(), on_answer=steps.append)
        await replay.run(iter(Source(*REQUESTS[:3])))

    assert steps == [2, 2, 2]


async def test_no_more_are_read_and_in_flight_than_was_asked_for(next_hop: FakeNextHop) -> None:
    next_hop.hold()
    source = Source(*REQUESTS)
    load = Load(rate=None, concurrency=2, attempts=1)
    async with exporting(next_hop.url) as exporter:
        running = asyncio.create_task(replaying(exporter, load, SendTally()).run(iter(source)))
        await next_hop.arrived(2)
        in_flight, read = len(next_hop.requests), source.read
        next_hop.release()
        await running

    assert (in_flight, read) == (2, 2)
    assert len(next_hop.requests) == 6


async def test_a_partial_success_is_counted_with_what_was_said(next_hop: FakeNextHop) -> None:
    next_hop.answers = [Answer(), Answer(rejected=1, message="too old"), Answer(message="later")]
    async with exporting(next_hop.url) as exporter:
        tally = await replay(exporter, *REQUESTS[:3])

    assert (tally.sent, tally.accepted, tally.rejected) == (6, 5, 1)
    assert tally.remark == "too old"


async def test_what_is_refused_for_good_is_counted_and_the_rest_is_sent(
    next_hop: FakeNextHop,
) -> None:
    next_hop.answers = [
        Answer(grpc.StatusCode.INVALID_ARGUMENT, "not these"),
        Answer(grpc.StatusCode.INVALID_ARGUMENT, "nor these"),
        Answer(grpc.StatusCode.UNAUTHENTICATED, "who are you"),
    ]
    async with exporting(next_hop.url) as exporter:
        tally = await replay(exporter, *REQUESTS)

    assert next_hop.requests == REQUESTS
    assert tally.refused == {"INVALID_ARGUMENT": 4, "UNAUTHENTICATED": 2}
    assert "not these" in tally.reasons["INVALID_ARGUMENT"]
    assert (tally.sent, tally.accepted, tally.unanswered()) == (12, 6, 0)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
async def test_a_refusal_for_now_is_sent_again_after_the_wait_that_was_asked_for(
    next_hop: FakeNextHop, code: str
) -> None:
    clock = FakeClock()
    next_hop.answers = [Answer(grpc.StatusCode[code], "busy", retry_after=17.7)] * 2
    async with exporting(next_hop.url) as exporter:
        tally = await replay(exporter, REQUESTS[0], clock=clock)

    assert next_hop.requests == [REQUESTS[0]] * 3
    assert clock.sleeps == [17.7, 17.7]
    assert (tally.requests, tally.accepted, tally.retries) == (1, 2, 2)


async def test_a_wait_shorter_than_ours_that_was_asked_for_is_not_taken_at_its_word(
    next_hop: FakeNextHop,
) -> None:
    clock = FakeClock()
    next_hop.answers = [Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=0)] * 3
    async with exporting(next_hop.url) as exporter:
        tally = await replay(exporter, REQUESTS[0], clock=clock)

    assert [slept >= own for slept, own in zip(clock.sleeps, (1, 2, 4), strict=True)] == [True] * 3
    assert tally.accepted == 2


async def test_the_wait_grows_where_none_was_asked_for(next_hop: FakeNextHop) -> None:
    clock = FakeClock()
    next_hop.answers = [Answer(grpc.StatusCode.UNAVAILABLE)] * 3
    async with exporting(next_hop.url) as exporter:
        tally = await replay(exporter, REQUESTS[0], clock=clock)

    jitters = [slept - backoff for slept, backoff in zip(clock.sleeps, (1, 2, 4), strict=True)]
    assert all(0 <= jitter <= 1 for jitter in jitters)
    assert tally.accepted == 2


async def test_after_the_last_attempt_the_refusal_counts(next_hop: FakeNextHop) -> None:
    next_hop.answers = [Answer(grpc.StatusCode.UNAVAILABLE, "busy", retry_after=0.1)] * 3
    async with exporting(next_hop.url) as exporter:
        tally = await replay(exporter, *REQUESTS, load=Load(None, concurrency=1, attempts=3))

    assert next_hop.requests == [REQUESTS[0]] * 3 + REQUESTS[1:]
    assert tally.refused == {"UNAVAILABLE": 2}
    assert "busy" in tally.reasons["UNAVAILABLE"]
    assert (tally.retries, tally.accepted) == (2, 10)


async def test_a_target_that_is_gone_refuses_everything() -> None:
    async with exporting(f"http://{free_address()}") as exporter:
        tally = await replay(exporter, *REQUESTS, load=Load(None, concurrency=2, attempts=2))

    assert tally.refused == {"UNAVAILABLE": 12}
    assert tally.latency() is None
    assert (tally.requests, tally.retries) == (6, 6)


async def test_a_file_that_ends_badly_does_so_once_the_rest_is_answered(
    next_hop: FakeNextHop,
) -> None:
    next_hop.hold()
    tally = SendTally()
    source = Source(REQUESTS[0], error=UnreadableFileError("line 2"))
    async with exporting(next_hop.url) as exporter:
        replay = replaying(exporter, Load(None, concurrency=2, attempts=1), tally)
        running = asyncio.create_task(replay.run(iter(source)))
        await next_hop.arrived()
        assert await asyncio.to_thread(source.ended.wait, PATIENCE)
        next_hop.release()
        with pytest.raises(UnreadableFileError, match="line 2"):
            await running

    assert tally.accepted == 2


async def test_whoever_interrupts_leaves_the_calls_and_has_the_tally_so_far(
    next_hop: FakeNextHop,
) -> None:
    clock, tally = FakeClock(), SendTally()
    async with exporting(next_hop.url) as exporter:
        replay = replaying(
            exporter, ONE_AT_A_TIME, tally, clock=clock, on_answer=lambda _: next_hop.hold()
        )
        running = asyncio.create_task(replay.run(iter(Source(*REQUESTS))))
        await next_hop.arrived(2)
        clock.now += 3
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        async with asyncio.timeout(PATIENCE):
            await next_hop.was_left.wait()

    assert (tally.sent, tally.accepted, tally.unanswered()) == (4, 2, 2)
    assert tally.seconds == 3


async def test_spans_go_at_the_rate() -> None:
    clock = FakeClock()
    exporter = SlowExporter(clock, [0.0] * 4)
    three, one = request(*[span()] * 3), request(span())

    await replay(
        exporter, three, one, three, one, load=Load(2.0, concurrency=1, attempts=1), clock=clock
    )

    assert exporter.times == [0, 1.5, 2, 3.5]


async def test_time_that_a_slow_answer_took_is_caught_up() -> None:
    clock = FakeClock()
    exporter = SlowExporter(clock, [0.75, 0, 0, 0])

    await replay(
        exporter,
        *[request(span())] * 4,
        load=Load(2.0, concurrency=1, attempts=1),
        clock=clock,
    )

    assert exporter.times == [0, 0.75, 1.0, 1.5]


async def test_a_target_that_stalled_is_not_flooded() -> None:
    clock = FakeClock()
    exporter = SlowExporter(clock, [60, 0, 0, 0, 0])

    await replay(
        exporter,
        *[request(span())] * 5,
        load=Load(2.0, concurrency=1, attempts=1),
        clock=clock,
    )

    at_once = 1 + round(CATCH_UP_SECONDS * 2)
    assert exporter.times == [0, *[60] * at_once, 60.5]


async def test_without_a_rate_nobody_waits() -> None:
    clock = FakeClock()
    await replay(SlowExporter(clock, [0.25] * 6), *REQUESTS, clock=clock)

    assert clock.sleeps == []


async def test_the_tally_sums_up_how_long_it_took() -> None:
    clock = FakeClock()
    exporter = SlowExporter(clock, [0.25] * 20 + [2.5])

    tally = await replay(exporter, *[request(span())] * 21, clock=clock)

    assert tally.latency() == Latency(median=0.25, p95=0.25, max=2.5)
    assert (tally.seconds, tally.rate()) == (7.5, 21 / 7.5)


def test_a_tally_of_nothing_has_neither_rate_nor_latency() -> None:
    assert (SendTally().rate(), SendTally().latency()) == (0, None)


async def test_who_listens_is_reached(next_hop: FakeNextHop) -> None:
    clock = FakeClock()
    await reach(next_hop.url, patience=0, clock=clock)

    assert clock.sleeps == []


async def test_where_nobody_listens_nobody_is_reached() -> None:
    clock = FakeClock()
    with pytest.raises(OSError, match="Connect call failed"):
        await reach(f"http://{free_address()}", patience=0, clock=clock)

    assert clock.sleeps == []


async def test_who_comes_up_late_is_reached() -> None:
    port = int(free_address().rpartition(":")[2])
    next_hop = FakeNextHop(port=port)

    class Meanwhile(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if len(self.sleeps) == 3:
                await next_hop.__aenter__()

    await reach(f"http://localhost:{port}", patience=PATIENCE, clock=Meanwhile())
    await next_hop.stop()


def test_a_refusal_without_a_status_is_counted_as_another() -> None:
    tally = SendTally()

    tally.refuse(2, ExportError("odd"))

    assert tally.refused == {"OTHER": 2}
    assert tally.reasons == {"OTHER": "odd"}
