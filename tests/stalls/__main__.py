"""Tries requests of odd shapes at a sidecar, and prints what they cost whoever is beside them.

It ends with 1 if there is a finding. `--seed N --seconds 0` tries the one shape of a seed again.
"""

from __future__ import annotations

import argparse
import sys
import time
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column

from otel_embedder.cli.parts.tables import cell, columns, new_table
from tests.stalls.limits import MEGABYTE, Limits
from tests.stalls.search import Searcher, shapes
from tests.stalls.tree import MEBIBYTE
from tests.support.tiny_model import tiny_model_flags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

    from tests.stalls.search import Search
    from tests.stalls.watched import Cost

SECONDS = 600
MAX_BYTES = 62 * MEBIBYTE
WIDTH = 150
WORST = 3
SHAPE_WIDTH = 60
TITLE = "What odd requests cost whoever is beside them"


def main() -> int:
    """Give 1 if there is a finding, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.stalls", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"how long ({SECONDS})")
    parser.add_argument("--seed", type=int, help="of the first shape; without, known ones first")
    arguments = parser.parse_args()
    console = Console(width=max(columns(), WIDTH), highlight=False)
    began = time.monotonic()
    with TemporaryDirectory() as scratch:
        searcher = Searcher(Limits(), tiny_model_flags(Path(scratch, "model")))
        tried = shapes(arguments.seconds, arguments.seed, max_bytes=MAX_BYTES)
        search = searcher.search(tried, lambda cost, words: say(console, cost, words))
    show(console, search, time.monotonic() - began)
    return int(bool(search.findings))


def say(console: Console, cost: Cost, words: Sequence[str]) -> None:
    """Tell of a shape that is a finding; the others are in the table, if anywhere."""
    if words:
        line = f"{cost.shape.name}: {'; '.join(words)}: {cost.shape}"
        console.print(line, markup=False, no_wrap=True, overflow="ellipsis")


def show(console: Console, search: Search, seconds: float) -> None:
    console.print(table(search))
    console.print(
        f"\n{len(search.costs)} shapes in {seconds:.0f} s. Of {len(search.health_waits):,} health "
        f"checks 99.9 % waited {search.usual_wait() * 1000:.0f} ms at the most, all "
        f"{max(search.health_waits, default=0) * 1000:.0f} ms. {len(search.findings)} findings"
    )
    for finding in search.findings:
        console.print(f"  {finding.shape}: {finding.words}", markup=False)


MEASURES: dict[str, tuple[str, Callable[[Cost], float]]] = {
    "health check waited, ms": (".0f", lambda cost: cost.health_seconds * 1000),
    "one span waited, ms": (".0f", lambda cost: cost.span_seconds * 1000),
    "memory's peak, MB": (",.0f", lambda cost: cost.peak_bytes / MEGABYTE),
    "bytes out per byte in": (",.1f", lambda cost: cost.bytes_out / max(1, cost.wire_bytes)),
    "CPU, s": (".2f", attrgetter("cpu_seconds")),
    "answered after, s": (".1f", attrgetter("seconds")),
}


def table(search: Search) -> Table:
    """Give the worst shapes by each measure."""
    made = new_table(Column("worst by", no_wrap=True), title=TITLE)
    for header in ("", "MB", "on the wire", "status"):
        made.add_column(header, justify="right")
    made.add_column("seed", no_wrap=True)
    made.add_column("shape", no_wrap=True, max_width=SHAPE_WIDTH)
    for name, (form, measure) in MEASURES.items():
        worst = sorted(search.costs, key=measure, reverse=True)[:WORST]
        for place, cost in enumerate(worst):
            made.add_row("" if place else name, format(measure(cost), form), *cells(cost))
    return made


def cells(cost: Cost) -> Iterator[str]:
    yield f"{cost.size / MEGABYTE:.2f}"
    yield f"{cost.wire_bytes / MEGABYTE:.2f}"
    yield cost.status
    yield cost.shape.name
    yield str(cell(str(cost.shape)))


if __name__ == "__main__":
    sys.exit(main())
