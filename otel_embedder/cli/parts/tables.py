"""Tables on stdout: as wide as the terminal, or as 100 columns in a pipe."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

COSINE_DIGITS = 4
PIPE_COLUMNS = 100
MIN_COLUMNS = 20  # of a text, however narrow the terminal
REPLACEMENT = "\ufffd"
BARS = "▁▂▃▄▅▆▇█"


def columns() -> int:
    """Give the width to write in."""
    return shutil.get_terminal_size((PIPE_COLUMNS, 0)).columns


def new_table(*headers: Column | str, title: str) -> Table:
    """Give an empty table with a title above it."""
    return Table(*headers, title=cell(title), title_justify="left", box=SIMPLE, show_edge=False)


def cell(text: str) -> Text:
    """Give words of somebody else's for a terminal: no markup, nothing that moves a cursor."""
    return Text(for_terminal(text))


def cut_cell(text: str, *, width: int, lines: int) -> Text:
    """Give the beginning of a text: what fits into so many lines of a width."""
    width = max(width, MIN_COLUMNS)
    return Text(textwrap.fill(for_terminal(text), width, max_lines=lines, placeholder=" ..."))


def for_terminal(text: str) -> str:
    """Give a text without what would move a cursor, set a title or clear a screen."""
    return "".join(letter if letter.isprintable() else REPLACEMENT for letter in text)


def show(*renderables: RenderableType) -> None:
    """Write to stdout."""
    Console(width=columns()).print(*renderables, sep="\n")


def sparkline(numbers: Sequence[int]) -> str:
    """Give numbers as bars, the greatest the highest; a zero is a space."""
    most = max(numbers, default=0) or 1
    return "".join(BARS[(number * len(BARS) - 1) // most] if number else " " for number in numbers)
