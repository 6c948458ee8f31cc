"""Notes how a sidecar does, every few seconds for an hour: what the page shows of it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.api.status import Moment, Sidecar, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.settings import Settings
    from otel_embedder.telemetry.metrics import Metrics

STEP = 10  # seconds
MOMENTS = 360
RECENT = 6  # moments: a minute
PERCENTILES = (0.5, 0.95, 0.99)


class Counted(NamedTuple):
    """What the metrics stand at.

    Attributes:
        accepted: spans passed on.
        refused: spans answered with an error.
        cached: texts that were known.
        computed: texts that were not.
        stand_ins: spans that got one.
        failed: spans that the next hop did not take.
        uncounted: spans that are not in the catalogue.
        waits: by how long texts waited at most, in seconds; how many.

    """

    accepted: float
    refused: float
    cached: float
    computed: float
    stand_ins: float
    failed: float
    uncounted: float
    waits: Sequence[tuple[float, float]]


class Watch:
    """Knows how a sidecar does. Safe to use from several threads."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Begin to note.

        Args:
            settings: say where it listens, and where it sends.
            metrics: tell how it does.

        """
        self._settings = settings
        self._metrics = metrics
        self._last = _counted(metrics)
        self._moments = deque([_moment(self._last, self._last, metrics)], maxlen=MOMENTS)
        self._failed: deque[float] = deque(maxlen=RECENT)
        self._uncounted: deque[float] = deque(maxlen=RECENT)
        self._noted_at = int(time.time())

    async def run(self) -> None:
        """Note until cancelled."""
        while True:
            await asyncio.sleep(STEP)
            # To walk through all metrics takes milliseconds, which are the spans'.
            await asyncio.to_thread(self.note)

    def note(self) -> None:
        """Note what was done since the last time."""
        counted = _counted(self._metrics)
        self._moments.append(_moment(self._last, counted, self._metrics))
        self._failed.append(counted.failed - self._last.failed)
        self._uncounted.append(counted.uncounted - self._last.uncounted)
        self._last, self._noted_at = counted, int(time.time())

    def sidecar(self) -> Sidecar:
        """Tell how it did in the last hour."""
        moments = tuple(self._moments)
        return Sidecar(
            listen=self._settings.listen,
            next_hop=self._settings.next_hop,
            max_queue=self._settings.max_queue_size,
            since=self._noted_at - len(moments) * STEP,
            step=STEP,
            moments=moments,
        )

    def moment(self) -> Moment:
        """Tell how it does."""
        return self._moments[-1]

    def troubles(self) -> tuple[Trouble, ...]:
        """Tell what was not as it should be in the last minute."""
        return tuple(self._troubles())

    def _troubles(self) -> Iterator[Trouble]:
        recent = tuple(self._moments)[-RECENT:]
        if failed := sum(self._failed):
            yield Trouble(
                f"The next hop did not take {failed:,.0f} spans in the last minute.",
                "Their senders were told, and send them again; none is lost here.",
                f"See to {self._settings.next_hop}; the log tells what it answered.",
                "",
                "error",
            )
        if stand_ins := sum(each.stand_ins for each in recent):
            yield Trouble(
                f"{stand_ins:,} spans of the last minute got a stand-in.",
                "They say so, and are found by their words alone.",
                "Only if it goes on: more threads for the model, or more time for a span.",
                "",
                "slow",
            )
        if uncounted := sum(self._uncounted):
            yield Trouble(
                f"{uncounted:,.0f} spans of the last minute are not in the catalogue.",
                "They went on as they should; counts and searches lack them.",
                "The log tells why; docs/catalogue.md what to do.",
                "",
                "slow",
            )


def _counted(metrics: Metrics) -> Counted:
    value = metrics.value
    return Counted(
        accepted=value("receiver_accepted_spans_total"),
        refused=value("receiver_refused_spans_total"),
        cached=value("embedded_texts_total", source="cache"),
        computed=value("embedded_texts_total", source="model"),
        stand_ins=value("fallback_spans_total"),
        failed=value("exporter_send_failed_spans_total"),
        uncounted=metrics.total("catalogue_dropped_spans_total"),
        waits=metrics.buckets("queue_duration_seconds"),
    )


def _moment(before: Counted, now: Counted, metrics: Metrics) -> Moment:
    cached, computed = now.cached - before.cached, now.computed - before.computed
    texts = cached + computed
    waits = [
        (most, count - earlier)
        for (most, count), (_, earlier) in zip(now.waits, before.waits, strict=True)
    ]
    p50, p95, p99 = (_percentile(waits, share) for share in PERCENTILES)
    return Moment(
        spans=(now.accepted - before.accepted) / STEP,
        refused=(now.refused - before.refused) / STEP,
        hits=cached / texts if texts else None,
        stand_ins=int(now.stand_ins - before.stand_ins),
        queue=int(metrics.value("queue_size")),
        memory=metrics.memory(),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )


def _percentile(waits: Sequence[tuple[float, float]], share: float) -> float | None:
    """Give the upper bound, in milliseconds, of the bucket that a share of all is within."""
    if not waits or not waits[-1][1]:
        return None
    wanted = share * waits[-1][1]
    finite = [most for most, _ in waits[:-1]]
    found = next((most for most, count in waits[:-1] if count >= wanted), finite[-1])
    return found * 1_000
