"""Measures all there is to measure; prints tables, and keeps them in build/bench/results.

A table alone is there in seconds: `python -m tests.bench --quick --only encodings`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tests.bench import pictures
from tests.bench.extent import FULL, QUICK
from tests.bench.machine import machine
from tests.bench.tables import (
    cache,
    encodings,
    growth,
    latency,
    loop,
    model,
    path,
    small,
    start,
    workers,
)
from tests.support.processes import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.bench.extent import Extent
    from tests.bench.results import Table

TABLES: Mapping[str, Callable[[Extent], Table]] = {
    "path": path.batches,
    "attributes": path.attributes,
    "varying": path.varying,
    "hits": path.hits,
    "loop": loop.measure,
    "encodings": encodings.measure,
    "workers": workers.measure,
    "latency": latency.measure,
    "growth-spans": growth.spans,
    "growth-attributes": growth.attributes,
    "growth-unseen": growth.unseen,
    "growth-texts": growth.texts,
    "cache": cache.measure,
    "rendering": small.rendering,
    "library": small.library,
    "model": model.alone,
    "engines": model.engines,
    "memory": start.memory,
    "start": start.start,
}
WIDTH = 160  # where nobody says how wide it is
RESULTS = REPOSITORY / "build" / "bench" / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure less, to see that it works")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=TABLES,
        default=[*TABLES],
        metavar="NAME",
        help=", ".join(TABLES),
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where they are kept")
    arguments = parser.parse_args()
    extent = QUICK if arguments.quick else FULL
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    results = Results(console, arguments.results, machine())
    for name in arguments.only:
        results.add(name, extent)


class Results:
    """What was measured so far: printed at once, and kept after each table."""

    def __init__(self, console: Console, folder: Path, facts: Mapping[str, str]) -> None:
        self._console = console
        self._folder = folder
        self._facts = facts
        self._tables: dict[str, Table] = {}
        self._seconds: dict[str, float] = {}
        folder.mkdir(parents=True, exist_ok=True)
        console.print(self._machine())

    def add(self, name: str, extent: Extent) -> None:
        """Measure a table."""
        started = time.perf_counter()
        with self._console.status(f"Measuring {name}"):
            self._tables[name] = table = TABLES[name](extent)
        self._seconds[name] = time.perf_counter() - started
        self._console.print(table.printed())
        pictures.save(table, self._folder / f"{name}.svg")
        self._keep()

    def _keep(self) -> None:
        parts = [f"{self._machine()}\n", *(each.markdown() for each in self._tables.values())]
        (self._folder / "results.md").write_text("\n".join(parts), encoding="utf-8")
        tables = {
            name: {**table.facts(), "seconds to measure": self._seconds[name]}
            for name, table in self._tables.items()
        }
        facts = json.dumps({**self._facts, "tables": tables}, indent=1)
        (self._folder / "results.json").write_text(f"{facts}\n", encoding="utf-8")

    def _machine(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self._facts.items())


if __name__ == "__main__":
    main()
