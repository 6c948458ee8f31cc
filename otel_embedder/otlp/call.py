"""What a request came with, besides its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Metadata = tuple[tuple[str, str | bytes], ...]


def _uncounted(_: int) -> None:
    """Let it grow: nobody counts."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a request came with.

    Attributes:
        deadline: the event loop's time at which the caller stops waiting.
        metadata: the caller's own headers.
        grow: counts more bytes as in flight until the call is answered; raises BusyError where
            there is no room for them.

    """

    deadline: float
    metadata: Metadata
    grow: Callable[[int], None] = _uncounted
