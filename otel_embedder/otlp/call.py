"""What a request came with, besides its bytes."""

from __future__ import annotations

from dataclasses import dataclass

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """What a request came with.

    Attributes:
        deadline: the event loop's time at which the caller stops waiting.
        metadata: the caller's own headers.

    """

    deadline: float
    metadata: Metadata
