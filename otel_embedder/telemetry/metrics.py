"""What this process tells of itself: logs by structlog, metrics for Prometheus.

A log line is a change of state, never a span. Each fact is counted in exactly
one place, by the stage that knows it; `Metrics` is the recorder all stages get.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)

from otel_embedder.errors import ListenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


NAMESPACE = "otel_embedder"
BATCH_SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """Records what the stages tell, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._accepted = self._counter("receiver_accepted_spans", "Spans taken in and passed on.")
        self._refused = self._counter("receiver_refused_spans", "Spans answered with an error.")
        self._turned_away = self._counter(
            "receiver_busy_requests", "Requests refused for a while, since too much was in flight."
        )
        self._passed_through = self._counter(
            "receiver_other_requests",
            "Requests of other signals, passed on as they came: logs, metrics or profiles.",
            ("signal",),
        )
        self._sent = self._counter("exporter_sent_spans", "Spans that the next hop took.")
        self._sent_bare = self._counter(
            "exporter_sent_bare_spans",
            "Spans sent without a vector, for which they were too large.",
        )
        self._send_retried = self._counter(
            "exporter_retried_spans",
            "Spans sent again, since the next hop had taken others of their request.",
        )
        self._send_failed = self._counter(
            "exporter_send_failed_spans", "Spans that the next hop did not take."
        )
        self._passed = self._counter(
            "passed_spans",
            "Spans left alone, by standing: current or foreign vector.",
            ("standing",),
        )
        self._came_back = self._counter(
            "came_back_spans", "Spans that were sent on from here before: a loop, see the log."
        )
        self._fallback = self._counter(
            "fallback_spans", "Spans that got a stand-in, or nothing, for lack of a vector."
        )
        self._texts = self._counter(
            "embedded_texts", "Distinct texts of requests, by source: cache or model.", ("source",)
        )
        self._batch_size = Histogram(
            "batch_size",
            "Texts that the model was given at once.",
            namespace=NAMESPACE,
            registry=self.registry,
            buckets=BATCH_SIZES,
        )
        self._queue_duration = Histogram(
            "queue_duration_seconds",
            "Time that a text waited for the model.",
            namespace=NAMESPACE,
            registry=self.registry,
        )
        self._inference = Histogram(
            "inference_duration_seconds",
            "Time that the model took for a batch.",
            namespace=NAMESPACE,
            registry=self.registry,
        )

    def _counter(self, name: str, description: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, description, labels, namespace=NAMESPACE, registry=self.registry)

    def accepted(self, *, spans: int) -> None:
        """Count spans that were passed on."""
        self._accepted.inc(spans)

    def refused(self, *, spans: int) -> None:
        """Count spans that were answered with an error."""
        self._refused.inc(spans)

    def turned_away(self) -> None:
        """Count a request that found no room."""
        self._turned_away.inc()

    def passed_through(self, signal: str) -> None:
        """Count a request of another signal that was passed on."""
        self._passed_through.labels(signal).inc()

    def sent(self, *, spans: int) -> None:
        """Count spans that the next hop took."""
        self._sent.inc(spans)

    def sent_bare(self, *, spans: int) -> None:
        """Count spans that were sent without what was to go behind them."""
        self._sent_bare.inc(spans)

    def send_retried(self, *, spans: int) -> None:
        """Count spans that are sent again within a request."""
        self._send_retried.inc(spans)

    def watch_send_limit(self, limit: Callable[[], int]) -> None:
        """Report how large a request may be, whenever it is asked for."""
        gauge = Gauge(
            "exporter_send_limit_bytes",
            "Largest request that the next hop takes, as far as is known.",
            namespace=NAMESPACE,
            registry=self.registry,
        )
        gauge.set_function(limit)

    def send_failed(self, *, spans: int) -> None:
        """Count spans that the next hop did not take."""
        self._send_failed.inc(spans)

    def passed_as_is(self, standing: str) -> None:
        """Count a span that had an embedding and was left alone."""
        self._passed.labels(standing).inc()

    def came_back(self, *, spans: int) -> None:
        """Count spans that were sent on from here before."""
        self._came_back.inc(spans)

    def fell_back(self, *, spans: int) -> None:
        """Count the spans that went without the model's vector."""
        self._fallback.inc(spans)

    def looked_up(self, *, hits: int, misses: int) -> None:
        """Count the texts that were known and those that were not."""
        self._texts.labels("cache").inc(hits)
        self._texts.labels("model").inc(misses)

    def left_queue(self, *, seconds: float) -> None:
        """Record how long a text has waited for its turn."""
        self._queue_duration.observe(seconds)

    def batch_embedded(self, *, texts: int, seconds: float) -> None:
        """Record one batch that the model has finished."""
        self._batch_size.observe(texts)
        self._inference.observe(seconds)

    def value(self, name: str, **labels: str) -> float:
        """Give what a metric stands at, 0 if nothing was recorded."""
        return self.registry.get_sample_value(f"{NAMESPACE}_{name}", labels) or 0.0

    def watch_queue(self, size: Callable[[], int]) -> None:
        """Report how many texts wait whenever it is asked for."""
        self._watch("queue_size", "Texts that wait.", size)

    def watch_in_flight(self, requests: Callable[[], int], size: Callable[[], int]) -> None:
        """Report what is in flight whenever it is asked for."""
        self._watch("receiver_inflight_requests", "Requests not yet answered.", requests)
        self._watch("receiver_inflight_bytes", "Bytes of these, decompressed.", size)

    def _watch(self, name: str, description: str, value: Callable[[], int]) -> None:
        gauge = Gauge(name, description, namespace=NAMESPACE, registry=self.registry)
        gauge.set_function(value)


@contextmanager
def serving_metrics(listen: str, metrics: Metrics) -> Iterator[None]:
    """Serve the metrics over HTTP on HOST:PORT, or not at all if that is empty.

    Raises:
        ListenError: the address can't be had.

    """
    if not listen:
        yield
        return
    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), metrics.registry)
    except OSError as error:
        raise ListenError(f"metrics_listen: cannot listen on {listen}: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
