"""How long a request takes longer because a sidecar is on its way, by how much it has to do."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from tests.bench.passing import Contestant, Course
from tests.bench.requests import SPANS, Load, collected, same, unseen_of_40_tokens
from tests.bench.results import Column, Table, goal
from tests.bench.sink import running_sink
from tests.support.processes import own_environment, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.extent import Extent

COLUMNS = (
    Column("requests of"),
    Column("load"),
    Column("requests/s", ",.1f"),
    Column("p50, ms", ".2f"),
    Column("p99, ms", ".2f"),
    Column("without, p50", ".2f"),
    Column("without, p99", ".2f"),
    Column("added, p50", ".2f"),
    Column("added, p99", ".2f"),
    Column("goal, ms"),
)
SHARES = (0.2, 0.5, 0.8)
SIDECAR, DIRECT = "sidecar", "direct"
FEW = 10
UNSEEN = "1 span never seen, 40 tokens"
ALONE_A_SECOND = 10.0
LEAST = 50  # requests, or there is no p99

HALF = "50 % of capacity"
# Of p50 and of the p99 that is added.
GOALS_P50 = {(f"{FEW} spans", HALF): 1.5, (UNSEEN, "alone"): 8.0}
GOALS_ADDED_P99 = {(f"{SPANS} spans", HALF): 15.0}


class Took(NamedTuple):
    """Milliseconds that requests took.

    Attributes:
        p50: half of them took no longer.
        p99: of a hundred one took longer.

    """

    p50: float
    p99: float


class Way(NamedTuple):
    """A load, and where it is sent.

    Attributes:
        load: what is sent.
        file: where that is kept.
        sidecar: the address of one that sends on to `sink`.
        sink: where the same is sent without one.

    """

    load: Load
    file: Path
    sidecar: str
    sink: str


def measure(extent: Extent) -> Table:
    """Send requests at shares of what a sidecar can, through it and straight to its next hop."""
    title = "Latency, through a sidecar and without one: requests sent at a rate"
    table = Table(title, COLUMNS)
    with (
        TemporaryDirectory() as scratch,
        running_sink() as sink,
        running_sidecar(sink) as sidecar,
    ):
        sidecar.wait_for_model()
        through = Contestant(SIDECAR, (sidecar.pid,), sidecar.address)
        for load in loads(extent):
            file = Path(scratch, str(load.spans))
            course = Course(load, file, [through])
            way = Way(load, file, sidecar.address, sink)
            for name, rate in rates(course, through, extent):
                table.add(*row(way, name, rate, extent.seconds))
    return table


def loads(extent: Extent) -> Iterator[Load]:
    """Give requests of spans whose texts are known, and such of one that nobody has seen."""
    for spans in (SPANS, FEW):
        yield Load(f"{spans} spans", spans, collected(same(spans)))
    count = 2 + max(LEAST, int(ALONE_A_SECOND * extent.seconds))
    yield Load(UNSEEN, 1, collected(unseen_of_40_tokens(count)), is_fresh=True)


def rates(course: Course, contestant: Contestant, extent: Extent) -> Iterator[tuple[str, float]]:
    """Give how many requests a second to send, and what that is."""
    if course.load.is_fresh:
        yield "alone", ALONE_A_SECOND
        return
    course.warm_up()
    course.run(extent.rounds, extent.requests)
    capacity = course.median_rate(contestant) / course.load.spans
    for share in SHARES:
        yield f"{share:.0%} of capacity".replace("%", " %"), share * capacity


def row(way: Way, name: str, rate: float, seconds: float) -> list[str | float | None]:
    """Measure at a rate, through the sidecar and without it."""
    count = max(LEAST, int(rate * seconds))
    through = _took(way.sidecar, way.file, rate, count)
    without = _took(way.sink, way.file, rate, count)
    measured = way.load.name, name
    added = through.p99 - without.p99
    wanted = GOALS_P50.get(measured)
    verdict = goal(through.p50, wanted, "p50") or goal(
        added, GOALS_ADDED_P99.get(measured), "added, p99"
    )
    return [
        *(way.load.name, name, rate),
        *through,
        *without,
        *(through.p50 - without.p50, added),
        verdict,
    ]


def _took(address: str, file: Path, rate: float, count: int) -> Took:
    command = [sys.executable, "-m", "tests.bench.pacing", address, str(file)]
    command += [str(rate), str(count)]
    times = json.loads(subprocess.check_output(command, env=own_environment({})))
    return Took(statistics.median(times), statistics.quantiles(times, n=100)[98])
