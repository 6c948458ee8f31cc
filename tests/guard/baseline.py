"""What hot functions counted when somebody last looked, and what has moved since.

Each minor version of Python compiles the same code to other instructions, so each has counts of its
own. On one that has none nothing is compared.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.guard.counting import Count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Counts = Mapping[str, Count]

FILE = Path(__file__).with_name("baseline.json")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# Pythons that `make baseline` counts for.
PYTHONS = ("3.11", "3.12", "3.13")

TOLERANCE = 0.1
# What a dict takes when it grows comes at once, and is no cost of what was run just then.
SLACK_BYTES = 16 * 1024


def baseline() -> Counts:
    """Give what was counted for this Python, by the names of what was run; or nothing."""
    return {name: Count(*each) for name, each in _all().get(PYTHON, {}).items()}


def renew(counts: Counts) -> None:
    """Write down what was counted for this Python."""
    everything = {**_all(), PYTHON: counts}
    # One line for each, so that a change of one is a change of a line.
    pythons = (f'"{python}": {{\n{_lines(everything[python])}\n}}' for python in sorted(everything))
    FILE.write_text("{" + ",\n".join(pythons) + "}\n", encoding="utf-8")


def moved(counts: Counts, before: Counts) -> Iterator[str]:
    """Tell of each number that moved by more than a tenth, up or down."""
    for name in sorted(counts.keys() ^ before.keys()):
        yield f"{name}: {'not in the baseline' if name in counts else 'no longer counted'}"
    for name in sorted(counts.keys() & before.keys()):
        for unit, was, is_ in zip(Count._fields, before[name], counts[name], strict=True):
            slack = SLACK_BYTES if unit == "peak" else 0
            if abs(is_ - was) > TOLERANCE * was + slack:
                yield f"{name}: {unit} {was:,} -> {is_:,} ({is_ / max(was, 1) - 1:+.0%})"


def _all() -> dict[str, Counts]:
    if not FILE.exists():
        return {}
    everything: dict[str, Counts] = json.loads(FILE.read_text(encoding="utf-8"))
    return everything


def _lines(counts: Counts) -> str:
    return ",\n".join(f"{json.dumps(name)}: {json.dumps(each)}" for name, each in counts.items())
