"""What was taken of a request that failed is left out when it comes again, and nothing else is."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from otel_embedder.errors import RetryableExportError
from otel_embedder.exporter.answers import Verdict, refused
from otel_embedder.exporter.taken import (
    GENERATION_SECONDS,
    GENERATION_SPANS,
    SPANS_LEFT_OUT,
    Progress,
    TakenSpans,
)
from otel_embedder.fairness import Turns
from otel_embedder.otlp.wire import ResourceSpans, ScopeSpans, TraceRequest, parse_request
from otel_embedder.otlp.wire import Span as WireSpan
from tests.support.exporting import exporting, send
from tests.support.fakes import FakeMetrics
from tests.support.otlp_samples import field, request, span
from tests.support.peers import Answer, FakeNextHop, spans_in
from tests.support.wire import annotate_all, split
from tests.support.wire import spans_of as wire_spans_of

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from otel_embedder.exporter.exporter import OtlpExporter
    from otel_embedder.otlp.call import Metadata

pytestmark = pytest.mark.timeout(120)

SPANS = [span(f"span {number}", {"filler": "x" * 200}) for number in range(40)]
AWAY = Answer(grpc.StatusCode.UNAVAILABLE, retry_after=60)


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def fail(
    exporter: OtlpExporter,
    next_hop: FakeNextHop,
    *answers: Answer,
    message: ExportTraceServiceRequest | None = None,
    metadata: Metadata = (),
) -> int:
    """Send a request of which only the first chunks are taken; give how many spans these had."""
    next_hop.answers = [*answers, AWAY]
    with pytest.raises(RetryableExportError):
        await send(exporter, message or request(*SPANS), metadata=metadata)
    *taken, _ = next_hop.requests
    next_hop.requests.clear()
    return sum(len(spans_in(each)) for each in taken)


async def test_what_was_taken_is_left_out_when_the_same_request_comes_again(
    next_hop: FakeNextHop,
) -> None:
    metrics = FakeMetrics()
    async with exporting(next_hop.url, metrics=metrics, max_send_bytes=2_000) as exporter:
        with capture_logs() as logs:
            taken = await fail(exporter, next_hop, Answer(), Answer())
            metrics.counts.clear()
            answer = await send(exporter, request(*SPANS))

    assert 0 < taken < 40
    assert next_hop.spans() == SPANS[taken:]
    assert not answer.HasField("partial_success")
    assert metrics.counts == {"sent": 40 - taken, "send_skipped": taken}
    assert [line["spans_taken_before"] for line in logs if line["event"] == SPANS_LEFT_OUT] == [
        taken
    ]


async def test_each_try_gets_further(next_hop: FakeNextHop) -> None:
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        taken = [await fail(exporter, next_hop, Answer()) for _ in range(3)]
        await send(exporter, request(*SPANS))

    assert min(taken) > 0
    assert next_hop.spans() == SPANS[sum(taken) :]


async def test_a_request_of_which_all_was_taken_before_is_answered_at_once(
    next_hop: FakeNextHop,
) -> None:
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        taken = await fail(exporter, next_hop, Answer(), Answer())
        answer = await send(exporter, request(*SPANS[:taken]))

    assert next_hop.requests == []
    assert not answer.HasField("partial_success")


async def test_what_was_taken_before_the_caller_left_is_left_out_too(
    next_hop: FakeNextHop,
) -> None:
    next_hop.answers = [Answer(), AWAY]
    async with exporting(next_hop.url, timeout=90, max_send_bytes=2_000) as exporter:
        task = asyncio.create_task(send(exporter, request(*SPANS)))
        await next_hop.arrived(2)
        task.cancel()
        await asyncio.wait([task])
        [taken, _] = map(len, map(spans_in, next_hop.requests))
        next_hop.requests.clear()
        await send(exporter, request(*SPANS))

    assert next_hop.spans() == SPANS[taken:]


async def test_a_request_that_went_through_is_sent_whole_when_it_comes_again(
    next_hop: FakeNextHop,
) -> None:
    """As somebody sends an archive a second time, on purpose."""
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        await fail(exporter, next_hop, Answer())
        await send(exporter, request(*SPANS))
        next_hop.requests.clear()
        await send(exporter, request(*SPANS))
        await send(exporter, request(*SPANS))

    assert next_hop.spans() == SPANS * 2


async def test_equal_spans_of_a_request_are_told_apart_by_how_many_they_are(
    next_hop: FakeNextHop,
) -> None:
    message = request(*[SPANS[0]] * 40)
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        taken = await fail(exporter, next_hop, Answer(), message=message)
        taken += await fail(exporter, next_hop, Answer(), Answer(), message=message)
        await send(exporter, message)

    assert len(next_hop.spans()) == 40 - taken


async def test_vectors_and_the_cut_make_no_difference(next_hop: FakeNextHop) -> None:
    first = parse_request(request(*SPANS).SerializeToString())
    annotate_all(first, field(9, field(1, b"k")) * 20)
    # This time each has an outdated vector, and is given a new one in its place.
    for each in wire_spans_of(first):
        first.replace(each, span("without its outdated vector").SerializeToString())
    next_hop.answers = [Answer(), AWAY]
    async with exporting(next_hop.url, max_send_bytes=3_000) as exporter:
        with pytest.raises(RetryableExportError):
            await exporter.export(first, deadline=math.inf, metadata=())
        taken = len(spans_in(next_hop.requests[0]))
        next_hop.requests.clear()
        await send(exporter, request(*SPANS))

    assert 0 < taken < 40
    assert next_hop.spans() == SPANS[taken:]


async def test_spans_that_went_bare_for_their_size_were_taken_as_well(
    next_hop: FakeNextHop,
) -> None:
    wire = parse_request(request(*SPANS).SerializeToString())
    annotate_all(wire, field(9, field(1, b"k")) * 1_000)
    next_hop.answers = [Answer(), AWAY]
    async with exporting(next_hop.url, max_send_bytes=3_000) as exporter:
        with pytest.raises(RetryableExportError):
            await exporter.export(wire, deadline=math.inf, metadata=())
        taken = len(spans_in(next_hop.requests[0]))
        next_hop.requests.clear()
        await send(exporter, request(*SPANS))

    assert next_hop.spans() == SPANS[taken:]


async def test_another_batch_of_the_same_spans_makes_no_difference(next_hop: FakeNextHop) -> None:
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        taken = await fail(exporter, next_hop, Answer(), Answer())
        new = span("new")
        await send(exporter, request(new, *SPANS[1:20]))
        await send(exporter, request(SPANS[0], *SPANS[20:]))

    assert next_hop.spans() == [new, *SPANS[taken:20], *SPANS[20:]]


async def test_spans_of_another_resource_are_others(next_hop: FakeNextHop) -> None:
    other = request(*SPANS)
    other.resource_spans[0].schema_url = "another"
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        await fail(exporter, next_hop, Answer())
        await send(exporter, other)

    assert next_hop.spans() == SPANS


async def test_spans_of_another_tenant_are_others(next_hop: FakeNextHop) -> None:
    ours: Metadata = (("x-scope-orgid", "a"), ("traceparent", "00-1"), ("bin-bin", b"\xff"))
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        taken = await fail(exporter, next_hop, Answer(), metadata=ours)
        await send(exporter, request(*SPANS), metadata=(("x-scope-orgid", "b"), *ours[1:]))
        theirs = next_hop.spans()
        next_hop.requests.clear()
        again = (ours[2], ("x-b3-traceid", "1"), ("traceparent", "00-2"), ours[0])
        await send(exporter, request(*SPANS), metadata=again)

    assert theirs == SPANS
    assert next_hop.spans() == SPANS[taken:]


async def test_what_was_rejected_of_spans_taken_before_is_told_in_the_end_and_once(
    next_hop: FakeNextHop,
) -> None:
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        await fail(exporter, next_hop, Answer(rejected=2, message="too old"))
        await fail(exporter, next_hop, Answer(rejected=1, message="too new"))
        answer = await send(exporter, request(*SPANS))
        one_more = await send(exporter, request(*SPANS))

    assert answer.partial_success.rejected_spans == 3
    assert answer.partial_success.error_message == "too old; too new"
    assert not one_more.HasField("partial_success")


async def test_what_was_refused_for_good_is_asked_for_again(next_hop: FakeNextHop) -> None:
    """It may be good by now; and if not, it is rejected then, and counted once."""
    no = Answer(grpc.StatusCode.PERMISSION_DENIED, "not yours")
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        next_hop.answers = [no, Answer(), AWAY]
        with pytest.raises(RetryableExportError):
            await send(exporter, request(*SPANS))
        first, second, _ = (spans_in(received) for received in next_hop.requests)
        next_hop.requests.clear()
        next_hop.answers = [no]
        answer = await send(exporter, request(*SPANS))

    assert next_hop.spans() == [each for each in SPANS if each not in second]
    assert answer.partial_success.rejected_spans == len(spans_in(next_hop.requests[0]))
    assert len(first) > 0


async def test_what_is_refused_of_the_rest_does_not_make_what_was_taken_refused(
    next_hop: FakeNextHop,
) -> None:
    async with exporting(next_hop.url, max_send_bytes=2_000) as exporter:
        taken = await fail(exporter, next_hop, Answer())
        next_hop.answers = [Answer(grpc.StatusCode.INVALID_ARGUMENT, "no")] * 40
        answer = await send(exporter, request(*SPANS))

    assert answer.partial_success.rejected_spans == 40 - taken


# -- the balance, without a network ---------------------------------------------------------------


def of(names: list[int]) -> TraceRequest:
    """Give a request of spans that are equal where the numbers are."""
    message = request(*[span(str(name)) for name in names])
    return parse_request(message.SerializeToString())


def names_in(wire: TraceRequest) -> list[bytes]:
    return [each.encoded for each in wire_spans_of(wire)]


class Hop:
    """Takes what it is given, as often as that is, and counts."""

    def __init__(self) -> None:
        self.taken = TakenSpans(clock=Clock())
        self.copies: Counter[bytes] = Counter()

    async def deliver(self, wire: TraceRequest, chunks: int | None) -> None:
        """Take so many chunks of what is left of a request, and fail then; or all of it."""
        progress = Progress(self.taken, (), Turns())
        left = await progress.left_of(wire)
        for chunk in split(left, 200)[:chunks] if left.spans else []:
            self.copies.update(names_in(chunk))
            progress.take(chunk, Verdict())
        if chunks is not None:
            await progress.remember()


TRIES = st.lists(
    st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.none() | st.integers(0, 3)),
    max_size=12,
)


@settings(deadline=None)
@given(TRIES)
async def test_each_span_was_taken_at_least_as_often_as_it_was_acknowledged(
    tries: list[tuple[list[int], int | None]],
) -> None:
    hop = Hop()
    acknowledged: Counter[bytes] = Counter()
    for names, chunks in tries:
        wire = of(names)
        await hop.deliver(wire, chunks)
        if chunks is None:
            acknowledged.update(names_in(wire))

    assert acknowledged <= hop.copies


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.lists(st.integers(0, 3)))
async def test_a_request_that_is_sent_until_it_is_through_is_taken_once(
    names: list[int], tries: list[int]
) -> None:
    hop = Hop()
    for chunks in tries:
        await hop.deliver(of(names), chunks)
    await hop.deliver(of(names), None)

    assert hop.copies == Counter(names_in(of(names)))
    assert hop.taken.is_empty()


# -- how much is remembered, and for how long -----------------------------------------------------


def test_a_span_is_remembered_for_minutes_and_then_forgotten() -> None:
    clock = Clock()
    taken = TakenSpans(clock=clock)
    taken.put(b"one", Verdict())
    clock.now += GENERATION_SECONDS - 1
    taken.put(b"two", Verdict())
    clock.now += GENERATION_SECONDS - 1
    before = taken.is_empty()
    two = taken.pop(b"two")
    clock.now += 3

    assert (before, two is not None) == (False, True)
    assert taken.is_empty()
    assert taken.pop(b"one") is None


def test_what_nobody_has_asked_for_in_a_long_time_is_forgotten_at_once() -> None:
    clock = Clock()
    taken = TakenSpans(clock=clock)
    taken.put(b"one", Verdict())
    clock.now += 3 * GENERATION_SECONDS

    assert taken.is_empty()
    assert taken.pop(b"one") is None


def test_no_more_are_remembered_than_two_generations() -> None:
    taken = TakenSpans(clock=Clock())
    verdict = Verdict()
    for number in range(4 * GENERATION_SPANS):
        taken.put(number.to_bytes(4), verdict)

    known = sum(taken.pop(number.to_bytes(4)) is not None for number in range(4 * GENERATION_SPANS))
    assert GENERATION_SPANS <= known <= 2 * GENERATION_SPANS


async def test_what_came_again_is_told_once_a_minute_with_a_count() -> None:
    clock = Clock()
    taken = TakenSpans(clock=clock)
    with capture_logs() as logs:
        for _ in range(5):
            taken.tell(10)
            clock.now += 30

    assert [line["spans_taken_before"] for line in logs] == [10, 20, 20]


async def test_a_large_resource_is_read_once_however_many_scopes_it_has() -> None:
    """Else its bytes would be hashed for each of them: 10 GB."""
    taken = TakenSpans(clock=Clock())
    scopes = [ScopeSpans(b"", [WireSpan(number.to_bytes(2))]) for number in range(10_000)]
    wire = TraceRequest.of([ResourceSpans(b"x" * 1_000_000, [], scopes)])
    started = time.process_time()
    before = Progress(taken, (), Turns())
    before.take(wire, Verdict())
    await before.remember()
    left = await Progress(taken, (), Turns()).left_of(wire)

    assert left.spans == 0
    assert time.process_time() - started < 5


async def test_a_caller_that_leaves_while_we_look_takes_nothing_of_the_balance_along() -> None:
    taken = TakenSpans(clock=Clock())
    wire = of([*range(20_000)])
    before = Progress(taken, (), Turns())
    before.take(wire, refused(7, "too old"))
    await before.remember()
    looking = Progress(taken, (), Turns())
    task = asyncio.create_task(looking.left_of(wire))
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await looking.remember()

    again = Progress(taken, (), Turns())
    left = await again.left_of(wire)

    assert left.spans == 0
    assert again.verdict.rejected == 7
