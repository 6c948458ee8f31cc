"""Bounds what is in flight, so that memory stays bounded whatever is sent.

Until the next hop has answered, a request is held here. When the next hop
hangs, its Collector's next request comes all the same: beyond the bounds it is
refused, for now, and stays in the Collector's queue.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol, Self

from otel_embedder.errors import BusyError

if TYPE_CHECKING:
    from types import TracebackType

# Those that are refused at one time should not all come back at one time.
MIN_RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 1.5

# Of all bytes that may be in flight, what a usual request has at most.
USUAL_SHARE = 8


class AdmissionMetrics(Protocol):
    """What admission tells of its work."""

    def turned_away(self) -> None:
        """Count a request that found no room."""
        ...


class Admitted:
    """A request's share of what is in flight, within `with`.

    Attributes:
        size: how many bytes that is, by now.
        attached: how many bytes what is attached to it has, besides.

    """

    __slots__ = ("_admission", "attached", "size")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.size = 0
        self.attached = 0

    def __enter__(self) -> Self:
        self._admission.enter()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._admission.leave(self)

    def grow(self, more: int) -> None:
        """Take so many more bytes.

        Raises:
            BusyError: there is no room for them.

        """
        self._admission.grow(self, more)

    def attach(self, more: int) -> None:
        """Take so many more bytes for what the request can do without.

        Raises:
            BusyError: there is no room for them.

        """
        self._admission.attach(self, more)


class Admission:
    """Lets requests in, as long as neither they nor their bytes are too many."""

    def __init__(self, *, max_requests: int, max_bytes: int, metrics: AdmissionMetrics) -> None:
        """Open.

        Args:
            max_requests: how many may be in flight.
            max_bytes: how many bytes they may have together, decompressed. A request that is alone
                may have more: it would never get in otherwise.
            metrics: who counts.

        """
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._metrics = metrics
        # Plain numbers: the metrics' thread reads them while they change.
        self._requests = 0
        self._bytes = 0
        self._attached = 0

    def requests(self) -> int:
        """How many requests are in flight."""
        return self._requests

    def bytes(self) -> int:
        """How many bytes the requests in flight have together, with what is attached to them."""
        return self._bytes + self._attached

    def check(self) -> None:
        """Make sure that there is room for one more request, of the usual size.

        One that is read before it is refused has cost all that it can: gRPC keeps buffers for each
        connection, as large as what was read on it.

        Raises:
            BusyError: there is none.

        """
        self._check_requests()
        if self._bytes + self._usual_size() > self._max_bytes:
            raise self._busy(f"requests of {self._bytes} bytes are in flight")

    def _check_requests(self) -> None:
        if self._requests >= self._max_requests:
            raise self._busy(f"{self._max_requests} requests are in flight")

    def _usual_size(self) -> float:
        """Give the mean size of those in flight; of a few huge ones that would say little."""
        return min(self._bytes / max(1, self._requests), self._max_bytes / USUAL_SHARE)

    def admit(self) -> Admitted:
        """Give what lets a request in; it is in flight until the end.

        Raises:
            BusyError: as it is entered: there is no room for it.

        """
        return Admitted(self)

    def enter(self) -> None:
        """Count a request.

        Raises:
            BusyError: there is no room for it.

        """
        self._check_requests()
        self._requests += 1

    def leave(self, admitted: Admitted) -> None:
        """Count a request no more."""
        self._requests -= 1
        self._bytes -= admitted.size
        self._attached -= admitted.attached

    def grow(self, admitted: Admitted, more: int) -> None:
        """Let a request have so many more bytes.

        Raises:
            BusyError: there is no room for them.

        """
        others = self._bytes - admitted.size
        if others and self._bytes + more > self._max_bytes:
            raise self._busy(f"requests of {others} bytes are in flight besides this one")
        self._bytes += more
        admitted.size += more

    def attach(self, admitted: Admitted, more: int) -> None:
        """Let a request have so many more bytes for what it can do without.

        It gets what requests leave of the room for all. They don't count it when they come: what
        one can do without never keeps another out. Nor is a refusal one of a request.

        Raises:
            BusyError: there is no room for them.

        """
        if self.bytes() + more > self._max_bytes:
            raise BusyError(
                f"too much at once: requests of {self.bytes()} bytes are in flight",
                retry_after=MAX_RETRY_SECONDS,
            )
        self._attached += more
        admitted.attached += more

    def _busy(self, reason: str) -> BusyError:
        self._metrics.turned_away()
        seconds = random.uniform(MIN_RETRY_SECONDS, MAX_RETRY_SECONDS)  # noqa: S311 - no secret
        return BusyError(f"too much at once: {reason}", retry_after=seconds)
