"""Faults of the next hop."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from grpc import StatusCode

from tests.faults.fault import fault
from tests.faults.next_hop import refuse, reject, reject_some, silence, take, take_and
from tests.faults.proxy import Proxy
from tests.faults.stage import MEBIBYTE
from tests.support.generated import requests_of_every_shape, requests_of_texts

if TYPE_CHECKING:
    from tests.faults.next_hop import Answer, Arrival
    from tests.faults.stage import Stage

SPANS = 400
DEADLINE_SECONDS = 2
DEADLINE = f"exporters::otlp_grpc/sidecar::timeout: {DEADLINE_SECONDS}s"
RETRY_SECONDS = 1.5

ANSWER_LOST = (
    "the next hop took the spans, but its answer did not arrive: they are sent again, for nobody "
    "can know"
)
REFUSED = (
    "the next hop refuses these for good, by its own rules and the protocol's; the Collector "
    "drops them, and says so"
)


@fault("next hop: down at start")
def down_at_start(stage: Stage) -> None:
    with ExitStack() as later, stage.sidecar(), stage.collector() as collector:
        stage.send(requests_of_every_shape(SPANS))
        collector.wait_for_line("Will retry the request", "Unavailable")
        later.enter_context(stage.next_hop)
        stage.ledger.wait_for_all()


@fault("next hop: goes down and comes back", may_duplicate=ANSWER_LOST)
def down_and_back(stage: Stage) -> None:
    with stage.everything() as running:
        stage.send(requests_of_every_shape(SPANS))
        stage.ledger.wait_for_more()
        stage.next_hop.go_down()
        stage.send(requests_of_every_shape(SPANS, seed=2))
        running.collector.wait_for_line("Will retry the request", "Unavailable")
        stage.next_hop.go_up()


@fault("next hop: slow, 5x the deadline", may_duplicate=ANSWER_LOST)
def slow(stage: Stage) -> None:
    stage.next_hop.script += [take_and(silence(5 * DEADLINE_SECONDS))] * 2
    with stage.everything(overrides=[DEADLINE]) as running:
        stage.send(requests_of_every_shape(SPANS))
        running.collector.wait_for_line("Will retry the request")


@fault("next hop: RESOURCE_EXHAUSTED with RetryInfo")
def exhausted_for_now(stage: Stage) -> None:
    stage.next_hop.script += [refuse(StatusCode.RESOURCE_EXHAUSTED, retry_after=RETRY_SECONDS)] * 2
    with stage.everything():
        stage.send(requests_of_every_shape(SPANS))


@fault("next hop: RESOURCE_EXHAUSTED without RetryInfo", may_reject=REFUSED)
def exhausted_for_good(stage: Stage) -> None:
    _rejects_one(stage, reject(StatusCode.RESOURCE_EXHAUSTED))


@fault("next hop: INVALID_ARGUMENT", may_reject=REFUSED)
def invalid_argument(stage: Stage) -> None:
    _rejects_one(stage, reject(StatusCode.INVALID_ARGUMENT))


@fault("next hop: partial success", may_reject=REFUSED)
def partial_success(stage: Stage) -> None:
    _rejects_one(stage, reject_some(7))


def _rejects_one(stage: Stage, answer: Answer) -> None:
    stage.next_hop.script.append(answer)
    with stage.everything():
        stage.send(requests_of_every_shape(SPANS))
        stage.ledger.wait_for_all()
        stage.send(requests_of_every_shape(SPANS, seed=2))
    assert stage.ledger.account().rejected > 0


@fault("next hop: takes, then says UNAVAILABLE", may_duplicate=ANSWER_LOST)
def answer_lost(stage: Stage) -> None:
    stage.next_hop.script.append(take_and(refuse(StatusCode.UNAVAILABLE)))
    with stage.everything():
        stage.send(requests_of_every_shape(SPANS))


@fault("next hop: takes, then hangs up in its answer", may_duplicate=ANSWER_LOST)
def reset_in_the_answer(stage: Stage) -> None:
    with stage.next_hop, Proxy(stage.next_hop.address) as proxy:

        def cut(_: Arrival) -> bytes:
            proxy.arm()
            return b""

        stage.next_hop.script.append(take_and(cut))
        # The sidecar sends them again by itself, while the Collector waits.
        with stage.sidecar(next_hop=proxy.address), stage.collector():
            stage.send(requests_of_every_shape(SPANS))
            stage.ledger.wait_for_all()


@fault("next hop: a limit of 4 MiB")
def limit(stage: Stage) -> None:
    with stage.everything():
        stage.send(requests_of_texts(3_000, texts=20, spans_a_request=3_000))
    assert stage.next_hop.calls > 1


@fault("next hop: a limit of 1 MiB, less than a part")
def small_limit(stage: Stage) -> None:
    stage.next_hop.max_bytes = MEBIBYTE
    with stage.everything():
        stage.send(requests_of_texts(3_000, texts=20, spans_a_request=3_000))


@fault("next hop: a later part refused for now")
def later_part(stage: Stage) -> None:
    stage.next_hop.script += [take, refuse(StatusCode.UNAVAILABLE)]
    with stage.everything():
        stage.send(requests_of_texts(3_000, texts=20, spans_a_request=3_000))


@fault("next hop: a later part refused till the deadline")
def later_part_too_late(stage: Stage) -> None:
    stage.next_hop.script += [take, *[refuse(StatusCode.UNAVAILABLE)] * 100]
    with stage.everything(overrides=[DEADLINE]) as running:
        stage.send(requests_of_texts(3_000, texts=20, spans_a_request=3_000))
        running.collector.wait_for_line("Will retry the request")
        stage.next_hop.script.clear()
