"""What a request came with, besides its bytes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

Metadata = tuple[tuple[str, str | bytes], ...]

NOTHING = nullcontext()


class Trace(Protocol):
    """What tells of the work on a request, stage by stage."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Tell of a stage, for as long as that takes."""
        ...

    def took(self, *, spans: int, own: int) -> None:
        """Tell how many spans there are, and how many of these are of sidecars' own work."""
        ...

    def passed_on(self, metadata: Metadata) -> Metadata:
        """Give the headers for the next hop."""
        ...

    def ended(self, code: int) -> None:
        """Tell that the request was answered, with the number of a gRPC status."""
        ...


class Untraced:
    """Tells nothing."""

    def stage(self, _: str) -> AbstractContextManager[None]:
        """Tell nothing of a stage."""
        return NOTHING

    def took(self, *, spans: int, own: int) -> None:
        """Tell nothing of spans."""

    def passed_on(self, metadata: Metadata) -> Metadata:
        """Give the caller's headers as they are."""
        return metadata

    def ended(self, _: int) -> None:
        """Tell nothing of the end."""


UNTRACED = Untraced()


class Traces(Protocol):
    """Begins to tell of requests."""

    def begin(self, method: str, metadata: Metadata) -> Trace:
        """Tell of one, from now on.

        Args:
            method: what was called, as /SERVICE/METHOD.
            metadata: the caller's headers.

        """
        ...


class NoTraces:
    """Tells of no request."""

    def begin(self, *_: object) -> Trace:
        """Tell nothing."""
        return UNTRACED


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
        trace: tells of the work on it.

    """

    deadline: float
    metadata: Metadata
    grow: Callable[[int], None] = _unbounded
    trace: Trace = UNTRACED

    def bounded(self, grow: Callable[[int], None]) -> Call:
        """Give the same call, of whose request each byte more is told to `grow`."""
        return Call(self.deadline, self.metadata, grow, self.trace)
