"""Requests within all limits that cost more than others: in memory, or in everybody's time."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from tests.faults.beside import nobody_waits
from tests.faults.fault import MEGABYTE, fault
from tests.faults.next_hop import counted_later, silence, take_and
from tests.faults.queues import small_spans
from tests.faults.stage import MEBIBYTE
from tests.faults.straight import Straight
from tests.stalls.known import KNOWN
from tests.support.generated import requests_of_texts

if TYPE_CHECKING:
    from tests.faults.stage import Stage

# docs/limits.md: a sidecar, its model, and what is in flight by default.
MAX_BYTES = 450 * MEGABYTE
# Without a model, and with an eighth of the default in flight.
FEW_BYTES = 220 * MEGABYTE
INFLIGHT = "8MiB"
CLIENTS, SPANS_A_CLIENT = 8, 5_000
NEXT_HOP_SECONDS = 3.0
MUCH_TO_READ = ("long values", "arrays in arrays", "a wide resource", "a wide event")
LONG_SHARE = 0.5
EMPTY_BYTES = 8 * MEBIBYTE
SPANS = 5_000
ANSWER_SECONDS = 30.0
LEFT = "some had come although their caller had left: it sends them again"


@fault("cost: stand-ins, while the next hop is slow", max_bytes=FEW_BYTES)
def stand_ins_in_flight(stage: Stage) -> None:
    empty = stage.directory / "empty"
    empty.mkdir()
    requests = [small_spans(SPANS_A_CLIENT, number) for number in range(CLIENTS)]
    # The first keep all others waiting, with what they have got by then.
    stage.next_hop.script += [take_and(silence(NEXT_HOP_SECONDS))] * 2
    settings = ("--model", str(empty), "--max-inflight-bytes", INFLIGHT)
    with (
        counted_later(stage.next_hop, stage.ledger),
        stage.next_hop,
        stage.sidecar(*settings, has_model=False) as sidecar,
    ):
        sidecar.wait_for_event("model.unavailable")
        statuses = stage.send_straight(requests, Straight(clients=CLIENTS, timeout=30))
    assert set(statuses) == {"OK"}, statuses


@fault("cost: a span in which there is much to read", is_alone=True)
def much_to_read(stage: Stage) -> None:
    shapes = [shape for shape in KNOWN if shape.name in MUCH_TO_READ]
    stage.next_hop.max_bytes = -1
    with stage.next_hop, stage.sidecar(), nobody_waits(stage.address):
        answers = [stage.send_once(shape.encoded(LONG_SHARE)) for shape in shapes]
    assert {answer.status for answer in answers} == {"OK"}, [answer.status for answer in answers]


@fault("cost: a few KB that inflate to millions of messages", max_bytes=MAX_BYTES, is_alone=True)
def empty_messages(stage: Stage) -> None:
    squeezed = gzip.compress(b"\x0a\x00" * (EMPTY_BYTES // 2))
    with stage.next_hop, stage.sidecar(), stage.client() as client, nobody_waits(stage.address):
        answer = client.send(squeezed, timeout=ANSWER_SECONDS)
    assert answer.status in {"OK", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"}, answer.status


@fault("cost: 10,000 new texts whose callers have left", may_duplicate=LEFT, is_alone=True)
def left_behind(stage: Stage) -> None:
    requests = [
        requests_of_texts(count, texts=count, spans_a_request=count)[0]
        for count in (SPANS, SPANS - 1, SPANS - 2)
    ]
    settings = ("--max-queue-size", str(2 * SPANS), "--model-threads", "1")
    with (
        stage.next_hop,
        stage.sidecar(*settings),
        stage.client() as client,
        nobody_waits(stage.address),
    ):
        for each in requests[:-1]:
            client.send(each, timeout=1)
        statuses = stage.send_straight(requests, Straight(timeout=ANSWER_SECONDS))
    assert set(statuses) == {"OK"}, statuses
