"""How long it takes from the start of a sidecar to its first answer, and how much it holds."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.bench.results import Column, Table, goal, least
from tests.bench.start import SPANS, TEXTS, Starter

if TYPE_CHECKING:
    from tests.bench.extent import Extent

MEGABYTE = 1_000_000
FIRST_ANSWER = 0.1  # seconds that a catalogue may add
SHARE_KNOWN = 0.95  # of what was known before a restart
# What is held, by what is kept.
KEEPING = {"": (), ", with a catalogue": ("--catalogue-retention", "3650", "--catalogue")}
MOST_HELD = 200


def start(extent: Extent) -> Table:
    """Start sidecars with and without a converted model, with and without a catalogue."""
    columns = (
        Column("first answer after a start"),
        Column("s", ".2f"),
        Column("by"),
        Column("goal"),
    )
    table = Table(f"From the start to the first answer, medians of {extent.starts}", columns)
    with TemporaryDirectory() as scratch:
        starter = Starter(Path(scratch), minute=extent.minute)
        converted = starter.with_converted_model(extent.starts)
        fresh = starter.without_converted_model(extent.starts)
        warm = starter.warm(extent.starts)
    for name, starts, most in (
        ("with a converted model", converted, 1.5),
        ("without one", fresh, 3.0),
        ("with a catalogue", warm.with_one, warm.without.seconds + FIRST_ANSWER),
    ):
        sources = ", ".join(sorted(starts.sources))
        table.add(name, starts.seconds, sources, goal(starts.seconds, round(most, 2), "s"))
    share = warm.after / warm.before
    table.notes.append(
        f"of texts {warm.after:.3f} known in the first {extent.minute:g} s with a catalogue, "
        f"{warm.before:.3f} before the restart; {least(share, SHARE_KNOWN, 'x')}"
    )
    return table


def memory(_: Extent) -> Table:
    """Look at the memory of sidecars through which spans have passed."""
    columns = (
        Column("a sidecar"),
        Column("with its model, MB", ",.0f"),
        Column("after the spans", ",.0f"),
        Column("at the most", ",.0f"),
        Column("goal"),
    )
    table = Table(f"Resident memory, before and after {SPANS:,} spans of {TEXTS:,} texts", columns)
    with TemporaryDirectory() as scratch:
        starter = Starter(Path(scratch), minute=0)
        starter.with_converted_model(1)
        for encoding in ("array", "bytes"):
            for name, flags in KEEPING.items():
                url = (f"sqlite:///{scratch}/{encoding}.db",) if flags else ()
                held = starter.memory(["--encoding", encoding, *flags, *url])
                verdict = "" if flags else goal(held.after / MEGABYTE, MOST_HELD, "MB")
                table.add(f"{encoding}{name}", *(each / MEGABYTE for each in held), verdict)
    return table
