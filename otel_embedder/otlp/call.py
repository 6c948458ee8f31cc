"""What a request came with, besides its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Metadata = tuple[tuple[str, str | bytes], ...]


def _unbounded(_: int) -> None:
    """Count nothing, where nothing bounds what is in flight."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a request came with.

    Attributes:
        deadline: the event loop's time at which the caller stops waiting.
        metadata: the caller's own headers.
        grow: lets the request have so many more bytes of what is in flight, for what it can do
            without, or raises BusyError.

    """

    deadline: float
    metadata: Metadata
    grow: Callable[[int], None] = _unbounded
