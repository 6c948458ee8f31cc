"""One span beside the heaviest that is let in, at each queue: it is answered within a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.faults import ledger
from tests.faults.beside import nobody_waits
from tests.faults.client import answer_of
from tests.faults.fault import MEGABYTE, fault
from tests.faults.loris import silent_calls
from tests.faults.next_hop import counted_later, keep, take_slowly
from tests.faults.straight import Straight
from tests.support.busy import on_this_machine
from tests.support.generated import requests_of_every_shape, requests_of_texts
from tests.support.otlp_samples import field, request, span

if TYPE_CHECKING:
    from tests.faults.client import Answer
    from tests.faults.stage import Stage

SPANS = 200
# At each queue more than it does at once: that is eight, four, as many as there are CPUs, 32 MB.
CONNECTIONS, CALLS = 4, 500
AT_WORK, SPANS_AT_WORK = 6, 15_000
NEW_TEXTS = 3_000
SENDING, SPANS_SENT = 12, 4_000
NEXT_HOP_BYTES_A_SECOND = 4 * MEGABYTE
TEXTS = 20
PATIENT = Straight(clients=AT_WORK, timeout=30)
NEW_TEXT = b"a text of somebody else"

GIVEN_UP = "their callers gave up while it was slow: what had come comes again"


@fault("queue: 2,000 calls that say nothing, and one that does", is_alone=True)
def reading(stage: Stage) -> None:
    with (
        stage.next_hop,
        stage.sidecar(),
        silent_calls(stage.address, connections=CONNECTIONS, calls=CALLS),
        nobody_waits(stage.address),
    ):
        answer = stage.send_once(requests_of_every_shape(SPANS)[0])
    assert answer.status == "OK", answer.status


@fault("queue: one span beside 90,000 that get stand-ins", is_alone=True)
def working(stage: Stage) -> None:
    empty = stage.directory / "empty"
    empty.mkdir()
    requests = [small_spans(SPANS_AT_WORK, number) for number in range(AT_WORK)]
    with (
        counted_later(stage.next_hop, stage.ledger),
        stage.next_hop,
        stage.sidecar("--model", str(empty), has_model=False) as sidecar,
    ):
        sidecar.wait_for_event("model.unavailable")
        with nobody_waits(stage.address):
            statuses = stage.send_straight(requests, PATIENT)
    assert set(statuses) == {"OK"}, statuses


def small_spans(count: int, number: int) -> bytes:
    """Make a request of spans that read the same; no other number has the same ones."""
    name = field(5, b"GET /") + b"\x39" + bytes(7) + b"\x10" + b"\x41" + bytes(7) + b"\x11"
    first = number * count + 1
    ids = (each.to_bytes(8) for each in range(first, first + count))
    spans = b"".join(field(2, field(1, id_ + id_) + field(2, id_) + name) for id_ in ids)
    return field(1, field(2, spans))


@fault("queue: new texts beside 3,000 new ones", is_alone=True)
def modelling(stage: Stage) -> None:
    [many] = requests_of_texts(NEW_TEXTS, texts=NEW_TEXTS, spans_a_request=NEW_TEXTS)
    kept: list[bytes] = []
    with stage.next_hop, stage.sidecar(), stage.client() as client:
        stage.ledger.sent(many)
        began = time.monotonic()
        call = client.begin(many, timeout=PATIENT.timeout)
        stage.next_hop.usual = keep(kept)
        beside = [_new_text(stage, number) for number in range(3)]
        status = answer_of(call, began).status
        assert status == "OK", status
        # What nobody waits for any more stands in nobody's way.
        behind = [_new_text(stage, number) for number in range(3, 6)]
    for answer in (*beside, *behind):
        assert answer.status == "OK", answer.status
        assert answer.seconds < on_this_machine(1), f"one new text took {answer.seconds:.1f} s"
    sources = [_source(each) for each in kept if NEW_TEXT in each]
    assert set(sources) == {"model"}, f"new texts of others got vectors from {sources}"


def _new_text(stage: Stage, number: int) -> Answer:
    name = f"{NEW_TEXT.decode()} {'abcdef'[number]}"
    return stage.send_once(request(span(name)).SerializeToString())


def _source(encoded: bytes) -> str:
    [one] = ledger.spans_of(encoded)
    return one.source


@fault("queue: one span beside 230 MB on their way out", may_duplicate=GIVEN_UP, is_alone=True)
def sending(stage: Stage) -> None:
    requests = [
        requests_of_texts(SPANS_SENT, texts=TEXTS, spans_a_request=SPANS_SENT)[0]
        for _ in range(SENDING)
    ]
    stage.next_hop.usual = take_slowly(NEXT_HOP_BYTES_A_SECOND)
    with stage.next_hop, stage.sidecar(), nobody_waits(stage.address):
        stage.send_straight(requests, Straight(clients=SENDING))
