"""Runs all faults, or those that are named, and prints what became of the spans as a table."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column

from otel_embedder.cli.parts.tables import columns, new_table
from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.conversion import converted_model
from tests.faults.fault import MEGABYTE, Fault, Row
from tests.faults.rows import chosen, run_together
from tests.support.processes import collector_binary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from tests.faults.ledger import Account

AT_ONCE = 2
WIDTH = 150  # no name and no header is cut


def main() -> int:
    """Give 1 if a row is not as it should be, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="what the names of rows contain")
    parser.add_argument(
        "--again",
        type=int,
        default=0,
        metavar="N",
        help="run up to so many rows once more that failed though no span was lost or changed",
    )
    arguments = parser.parse_args()
    faults = chosen(arguments.names)
    if not faults:
        parser.error("there is no such row")
    console = Console(width=max(columns(), WIDTH), highlight=False)
    started = time.monotonic()
    rows = {row.fault.name: row for row in run(faults, console)}
    late = [row.fault for row in rows.values() if row.problems and not is_loss(row.account)]
    if 0 < len(late) <= arguments.again:
        console.print(f"Once more: {', '.join(fault.name for fault in late)}", markup=False)
        rows |= {row.fault.name: row for row in run(late, console)}
    show(console, [rows[fault.name] for fault in faults], time.monotonic() - started)
    return int(any(row.problems for row in rows.values()))


def is_loss(account: Account) -> bool:
    return bool(account.lost or account.changed)


def run(faults: Sequence[Fault], console: Console) -> Iterator[Row]:
    """Run them, and say of each how it ended: two at a time, then those that must be alone."""
    collector_binary()
    with TemporaryDirectory() as scratch:
        model_cache = Path(scratch, "models")
        converted_model(DEFAULT_MODEL, model_cache)
        for is_alone, workers in ((False, AT_ONCE), (True, 1)):
            chosen_ = [fault for fault in faults if fault.is_alone is is_alone]
            for row, seconds in run_together(chosen_, workers, Path(scratch), model_cache):
                console.print(f"{seconds:5.1f} s  {in_words(row)}", markup=False)
                yield row


def in_words(row: Row) -> str:
    account = row.account
    sources = ", ".join(f"{count} {source}" for source, count in account.sources.items())
    verdict = "; ".join(row.problems) or "as it should be"
    return f"{row.fault.name}: {account.came} of {account.sent} spans ({sources}): {verdict}"


def show(console: Console, rows: Sequence[Row], seconds: float) -> None:
    notes = [*dict.fromkeys(row.fault.note for row in rows if row.fault.note)]
    console.print(table(rows, notes))
    for number, note in enumerate(notes, 1):
        console.print(f"[{number}] {note}", markup=False)
    failed = [row.fault.name for row in rows if row.problems]
    console.print(f"\n{len(rows)} faults in {seconds:.0f} s, {len(failed)} not as they should be")
    for row in rows:
        if row.problems:
            console.print(f"  {row.fault.name}: {'; '.join(row.problems)}", markup=False)


def table(rows: Sequence[Row], notes: Sequence[str]) -> Table:
    name = Column("fault", no_wrap=True)
    made = new_table(name, title="What became of the spans")
    for header in (
        *("in", "out", "rejected", "duplicates", "lost", "changed"),
        *("worst\ndelay, s", "peak\nMB", "note", ""),
    ):
        made.add_column(header, justify="right")
    for row in rows:
        made.add_row(*cells(row, notes))
    return made


def cells(row: Row, notes: Sequence[str]) -> Iterator[str]:
    account = row.account
    yield row.fault.name
    for count in (account.sent, account.came, account.rejected, account.duplicates):
        yield f"{count:,}"
    yield f"{account.lost:,}"
    yield f"{account.changed:,}"
    yield f"{account.worst_delay:.1f}"
    yield f"{row.peak_bytes / MEGABYTE:.0f}"
    yield str(notes.index(row.fault.note) + 1) if row.fault.note else ""
    yield "[red]failed[/]" if row.problems else "[green]ok[/]"


if __name__ == "__main__":
    sys.exit(main())
