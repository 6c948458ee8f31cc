"""What a Collector counts of itself, to hold against the ledger; and what a sidecar counts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.processes import Collector

SETTLE_SECONDS = 30.0
AGAIN_SECONDS = 0.1


class Counts(NamedTuple):
    """What a Collector has done with spans.

    Attributes:
        accepted: taken at the door.
        sent: taken by the sidecar, some of them perhaps rejected.
        dropped: given up, as they were refused for good.
        partially_rejected: not taken of requests that were.
        not_enqueued: dropped for want of room in the queue.
        refused: not taken at the door.
        waiting: bytes in the queue and requests under way.

    """

    accepted: int
    sent: int
    dropped: int
    partially_rejected: int
    not_enqueued: int
    refused: int
    waiting: int


class CollectorMetrics:
    """Where a Collector serves its own metrics."""

    def __init__(self, address: str) -> None:
        self._address = address

    def overrides(self) -> Sequence[str]:
        """Give the keys of its configuration that make it serve them, and log every line."""
        host, _, port = self._address.rpartition(":")
        reader = f"{{pull: {{exporter: {{prometheus: {{host: {host}, port: {port}}}}}}}}}"
        metrics = "service::telemetry::metrics"
        # By default, of what is said often only some is logged.
        sampling = "service::telemetry::logs::sampling::enabled: false"
        return (f"{metrics}::level: detailed", f"{metrics}::readers: [{reader}]", sampling)

    def settled(self, collector: Collector) -> Counts:
        """Give what was counted when nothing waits any more, or when patience is at its end."""
        # Nobody tells when a queue is empty, so it is asked again.
        retrying = Retrying(
            retry=retry_if_result(lambda counts: counts.waiting > 0),
            stop=stop_after_delay(SETTLE_SECONDS),
            wait=wait_fixed(AGAIN_SECONDS),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        counts: Counts = retrying(self._counts, collector)
        return counts

    def dropped(self) -> int:
        """Give the spans that were given up so far, as they were refused for good."""
        return self._samples().get("otelcol_exporter_send_failed_spans", 0)

    def _counts(self, collector: Collector) -> Counts:
        samples = self._samples()
        return Counts(
            accepted=samples.get("otelcol_receiver_accepted_spans", 0),
            sent=samples.get("otelcol_exporter_sent_spans", 0),
            dropped=samples.get("otelcol_exporter_send_failed_spans", 0),
            partially_rejected=_partially_rejected(collector),
            not_enqueued=samples.get("otelcol_exporter_enqueue_failed_spans", 0),
            refused=samples.get("otelcol_receiver_refused_spans", 0),
            waiting=samples["otelcol_exporter_queue_size"]
            + samples.get("otelcol_exporter_in_flight_requests", 0),
        )

    def _samples(self) -> dict[str, int]:
        return samples(self._address)


def samples(address: str) -> dict[str, int]:
    """Give the sum of each metric served there over its labels, by its name without a suffix."""
    with urlopen(f"http://{address}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    sums: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removesuffix("_total")
            sums[name] = sums.get(name, 0) + int(sample.value)
    return sums


def _partially_rejected(collector: Collector) -> int:
    # Of these there is a line of the log, but no metric.
    lines = collector.lines_with("Partial success response")
    numbers = (re.search(r'"dropped_spans": (\d+)', line) for line in lines)
    return sum(int(number[1]) for number in numbers if number)
