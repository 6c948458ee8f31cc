"""Many clients, clients that never come to the point, and ends of the sidecar's life."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tests.faults.fault import MEGABYTE, fault
from tests.faults.loris import lorises
from tests.faults.stage import MEBIBYTE
from tests.faults.straight import Straight
from tests.support.generated import requests_of_every_shape
from tests.support.otlp_samples import request, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.stage import Stage

SPANS = 2_000
CLIENTS = 200
REQUESTS_A_CLIENT = 2
SPANS_A_REQUEST = 16
MAX_BYTES = 600 * MEGABYTE
RESTARTS = 3

LATE = (
    "refused for now or too late in its answer, a request is sent again, and some of its spans "
    "had come"
)
KILLED = "what was on its way when the sidecar was killed had come: sent again, for nobody can know"


@fault("load: 200 clients at once", max_bytes=MAX_BYTES, may_duplicate=LATE)
def many_clients(stage: Stage) -> None:
    requests = [_mebibyte_of_spans(n) for n in range(CLIENTS * REQUESTS_A_CLIENT)]
    with stage.next_hop, stage.sidecar():
        statuses = stage.send_straight(requests, Straight(clients=CLIENTS))
        stage.ledger.wait_for_all()
    assert set(statuses) == {"OK"}, {status: statuses.count(status) for status in set(statuses)}


def _mebibyte_of_spans(number: int) -> bytes:
    body = "x" * (MEBIBYTE // SPANS_A_REQUEST)
    spans = [span(f"client {number} {n}", {"body": body}) for n in range(SPANS_A_REQUEST)]
    return request(*spans).SerializeToString()


@fault("load: 200 slow-loris connections")
def slow_loris(stage: Stage) -> None:
    with stage.everything() as running, lorises(stage.address, CLIENTS):
        for seed in range(5):
            stage.send(requests_of_every_shape(SPANS // 10, seed=seed))
            stage.ledger.wait_for_all()
        stage.note_memory(running.sidecar)


@fault("life: SIGTERM under load")
def terminated(stage: Stage) -> None:
    with _under_load(stage) as later:
        with stage.sidecar() as sidecar:
            stage.ledger.wait_for_more()
            stage.note_memory(sidecar)
            assert (exit_code := sidecar.stop()) == 0, f"on SIGTERM, it ended with {exit_code}"
        later.enter_context(stage.sidecar())
        stage.ledger.wait_for_all()


@fault("life: SIGKILL under load", may_duplicate=KILLED)
def killed(stage: Stage) -> None:
    with _under_load(stage) as later:
        with stage.sidecar() as sidecar:
            stage.ledger.wait_for_more()
            stage.note_memory(sidecar)
            sidecar.kill()
        later.enter_context(stage.sidecar())
        stage.ledger.wait_for_all()


@fault("life: restarted three times under load")
def restarted(stage: Stage) -> None:
    with ExitStack() as later, stage.next_hop, stage.collector():
        for seed in range(RESTARTS):
            before = stage.ledger.account().came
            with stage.sending(requests_of_every_shape(SPANS // 2, seed=seed)), stage.sidecar():
                stage.ledger.wait_for_more(than=before)
        later.enter_context(stage.sidecar())
        stage.ledger.wait_for_all()


@contextmanager
def _under_load(stage: Stage) -> Iterator[ExitStack]:
    """Send through a Collector; what is entered later stays until the Collector is done."""
    requests = requests_of_every_shape(SPANS)
    with ExitStack() as later, stage.next_hop, stage.collector(), stage.sending(requests):
        yield later
