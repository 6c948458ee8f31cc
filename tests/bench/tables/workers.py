"""What several workers carry, beside one process."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.bench.results import Column, Table, least
from tests.bench.workers import carried

if TYPE_CHECKING:
    from tests.bench.extent import Extent

COLUMNS = (
    Column(""),
    Column("loops, us/span"),
    Column("busiest has", ".0%"),
    Column("carries at most, spans/s", ",.0f"),
    Column("x one process", ".2f"),
    Column("goal"),
    Column("memory, MB"),
)
# How many times the spans of one process two workers carry.
GOAL = 1.6
MEGABYTE = 1_000_000


def measure(extent: Extent) -> Table:
    """Let one process and several workers take turns."""
    table = Table(f"Several workers: medians of {extent.rounds} turns", COLUMNS)
    with TemporaryDirectory() as scratch:
        one, *several = carried(Path(scratch), extent.rounds, extent.requests)
    for each in (one, *several):
        ratio = each.most / one.most
        verdict = "" if each is one else least(ratio, GOAL, "x")
        memory = " + ".join(f"{size / MEGABYTE:.0f}" for size in each.memory)
        table.add(each.name, each.cpu, each.share, each.most, ratio, verdict, memory)
    return table
