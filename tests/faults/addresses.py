"""Names of the next hop that come to stand for something else."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.faults import names
from tests.faults.fault import fault
from tests.faults.nameserver import Nameserver
from tests.support.generated import requests_of_every_shape

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.faults.stage import Stage
    from tests.support.processes import Sidecar

SPANS = 400
HOST = "next-hop.test"
FIRST, SECOND = "127.0.0.1", "127.0.0.2"
TOLD_SECONDS = 10.0


@fault("next hop: its name comes to stand for another address")
def moved(stage: Stage) -> None:
    with (
        Nameserver(FIRST) as nameserver,
        stage.next_hop,
        _with_nameserver(stage, nameserver) as sidecar,
        stage.collector(),
    ):
        statuses = {stage.send_once(request).status for request in requests_of_every_shape(SPANS)}
        assert statuses == {"OK"}, statuses
        stage.next_hop.go_down()
        stage.send(requests_of_every_shape(SPANS, seed=2))
        sidecar.wait_for_event(names.FAILING, timeout=TOLD_SECONDS)
        nameserver.address, stage.next_hop.address = SECOND, f"{SECOND}:{_port(stage)}"
        stage.next_hop.go_up()
        stage.ledger.wait_for_all()
        sidecar.wait_for_event(names.RECOVERED, timeout=TOLD_SECONDS)


@fault("next hop: a name that nobody knows yet")
def unknown_name(stage: Stage) -> None:
    with (
        ExitStack() as later,
        Nameserver() as nameserver,
        _with_nameserver(stage, nameserver) as sidecar,
        stage.collector(),
    ):
        stage.send(requests_of_every_shape(SPANS))
        line = sidecar.wait_for_line(names.FAILING, timeout=TOLD_SECONDS)
        assert HOST in line, f"no name in {line}"
        nameserver.address = FIRST
        later.enter_context(stage.next_hop)
        stage.ledger.wait_for_all()


def _with_nameserver(stage: Stage, nameserver: Nameserver) -> AbstractContextManager[Sidecar]:
    program = (sys.executable, "-m", "tests.faults.nameserver", nameserver.listens)
    return stage.sidecar(program=program, next_hop=f"{HOST}:{_port(stage)}")


def _port(stage: Stage) -> str:
    return stage.next_hop.address.rpartition(":")[2]
