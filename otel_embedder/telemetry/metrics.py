"""What this process counts and measures, for Prometheus to scrape.

Each fact is counted in exactly one place, by the stage that knows it; `Metrics`
is the recorder that all stages get. It knows none of them: words and numbers come in.
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
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from otel_embedder.errors import ListenError
from otel_embedder.telemetry.declarations import METRICS, NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_embedder.telemetry.declarations import Metric

# Of labels: names of services are spans', and may never end.
MAX_SERVICES = 100


class WatchedCounter(Collector):
    """A counter that asks what it stands at, whenever it is asked itself."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._count: Callable[[], int] = int  # 0, until there is somebody to ask

    def watch(self, count: Callable[[], int]) -> None:
        """Ask this from now on."""
        self._count = count

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give what it stands at, as the registry wants it."""
        name = f"{NAMESPACE}_{self._metric.name}"
        yield CounterMetricFamily(name, self._metric.description, value=self._count())


class Metrics:
    """Records what the stages tell, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._watched: dict[str, WatchedCounter] = {}
        self._failing_services: set[str] = set()
        for metric in METRICS:
            self._declare(metric)

    def _declare(self, metric: Metric) -> None:
        name, description, labels = metric.name, metric.description, metric.labels
        match metric.kind:
            case "counter" if metric.is_watched:
                self._watched[name] = WatchedCounter(metric)
                self.registry.register(self._watched[name])
            case "counter":
                self._counters[name] = Counter(
                    name, description, labels, namespace=NAMESPACE, registry=self.registry
                )
            case "gauge":
                self._gauges[name] = Gauge(
                    name, description, labels, namespace=NAMESPACE, registry=self.registry
                )
            case "histogram":
                self._histograms[name] = Histogram(
                    name,
                    description,
                    labels,
                    namespace=NAMESPACE,
                    registry=self.registry,
                    buckets=metric.buckets or Histogram.DEFAULT_BUCKETS,
                )

    def accepted(self, *, spans: int) -> None:
        """Count spans that were passed on."""
        self._counters["receiver_accepted_spans_total"].inc(spans)

    def refused(self, *, spans: int) -> None:
        """Count spans that were answered with an error."""
        self._counters["receiver_refused_spans_total"].inc(spans)

    def cancelled(self, *, spans: int) -> None:
        """Count spans whose caller left before the answer."""
        self._counters["receiver_cancelled_spans_total"].inc(spans)

    def caller_left(self) -> None:
        """Count a request that did not arrive whole, or whose caller left before the answer."""
        self._counters["receiver_cancelled_requests_total"].inc()

    def turned_away(self) -> None:
        """Count a request that found no room."""
        self._counters["receiver_busy_requests_total"].inc()

    def passed_through(self, signal: str) -> None:
        """Count a request of another signal that was passed on."""
        self._counters["receiver_other_requests_total"].labels(signal).inc()

    def sent(self, *, spans: int) -> None:
        """Count spans that the next hop took."""
        self._counters["exporter_sent_spans_total"].inc(spans)

    def sent_bare(self, *, spans: int) -> None:
        """Count spans that were sent without what was to go behind them."""
        self._counters["exporter_sent_bare_spans_total"].inc(spans)

    def send_retried(self, *, spans: int) -> None:
        """Count spans that are sent again while their sender waits."""
        self._counters["exporter_retried_spans_total"].inc(spans)

    def send_skipped(self, *, spans: int) -> None:
        """Count spans that came again and had been taken."""
        self._counters["exporter_skipped_spans_total"].inc(spans)

    def send_failed(self, *, spans: int) -> None:
        """Count spans that the next hop did not take."""
        self._counters["exporter_send_failed_spans_total"].inc(spans)

    def passed_as_is(self, standing: str, *, spans: int) -> None:
        """Count spans that had an embedding and were left alone."""
        self._counters["passed_spans_total"].labels(standing).inc(spans)

    def came_back(self, *, spans: int) -> None:
        """Count spans that were sent on from here before."""
        self._counters["came_back_spans_total"].inc(spans)

    def fell_back(self, *, spans: int) -> None:
        """Count the spans that went without the model's vector."""
        self._counters["fallback_spans_total"].inc(spans)

    def left_bare(self, shortage: str, *, spans: int) -> None:
        """Count spans that went without the vector that there was."""
        self._counters["left_bare_spans_total"].labels(shortage).inc(spans)

    def looked_up(self, *, hits: int, misses: int) -> None:
        """Count the texts that were known and those that were not."""
        if hits:
            self._counters["embedded_texts_total"].labels("cache").inc(hits)
        if misses:
            self._counters["embedded_texts_total"].labels("model").inc(misses)

    def warmed(self, *, texts: int) -> None:
        """Count texts whose vectors were taken from the catalogue."""
        self._counters["warmed_texts_total"].inc(texts)

    def left_queue(self, *, seconds: float) -> None:
        """Record how long a text has waited for its turn."""
        self._histograms["queue_duration_seconds"].observe(seconds)

    def batch_embedded(self, *, texts: int, seconds: float) -> None:
        """Record one batch that the model has finished."""
        self._histograms["batch_size"].observe(texts)
        self._histograms["inference_duration_seconds"].observe(seconds)

    def catalogue_written(self, *, spans: int, seconds: float) -> None:
        """Record a batch that the catalogue has taken."""
        self._counters["catalogue_written_spans_total"].inc(spans)
        self._histograms["catalogue_write_duration_seconds"].observe(seconds)

    def catalogue_dropped(self, reason: str, *, spans: int) -> None:
        """Count spans that passed and are not in the catalogue."""
        self._counters["catalogue_dropped_spans_total"].labels(reason).inc(spans)

    def error_group_came(self, service: str) -> None:
        """Count a group of failures that is new, or has come again."""
        if len(self._failing_services) < MAX_SERVICES:
            self._failing_services.add(service)
        label = service if service in self._failing_services else "other"
        self._counters["new_error_groups_total"].labels(label).inc()

    def asked(self, face: str, outcome: str) -> None:
        """Count a question."""
        self._counters["questions_total"].labels(face, outcome).inc()

    def answered(self, face: str, *, seconds: float) -> None:
        """Record how long an answer took."""
        self._histograms["question_duration_seconds"].labels(face).observe(seconds)

    def telemetry_send_failed(self, signal: str) -> None:
        """Count a request with what the sidecar tells of itself that was not taken."""
        self._counters["telemetry_send_failed_requests_total"].labels(signal).inc()

    def worker_restarted(self) -> None:
        """Count a worker that ended and is started again."""
        self._counters["worker_restarts_total"].inc()

    def watch_workers(self, serving: Callable[[], int]) -> None:
        """Report how many workers take spans, whenever it is asked for."""
        self._gauges["workers"].set_function(serving)

    def watch_send_limit(self, limit: Callable[[], int]) -> None:
        """Report how large a request may be, whenever it is asked for."""
        self._gauges["exporter_send_limit_bytes"].set_function(limit)

    def watch_log(self, dropped: Callable[[], int]) -> None:
        """Report how many lines of the log were dropped, whenever it is asked for."""
        self._watched["dropped_log_lines_total"].watch(dropped)

    def watch_known_spans(self, hits: Callable[[], int], memory: Callable[[], int]) -> None:
        """Report spans of known texts, and the bytes of these, whenever it is asked for."""
        self._watched["known_spans_total"].watch(hits)
        self._gauges["known_spans_bytes"].set_function(memory)

    def watch_first_seen(self, vectors: Callable[[], int], memory: Callable[[], int]) -> None:
        """Report vectors that arrived, and the bytes of their texts, whenever it is asked for."""
        self._watched["first_seen_spans_total"].watch(vectors)
        self._gauges["first_seen_bytes"].set_function(memory)

    def watch_queue(self, size: Callable[[], int]) -> None:
        """Report how many texts wait, whenever it is asked for."""
        self._gauges["queue_size"].set_function(size)

    def watch_in_flight(self, requests: Callable[[], int], size: Callable[[], int]) -> None:
        """Report what is in flight, whenever it is asked for."""
        self._gauges["receiver_inflight_requests"].set_function(requests)
        self._gauges["receiver_inflight_bytes"].set_function(size)

    def value(self, name: str, **labels: str) -> float:
        """Give what a metric stands at, 0 if nothing was recorded."""
        return self.registry.get_sample_value(f"{NAMESPACE}_{name}", labels) or 0.0

    def total(self, name: str) -> float:
        """Give the sum of a counter over all its labels."""
        samples = (each for metric in self._counters[name].collect() for each in metric.samples)
        return sum(each.value for each in samples if each.name == f"{NAMESPACE}_{name}")

    def buckets(self, name: str) -> list[tuple[float, float]]:
        """Give a histogram's upper bounds, each with how many were not above it."""
        samples = (each for metric in self._histograms[name].collect() for each in metric.samples)
        return [
            (float(each.labels["le"]), each.value)
            for each in samples
            if each.name.endswith("_bucket")
        ]

    def memory(self) -> int:
        """Give the bytes that this process has in memory; 0 where the system does not tell."""
        return int(self.registry.get_sample_value("process_resident_memory_bytes") or 0)


@contextmanager
def serving_metrics(listen: str, registry: CollectorRegistry) -> Iterator[None]:
    """Serve the metrics over HTTP on HOST:PORT, or not at all if that is empty.

    Raises:
        ListenError: the address can't be had.

    """
    if not listen:
        yield
        return
    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise ListenError(f"metrics_listen: cannot listen on {listen}: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
