"""What was measured, as plain values: printed, kept as JSON and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rich.markup import escape
from rich.table import Table as Printed

if TYPE_CHECKING:
    from collections.abc import Sequence

Cell = str | float | None
NOTHING: Cell = None

MET, MISSED = "met", "missed"
COLOURS = {MET: f"[green]{MET}[/]", MISSED: f"[red]{MISSED}[/]"}


class Column(NamedTuple):
    """What stands below one another.

    Attributes:
        name: its head, with the unit.
        form: how its numbers are written, as `format` has it.

    """

    name: str
    form: str = ",.1f"


class Curves(NamedTuple):
    """What a picture shows of a table, both axes logarithmic.

    Attributes:
        label: what grows along the lower axis.
        along: the column that has it.
        up: the column of what is drawn.
        by: the column that tells one curve from another; None where there is but one.

    """

    label: str
    along: int
    up: int
    by: int | None = None


@dataclass(slots=True)
class Table:
    """What was measured of one thing.

    Attributes:
        title: what it is.
        columns: of each row.
        rows: a cell for each column.
        notes: what the rows don't say.
        curves: what a picture of it shows, if one is worth it.

    """

    title: str
    columns: Sequence[Column]
    rows: list[tuple[Cell, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    curves: Curves | None = None

    def add(self, *cells: Cell) -> None:
        """Add a row; ValueError, if it has not a cell for each column."""
        self.rows.append(tuple(cell for cell, _ in zip(cells, self.columns, strict=True)))

    def written(self) -> list[list[str]]:
        """Give the cells as they are read."""
        return [
            [_written(cell, column) for cell, column in zip(row, self.columns, strict=True)]
            for row in self.rows
        ]

    def printed(self) -> Printed:
        """Give it for a terminal."""
        table = Printed(*(column.name for column in self.columns), title=self.title)
        for row in self.written():
            table.add_row(*(_coloured(cell) for cell in row))
        table.caption = "\n".join(self.notes) or None
        return table

    def markdown(self) -> str:
        """Give it for a document."""
        lines = [[column.name for column in self.columns], ["---"] * len(self.columns)]
        rows = (f"| {' | '.join(line)} |" for line in [*lines, *self.written()])
        return "\n".join([f"{self.title}:", "", *rows, "", *self.notes, ""])

    def facts(self) -> dict[str, object]:
        """Give it for JSON, numbers as they were measured."""
        names = [column.name for column in self.columns]
        return {
            "title": self.title,
            "rows": [dict(zip(names, row, strict=True)) for row in self.rows],
            "notes": self.notes,
        }


def goal(value: float, most: float | None, unit: str) -> str:
    """Tell whether a number is at most what it is to be; nothing, if it may be any."""
    if most is None:
        return ""
    return f"{most:g} {unit}: {MET if value <= most else MISSED}"


def least(value: float, wanted: float, unit: str) -> str:
    """Tell whether a number is at least what it is to be."""
    return f"{wanted:g} {unit}: {MET if value >= wanted else MISSED}"


def _written(cell: Cell, column: Column) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else format(cell, column.form)


def _coloured(cell: str) -> str:
    cell = escape(cell)
    for word, colour in COLOURS.items():
        if cell.endswith(f": {word}"):
            return cell.removesuffix(word) + colour
    return cell
