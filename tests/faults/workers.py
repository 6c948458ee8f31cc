"""Workers at one address, of which one dies under load."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from tests.faults.fault import fault
from tests.faults.straight import Straight
from tests.support.generated import requests_of_every_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.stage import Stage
    from tests.support.processes import Sidecar

WORKERS = 2
SPANS = 1_000
ROUNDS = 4
CLIENTS = 16
START_SECONDS = 60.0

KILLED = "what was on its way when the worker was killed had come: sent again, for nobody can know"


@fault("workers: SIGKILL of each in turn, under load from a Collector", may_duplicate=KILLED)
def killed_in_turn(stage: Stage) -> None:
    """A Collector has one connection, so one worker has all the load: and is hit now and then."""
    with stage.next_hop, _workers(stage) as sidecar, stage.collector():
        for seed in range(ROUNDS):
            before = stage.ledger.account().came
            with stage.sending(requests_of_every_shape(SPANS, seed=seed)):
                stage.ledger.wait_for_more(than=before)
                _kill(sidecar, seed % WORKERS)
            _wait_for_starts(sidecar, WORKERS + seed + 1)
        stage.ledger.wait_for_all()


@fault("workers: SIGKILL of one under load from 16 clients", may_duplicate=KILLED)
def killed_once(stage: Stage) -> None:
    requests = requests_of_every_shape(4 * SPANS)
    with stage.next_hop, _workers(stage) as sidecar:
        statuses: list[str] = []
        sending = Thread(
            target=lambda: statuses.extend(stage.send_straight(requests, Straight(CLIENTS)))
        )
        sending.start()
        stage.ledger.wait_for_more()
        _kill(sidecar, 0)
        sending.join()
        stage.ledger.wait_for_all()
    assert statuses == ["OK"] * len(requests), {each: statuses.count(each) for each in statuses}


@fault("workers: SIGTERM under load")
def terminated(stage: Stage) -> None:
    """Those who send wait for the next ones, as for the next of a single process."""
    requests = requests_of_every_shape(SPANS)
    with stage.next_hop, stage.collector(), stage.sending(requests):
        with _workers(stage) as sidecar:
            stage.ledger.wait_for_more()
            assert (exit_code := sidecar.stop()) == 0, f"on SIGTERM, it ended with {exit_code}"
        with _workers(stage):
            stage.ledger.wait_for_all()


@contextmanager
def _workers(stage: Stage) -> Iterator[Sidecar]:
    with stage.sidecar("--workers", f"{WORKERS}") as sidecar:
        yield sidecar


def _kill(sidecar: Sidecar, worker: int) -> None:
    starts = [start for start in sidecar.events("worker.started") if start["worker"] == worker]
    os.kill(starts[-1]["pid"], signal.SIGKILL)


def _wait_for_starts(sidecar: Sidecar, count: int) -> None:
    Retrying(
        retry=retry_if_result(lambda started: started < count),
        stop=stop_after_delay(START_SECONDS),
        wait=wait_fixed(0.1),
    )(lambda: len(sidecar.events("worker.started")))
