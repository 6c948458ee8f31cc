"""What an encoding of the vector costs the next Collector, which takes the spans back."""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_args

from otel_embedder.annotation.settings import Encoding
from tests.bench.passing import PATIENT, Contestant, Course
from tests.bench.requests import PASSTHROUGH_YAML, SPANS, Load, collected, same
from tests.bench.results import Column, Table
from tests.bench.sink import running_sink
from tests.support.processes import Sink, running_collector, running_sidecar, send

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.extent import Extent

COLUMNS = (
    Column("attached"),
    Column("the Collector pays, us/span"),
    Column("least"),
    Column("most"),
    Column("bytes/span", ",.0f"),
)
COLLECTOR = "Collector"


def measure(extent: Extent) -> Table:
    """Send what sidecars send to Collectors, in turns."""
    title = "What an encoding costs the next Collector, CPU, medians of turns"
    table = Table(title, COLUMNS)
    with TemporaryDirectory() as scratch, ExitStack() as running:
        backend = {"OTELCOL_BACKEND_ENDPOINT": running.enter_context(running_sink())}
        courses = []
        for load in loads():
            # Each has one of its own: what one brings is not to grow another's heap.
            collector = running.enter_context(running_collector(PASSTHROUGH_YAML, backend))
            contestant = Contestant(COLLECTOR, (collector.pid,), collector.address)
            courses.append(Course(load, Path(scratch, load.name), [contestant]))
            courses[-1].warm_up()
        for _ in range(extent.rounds):
            for course in courses:
                course.run(1, extent.requests)
    for course in courses:
        cpu = course.totals(COLLECTOR)
        size = sum(map(len, course.load.requests)) / SPANS
        table.add(course.load.name, statistics.median(cpu), min(cpu), max(cpu), size)
    return table


def loads() -> Iterator[Load]:
    """Make what a Collector gets back, by what was attached."""
    bare = collected(same(SPANS))
    yield Load("none, for comparison", SPANS, bare)
    for encoding in get_args(Encoding):
        yield Load(encoding, SPANS, attached(bare, ["--encoding", encoding]))
    yield Load("attach new", SPANS, attached(bare, ["--attach", "new"]))


def attached(requests: Sequence[bytes], flags: Sequence[str]) -> list[bytes]:
    """Give requests as a sidecar sends them on that knows their texts."""
    with Sink() as sink, running_sidecar(sink.address, settings=[*PATIENT, *flags]) as sidecar:
        sidecar.wait_for_model()
        send(sidecar.address, requests)
        first = len(sink.requests)
        send(sidecar.address, requests)
        return sink.requests[first:]
