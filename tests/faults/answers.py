"""What a next hop may say that nobody should take at its word."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from tests.faults import ledger, names
from tests.faults.fault import fault
from tests.faults.hops import REFUSED
from tests.faults.next_hop import refuse, refuse_with, say_nothing, take, take_and
from tests.support.generated import requests_of_every_shape, requests_of_texts
from tests.support.otlp_samples import field, request, span, varint

if TYPE_CHECKING:
    from tests.faults.next_hop import Answer, Arrival
    from tests.faults.stage import Stage

SPANS = 200
IN_PARTS = 1_500  # spans, in two requests to the next hop
TEXTS = 20
LARGEST = 2**63 - 1
SHORT_SECONDS = 3.0
MAX_CALLS = 30
HOUR = 3_600.0
NOT_UTF8 = b"too \xff\xfe old"
OTHERS_LIMIT = "grpc: received message larger than max (5242880 vs. 4194304)"


@fault("next hop: asks to be asked again in 0 s, and in -1 s")
def no_time_to_wait(stage: Stage) -> None:
    with stage.next_hop, stage.sidecar(), stage.client() as client:
        for delay in (Duration(), Duration(seconds=-1)):
            [large] = requests_of_texts(IN_PARTS, texts=TEXTS, spans_a_request=IN_PARTS)
            stage.ledger.sent(large)
            stage.next_hop.script.append(take)
            stage.next_hop.usual = refuse(StatusCode.RESOURCE_EXHAUSTED, retry_after=delay)
            before = stage.next_hop.calls
            client.send(large, timeout=SHORT_SECONDS)
            calls = stage.next_hop.calls - before
            assert calls < MAX_CALLS, f"the next hop was asked {calls} times in {SHORT_SECONDS} s"
            stage.next_hop.usual = take
            assert client.send(large, timeout=10).status == "OK"


@fault("next hop: asks to be asked again in 2^63-1 s, and the like")
def for_ever_to_wait(stage: Stage) -> None:
    [ordinary] = requests_of_every_shape(SPANS)
    stage.ledger.sent(ordinary)
    delays = (
        Duration(seconds=LARGEST),
        Duration(seconds=-LARGEST),
        Duration(nanos=2**31 - 1),
        Duration(seconds=LARGEST, nanos=-1),
    )
    with stage.next_hop, stage.sidecar(), stage.client() as client:
        for delay in delays:
            stage.next_hop.usual = refuse(StatusCode.UNAVAILABLE, retry_after=delay)
            answer = client.send(ordinary, timeout=SHORT_SECONDS)
            assert answer.status in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}, answer.status
            wait = answer.retry_after or 0.0
            assert 0 <= wait <= HOUR, f"the sender was asked to wait {wait} s"
        stage.next_hop.usual = take
        assert client.send(ordinary, timeout=10).status == "OK"


@fault("next hop: OK without a message")
def no_message(stage: Stage) -> None:
    stage.next_hop.usual = take_and(say_nothing)
    with stage.everything():
        stage.send(requests_of_every_shape(SPANS))


@fault("next hop: rejects more spans than there are", may_reject=REFUSED)
def rejects_too_many(stage: Stage) -> None:
    stage.next_hop.usual = _reject_all(LARGEST)
    [large] = requests_of_texts(IN_PARTS, texts=TEXTS, spans_a_request=IN_PARTS)
    with stage.next_hop, stage.sidecar():
        answer = stage.send_once(large)
        calls = stage.next_hop.calls
    assert answer.status == "OK", answer.status
    rejected = ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans
    assert rejected >= IN_PARTS, f"the sender was told of {rejected} spans"
    assert calls <= MAX_CALLS, f"the next hop was sent the same {calls} times"


def _reject_all(said: int) -> Answer:
    def answer(arrival: Arrival) -> bytes:
        arrival.ledger.rejected(arrival.request)
        partial = ExportTracePartialSuccess(rejected_spans=said)
        return ExportTraceServiceResponse(partial_success=partial).SerializeToString()

    return answer


@fault("next hop: partial success, its message not UTF-8", may_reject=REFUSED)
def message_not_utf8(stage: Stage) -> None:
    rejected = 7

    def answer(arrival: Arrival) -> bytes:
        arrival.ledger.rejected(arrival.request, last=rejected)
        arrival.ledger.came(arrival.request, first=rejected)
        return field(1, varint(1 << 3) + varint(rejected) + field(2, NOT_UTF8))

    stage.next_hop.script.append(answer)
    [ordinary] = requests_of_every_shape(SPANS)
    with stage.next_hop, stage.sidecar():
        content = stage.send_once(ordinary).content
    [partial] = [each.data for each in ledger.fields(content) if each.number == 1] or [b""]
    told = [each.data for each in ledger.fields(partial) if each.number == 1]
    assert told == [rejected], f"the sender was told of {told} rejected spans"


@fault("next hop: passes on somebody else's `too large`", may_reject=REFUSED)
def others_limit(stage: Stage) -> None:
    refused = request(*(span(f"refused {number}") for number in range(64))).SerializeToString()
    [large] = requests_of_texts(IN_PARTS, texts=TEXTS, spans_a_request=IN_PARTS)
    with stage.next_hop, stage.sidecar():
        limit = stage.metric(names.SEND_LIMIT)
        stage.next_hop.usual = refuse_with(StatusCode.RESOURCE_EXHAUSTED, OTHERS_LIMIT)
        status = stage.send_once(refused).status
        stage.ledger.rejected(refused)
        stage.next_hop.usual = take
        before = stage.next_hop.calls
        began = time.monotonic()
        assert stage.send_once(large, timeout=5).status == "OK"
        calls, took = stage.next_hop.calls - before, time.monotonic() - began
        now = stage.metric(names.SEND_LIMIT)
    assert status in {"OK", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"}, status
    assert calls < MAX_CALLS, f"{IN_PARTS} spans took {calls} calls and {took:.1f} s"
    assert now == limit, f"requests sent on now have {now:.0f} bytes at the most"
