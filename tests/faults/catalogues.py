"""A catalogue that can't be had, can't be written, or does not answer."""

from __future__ import annotations

import resource
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

from tests.faults import names
from tests.faults.fault import fault
from tests.support.generated import requests_of_every_shape
from tests.support.processes import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.faults.stage import Stage
    from tests.support.processes import Sidecar

SPANS = 300
ROUNDS = 4
ROUND_SECONDS = 1.0
TOLD_SECONDS = 30.0
HELD_SECONDS = 60.0
# What may wait for a catalogue that hangs, with what else a sidecar holds once it was busy.
MOST_BYTES = 128 * 1024 * 1024
# So that each row sees some of them.
INTERVAL = ("--catalogue-interval", "0.3")


@fault("catalogue: its folder is not there")
def no_folder(stage: Stage) -> None:
    _fill_in_vain(stage, stage.directory / "no" / "such" / "catalogue.db")


@fault("catalogue: its file is damaged")
def damaged(stage: Stage) -> None:
    file = stage.directory / "catalogue.db"
    file.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
    _fill_in_vain(stage, file)


@fault("catalogue: its disk is full")
def disk_full(stage: Stage) -> None:
    file = stage.directory / "catalogue.db"
    with stage.next_hop, stage.sidecar(*_settings(file)) as sidecar, stage.collector():
        _fill(sidecar)
        for requests in _rounds():
            stage.send(requests)
            stage.ledger.wait_for_all()
        sidecar.wait_for_event(names.CATALOGUE_FAILING, timeout=TOLD_SECONDS)


@fault("catalogue: it is locked for a minute")
def locked(stage: Stage) -> None:
    file = stage.directory / "catalogue.db"
    with stage.next_hop, stage.sidecar(*_settings(file)) as sidecar, stage.collector():
        stage.send(requests_of_every_shape(SPANS, seed=99))
        _wait_until_written(stage)
        before = resident_bytes(sidecar.pid)
        with closing(sqlite3.connect(file, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            until = time.monotonic() + HELD_SECONDS
            while time.monotonic() < until:
                for requests in _rounds():
                    stage.send(requests)
                    stage.ledger.wait_for_all()
        sidecar.wait_for_event(names.CATALOGUE_FAILING, timeout=TOLD_SECONDS)
        sidecar.wait_for_event(names.CATALOGUE_RECOVERED, timeout=TOLD_SECONDS)
        _wait_until_counted(stage)
        more = resident_bytes(sidecar.pid) - before
        assert more < MOST_BYTES, f"it holds {more / 1e6:.0f} MB more"


@fault("catalogue: it is removed while it is filled")
def removed(stage: Stage) -> None:
    file = stage.directory / "catalogue.db"
    with stage.next_hop, stage.sidecar(*_settings(file)) as sidecar, stage.collector():
        stage.send(requests_of_every_shape(SPANS, seed=99))
        _wait_until_written(stage)
        for part in file.parent.glob("catalogue.db*"):
            part.unlink()
        for requests in _rounds():
            stage.send(requests)
            stage.ledger.wait_for_all()
        sidecar.wait_for_event(names.CATALOGUE_FAILING, timeout=TOLD_SECONDS)
        sidecar.wait_for_event(names.CATALOGUE_RECOVERED, timeout=TOLD_SECONDS)


def _settings(file: Path) -> Sequence[str]:
    return ("--catalogue", f"sqlite:///{file}", *INTERVAL)


def _rounds() -> Iterator[list[bytes]]:
    for seed in range(ROUNDS):
        yield requests_of_every_shape(SPANS, seed=seed)
        time.sleep(ROUND_SECONDS)


def _fill_in_vain(stage: Stage, file: Path) -> None:
    with stage.next_hop, stage.sidecar(*_settings(file)) as sidecar, stage.collector():
        sidecar.wait_for_event(names.CATALOGUE_FAILING, timeout=TOLD_SECONDS)
        for requests in _rounds():
            stage.send(requests)
            stage.ledger.wait_for_all()


def _fill(sidecar: Sidecar) -> None:
    """Let no file of the sidecar grow any more, as on a disk without room."""
    _, hard = resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE, (0, hard))


def _wait_until_counted(stage: Stage) -> None:
    """Wait until each span that passed is in the catalogue, or counted as missing there."""
    until = time.monotonic() + TOLD_SECONDS
    counted, sent = -1.0, 0.0
    while counted < sent:
        assert time.monotonic() < until, f"of {sent:.0f} spans {counted:.0f} are accounted for"
        time.sleep(0.1)
        counted = stage.metric(names.CATALOGUE_WRITTEN, names.CATALOGUE_DROPPED)
        sent = stage.metric(names.SENT)
    assert counted == sent, f"of {sent:.0f} spans {counted:.0f} are accounted for"


def _wait_until_written(stage: Stage) -> None:
    until = time.monotonic() + TOLD_SECONDS
    while not stage.metric(names.CATALOGUE_WRITTEN):
        assert time.monotonic() < until, "nothing is written"
        time.sleep(0.1)
