"""Curves, drawn with letters: for a terminal, and as SVG."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import plotext
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.bench.results import Table

    Points = Sequence[tuple[float, float]]

SIZE = (96, 18)
MARKERS = ("•", "+", "x", "o", "*", "#")


def drawn(title: str, label: str, curves: Mapping[str, Points], *, log: bool = False) -> str:
    """Give a plot of curves over one axis, its upper end a fifth above the highest point."""
    figure = plotext.figure.clear().theme("colorless").plot_size(*SIZE)
    figure.title(title).label(label)
    for marker, (name, points) in zip(MARKERS, curves.items(), strict=False):
        signal = figure.signal(*zip(*points, strict=True), marker=marker)
        figure.draw(signal.label(name).lines())
    if log:
        figure.ruler("x").scale("log")
        figure.ruler("y").scale("log")
    else:
        highest = max(value for points in curves.values() for _, value in points)
        figure.ruler("y").lim(0, 1.2 * highest)
    return str(plotext.uncolorize(str(figure.build())))


def save(table: Table, file: Path) -> None:
    """Keep a table's curves as a picture."""
    curves = table.curves
    if curves is None:
        return
    points: dict[str, list[tuple[float, float]]] = {}
    for row in table.rows:
        along, up = row[curves.along], row[curves.up]
        if isinstance(along, float | int) and isinstance(up, float | int):
            name = "" if curves.by is None else str(row[curves.by])
            points.setdefault(name, []).append((along, up))
    if not points:
        return
    console = Console(record=True, file=StringIO(), width=SIZE[0] + 2)
    title = table.columns[curves.up].name
    lines = {name: sorted(each) for name, each in points.items()}
    console.print(Text(drawn(title, curves.label, lines, log=True)))
    console.save_svg(str(file), title=table.title)
