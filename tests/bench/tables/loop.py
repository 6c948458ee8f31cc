"""The whole loop: a Collector, the sidecar, and the same Collector again."""

from __future__ import annotations

import statistics
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.bench.passing import (
    ALONE,
    ENCODINGS,
    Contestant,
    Course,
    running_peer,
)
from tests.bench.requests import PASSTHROUGH_YAML, SPANS, Load, collected, same
from tests.bench.results import Column, Table, goal
from tests.bench.sink import running_sink
from tests.support.processes import free_address, running_collector, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.extent import Extent

LOOP_YAML = Path(__file__).parents[1] / "loop.yaml"
COLUMNS = (
    Column(""),
    Column("CPU in all, us/span"),
    Column("least"),
    Column("most"),
    Column("Collector"),
    Column("sidecar"),
    Column("x array", ".2f"),
    Column("goal"),
    Column("spans/s", ",.0f"),
)
ATTACHING = {"array": ("--encoding", "array"), "bytes": ("--encoding", "bytes")}
NEW = {
    "attach new, array": ("--attach", "new"),
    "attach new, bytes": ("--attach", "new", "--encoding", "bytes"),
}
GOALS = {"attach new, array": 0.3}


def measure(extent: Extent) -> Table:
    """Let loops take turns, by what is attached."""
    title = f"The whole loop, requests of {SPANS} spans, texts all known, medians of turns"
    table = Table(title, COLUMNS)
    load = Load(f"{SPANS} spans", SPANS, collected(same(SPANS)))
    with TemporaryDirectory() as scratch, running_loops() as loops:
        course = Course(load, Path(scratch, "requests"), loops)
        course.warm_up()
        course.run(extent.rounds, extent.requests)
        array = statistics.median(course.totals("array"))
        for loop in loops:
            totals, (collector, *sidecar) = course.totals(loop.name), course.cpu(loop)
            times = statistics.median(totals) / array
            table.add(
                loop.name,
                statistics.median(totals),
                min(totals),
                max(totals),
                collector,
                sidecar[0] if sidecar else None,
                times,
                goal(times, GOALS.get(loop.name), "x"),
                course.median_rate(loop),
            )
    return table


@contextmanager
def running_loops() -> Iterator[list[Contestant]]:
    """Run a loop for all that may be attached, a Collector that passes on, and the peers in Go."""
    with ExitStack() as running:
        backend = {"OTELCOL_BACKEND_ENDPOINT": running.enter_context(running_sink())}
        collector = running.enter_context(running_collector(PASSTHROUGH_YAML, backend))
        loops = [Contestant(ALONE, (collector.pid,), collector.address)]
        for encoding in ENCODINGS:
            peer = running.enter_context(running_peer(PASSTHROUGH_YAML, backend, encoding))
            loops.append(Contestant(f"processor in Go, {encoding}", (peer.pid,), peer.address))
        for name, flags in {**ATTACHING, **NEW}.items():
            pids, address = running.enter_context(_running_loop(backend, flags))
            loops.append(Contestant(name, pids, address))
        yield loops


@contextmanager
def _running_loop(
    backend: dict[str, str], flags: Sequence[str]
) -> Iterator[tuple[tuple[int, ...], str]]:
    """Run a sidecar between two pipelines of a Collector; give their pids, and where it begins."""
    embedded = free_address()
    with running_sidecar(embedded, settings=flags) as sidecar:
        ends = {
            "OTELCOL_EMBEDDED_ENDPOINT": embedded,
            "OTELCOL_SIDECAR_ENDPOINT": sidecar.address,
        }
        with running_collector(LOOP_YAML, backend | ends) as collector:
            yield (collector.pid, sidecar.pid), collector.address
