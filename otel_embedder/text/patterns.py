"""Patterns that few spans need: a start need not wait until they are compiled."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    # Compiles a pattern at the first call, and gives the same at each.
    Late = Callable[[], re.Pattern[str]]


# What `late` has given, in all modules that were imported; `rendering.prepare` calls them all.
LATE: list[Late] = []


def late(expression: str, flags: int = 0) -> Late:
    """Give what compiles a pattern when it is first called."""
    compiled = cache(partial(re.compile, expression, flags))
    LATE.append(compiled)
    return compiled
