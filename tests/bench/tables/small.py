"""What is small: one call of the library, one span rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.library import cached_and_uncached
from tests.bench.rendering import PROFILES, costs
from tests.bench.results import Column, Table, goal

if TYPE_CHECKING:
    from tests.bench.extent import Extent


def library(extent: Extent) -> Table:
    """Call the library with a trace that it knows, and with one that it does not."""
    columns = (Column(""), Column("median, ms", ".2f"), Column("slowest, ms"), Column("goal"))
    table = Table("The library, one trace a call", columns)
    known, unknown = cached_and_uncached(extent.texts)
    for name, calls, most in (("known text", known, 1.0), ("new text", unknown, 100.0)):
        table.add(name, calls.median, calls.slowest, goal(calls.median, most, "ms"))
    return table


def rendering(extent: Extent) -> Table:
    """Render spans of which one value was never seen, and known ones."""
    heads = (f"{profile}, {what}" for profile in PROFILES for what in ("never seen", "known"))
    columns = (Column("a span with"), *(Column(head) for head in heads))
    table = Table("Rendering, CPU, us/span", columns)
    for kind, by_profile in costs(extent.texts).items():
        table.add(kind, *(number for cost in by_profile for number in cost))
    return table
