"""Spans that go without the vector that there is: counted, and told of when it begins and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What there was too little of: memory to hold the vector, time to attach it, time to send it.
Shortage = Literal["memory", "attaching", "sending"]

VECTORS_LEFT_OUT = "vectors.left_out"
VECTORS_COMPLETE = "vectors.complete"

# Large requests may lose vectors where small ones beside them lose none: that is one shortage.
QUIET_SECONDS = 10.0

log = get_logger()


class BareMetrics(Protocol):
    """What is told of spans that go without their vectors."""

    def left_bare(self, shortage: str, *, spans: int) -> None:
        """Count spans that went without the vector that there was."""
        ...


class BareSpans:
    """Tells of spans that go bare."""

    def __init__(self, metrics: BareMetrics, *, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._is_short = False
        self._short_at = 0.0

    def note(self, bare: Mapping[Shortage, int]) -> None:
        """Note how many spans of a request went bare, by what was short; none, if it is empty."""
        for shortage, spans in bare.items():
            self._metrics.left_bare(shortage, spans=spans)
            self._begin(shortage, spans)
        if not bare:
            self._end()

    def _begin(self, shortage: Shortage, spans: int) -> None:
        self._short_at = self._clock()
        if not self._is_short:
            self._is_short = True
            log.warning(VECTORS_LEFT_OUT, shortage=shortage, spans=spans)

    def _end(self) -> None:
        if self._is_short and self._clock() - self._short_at >= QUIET_SECONDS:
            self._is_short = False
            log.info(VECTORS_COMPLETE)
