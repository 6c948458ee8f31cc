"""All rows; and how they are run, each in a process of its own."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from tests.faults import (
    addresses,
    answers,
    callers,
    catalogues,
    costs,
    hops,
    life,
    links,
    load,
    logs,
    models,
    queues,
    requests,
    stored_models,
    vectors,
    workers,
)
from tests.faults.fault import Fault, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.faults.ledger import Account

MODULES = (
    *(hops, addresses, answers, links, logs, models, stored_models, vectors),
    *(requests, callers, costs, queues, load, life, catalogues, workers),
)


def chosen(names: Sequence[str]) -> list[Fault]:
    """Give the faults whose names contain one of these; all, without any."""
    faults = (fault for module in MODULES for fault in vars(module).values())
    return [
        fault
        for fault in faults
        if isinstance(fault, Fault) and any(name in fault.name for name in names or [""])
    ]


def run_together(
    faults: Sequence[Fault], at_once: int, scratch: Path, model_cache: Path
) -> Iterator[tuple[Row, float]]:
    """Run so many at a time; give each as it ends, and the seconds that it took."""
    # In processes of their own: one that counts spans would hold up another.
    with ProcessPoolExecutor(at_once, get_context("spawn")) as processes:
        running = {
            processes.submit(_run_one, fault.name, scratch, model_cache): fault for fault in faults
        }
        for done in as_completed(running):
            account, peak_bytes, problems, seconds = done.result()
            yield Row(running[done], account, peak_bytes, problems), seconds


def _run_one(name: str, scratch: Path, model_cache: Path) -> tuple[Account, int, list[str], float]:
    """Run the row of a name: the row itself, made of a function, goes to no other process."""
    [fault] = (fault for fault in chosen([name]) if fault.name == name)
    started = time.monotonic()
    row = fault.run(Path(mkdtemp(dir=scratch)), model_cache)
    return row.account, row.peak_bytes, row.problems, time.monotonic() - started
