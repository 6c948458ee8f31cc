"""What a span costs on its way, beside a Collector that passes on, and one that works in Go."""

from __future__ import annotations

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.bench import passing, requests
from tests.bench.fit import line_through
from tests.bench.results import Column, Curves, Table, goal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.bench.extent import Extent
    from tests.bench.passing import Contestant, Course
    from tests.bench.requests import Load

COLUMNS = (
    Column("requests of"),
    Column("spans", ",.0f"),
    Column(""),
    Column("CPU, us/span"),
    Column("least"),
    Column("most"),
    Column("x Collector"),
    Column("x Go", ".2f"),
    Column("goal"),
    Column("spans/s", ",.0f"),
)
# By load and contestant: how many times the CPU of the processor in Go that does the same.
GOALS = {
    ("512 spans", "sidecar, array"): 0.30,
    ("512 spans", "sidecar, bytes"): 0.85,
    ("64 spans", "sidecar, array"): 0.55,
    ("64 spans", "sidecar, bytes"): 1.3,
}
# The same of a Collector that passes on.
COLLECTOR_GOALS = {("512 spans", "sidecar, attach new"): 1.6}


def batches(extent: Extent) -> Table:
    """Measure requests of few and of many spans."""
    table = measured("Texts all known, by spans a request", requests.batches(), extent)
    table.curves = Curves("spans a request", along=1, up=3, by=2)
    for name in dict.fromkeys(str(row[2]) for row in table.rows):
        costs = {
            float(row[1] or 0): float(row[3] or 0) * float(row[1] or 0)
            for row in table.rows
            if row[2] == name
        }
        line = line_through([*costs], [*costs.values()])
        table.notes.append(f"{name}, CPU a request: {line.said('us', 'a span')}")
    return table


def attributes(extent: Extent) -> Table:
    """Measure spans of few and of many attributes."""
    return measured("Texts all known, by attributes", requests.of_attributes(), extent)


def varying(extent: Extent) -> Table:
    """Measure spans of which each is another."""
    loads = requests.varying(extent.fresh)
    return measured("Texts all known, and each span another: it has ...", loads, extent)


def hits(extent: Extent) -> Table:
    """Measure spans with texts that were never seen; the processor in Go has no model."""
    loads = requests.of_hits(extent.fresh)
    return measured("Some texts never seen, the model's work included", loads, extent, peers=False)


def measured(title: str, loads: Iterable[Load], extent: Extent, *, peers: bool = True) -> Table:
    """Let all take turns with each load."""
    whole = f"{title}: CPU, us/span, medians of {extent.rounds} turns as a Collector writes spans"
    table = Table(whole, COLUMNS)
    with TemporaryDirectory() as scratch, passing.running_contestants(passing.PATIENT) as running:
        contestants = [each for each in running if peers or " in Go" not in each.name]
        for course in passing.courses(loads, contestants, Path(scratch)):
            course.warm_up()
            course.run(extent.rounds, extent.requests)
            for contestant in contestants:
                table.add(*row(course, contestant, contestants))
    return table


def row(
    course: Course, contestant: Contestant, all_: Sequence[Contestant]
) -> list[float | str | None]:
    """Give what a table says of a contestant on a course."""
    cpu = course.totals(contestant.name)
    median = statistics.median(cpu)
    by_collector = median / statistics.median(course.totals(passing.ALONE))
    has_peer = any(each.name == contestant.peer for each in all_)
    by_go = median / statistics.median(course.totals(contestant.peer)) if has_peer else None
    measured = course.load.name, contestant.name
    verdict = goal(by_collector, COLLECTOR_GOALS.get(measured), "x Collector")
    if by_go is not None:
        verdict = goal(by_go, GOALS.get(measured), "x Go")
    return [
        course.load.name,
        course.load.spans,
        contestant.name,
        median,
        min(cpu),
        max(cpu),
        by_collector,
        by_go,
        verdict,
        course.median_rate(contestant),
    ]
