"""What this process counts and measures, for Prometheus to scrape.

Each fact is counted in exactly one place, by the stage that knows it; `Metrics`
is the recorder that all stages get. It knows none of them: words and numbers come in.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMESPACE = "otel_embedder"
# Ends the name under which Prometheus tells since when something was counted.
CREATED = "_created"
# Of labels: names of services are spans', and may never end.
MAX_SERVICES = 100
BATCH_SIZES = (1, 2, 4, 8, 16, 32)

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """What is told of one fact.

    Attributes:
        name: what a scrape calls it, but for `otel_embedder_` in front.
        kind: counter, gauge or histogram.
        description: what it tells.
        labels: by which words it is told apart; from closed or bounded sets only.
        buckets: upper bounds of a histogram's; Prometheus' own, if there are none.
        is_watched: whether a counter stands at what somebody else has counted.
        unit: what its values count, as OTLP writes it; what its name ends with, if it is empty.

    """

    name: str
    kind: Kind
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS
    is_watched: bool = False
    unit: str = ""


METRICS = (
    Metric("receiver_accepted_spans_total", "counter", "Spans taken in and passed on."),
    Metric("receiver_refused_spans_total", "counter", "Spans answered with an error."),
    Metric(
        "receiver_cancelled_spans_total",
        "counter",
        "Spans whose caller left before the answer, as far as they were counted by then.",
    ),
    Metric(
        "receiver_cancelled_requests_total",
        "counter",
        "Requests that did not arrive whole, or whose caller left before the answer.",
    ),
    Metric(
        "receiver_busy_requests_total",
        "counter",
        "Requests refused for a while, since too much was in flight.",
    ),
    Metric(
        "receiver_other_requests_total",
        "counter",
        "Requests of other signals, passed on as they came: logs, metrics or profiles.",
        ("signal",),
    ),
    Metric("receiver_inflight_requests", "gauge", "Requests not yet answered."),
    Metric("receiver_inflight_bytes", "gauge", "Bytes of these, decompressed."),
    Metric(
        "came_back_spans_total",
        "counter",
        "Spans that were sent on from here before: a loop, see the log.",
    ),
    Metric(
        "passed_spans_total",
        "counter",
        "Spans left alone, by standing: current or foreign vector, or of sidecars' own work (own).",
        ("standing",),
    ),
    Metric(
        "fallback_spans_total",
        "counter",
        "Spans that got a stand-in, or nothing, for lack of a vector.",
    ),
    Metric(
        "left_bare_spans_total",
        "counter",
        "Spans left without the vector that there was, by what was short: memory in flight, time "
        "for attaching it, or time for sending it; also those that are left out then, having been "
        "taken before.",
        ("shortage",),
    ),
    Metric(
        "first_seen_spans_total",
        "counter",
        "Spans that brought the vector of their text to the next hop, where attach is new.",
        is_watched=True,
    ),
    Metric(
        "first_seen_bytes",
        "gauge",
        "Memory in which it is known whose vector the next hop has: 16 MiB at most.",
    ),
    Metric(
        "embedded_texts_total",
        "counter",
        "Distinct texts of requests, by source: cache or model.",
        ("source",),
    ),
    Metric(
        "warmed_texts_total",
        "counter",
        "Texts whose vectors were taken from the catalogue at the start.",
    ),
    Metric(
        "known_spans_total",
        "counter",
        "Spans whose text was known by their bytes, since one before said the same.",
        is_watched=True,
    ),
    Metric(
        "known_spans_bytes",
        "gauge",
        "Memory in which texts are known by the bytes of spans: 8 MiB at most.",
    ),
    Metric("queue_size", "gauge", "Texts that wait.", unit="{texts}"),
    Metric("queue_duration_seconds", "histogram", "Time that a text waited for the model."),
    Metric(
        "batch_size",
        "histogram",
        "Texts that the model was given at once.",
        buckets=BATCH_SIZES,
        unit="{texts}",
    ),
    Metric("inference_duration_seconds", "histogram", "Time that the model took for a batch."),
    Metric("exporter_sent_spans_total", "counter", "Spans that the next hop took."),
    Metric(
        "exporter_sent_bare_spans_total",
        "counter",
        "Spans sent without a vector, for which they were too large.",
    ),
    Metric(
        "exporter_retried_spans_total",
        "counter",
        "Spans sent again here, while their sender waited.",
    ),
    Metric(
        "exporter_skipped_spans_total",
        "counter",
        "Spans not sent again when their request came again, since the next hop had taken them.",
    ),
    Metric("exporter_send_failed_spans_total", "counter", "Spans that the next hop did not take."),
    Metric(
        "exporter_send_limit_bytes",
        "gauge",
        "Largest request that the next hop takes, as far as is known.",
    ),
    Metric("catalogue_written_spans_total", "counter", "Spans counted in the catalogue."),
    Metric(
        "catalogue_dropped_spans_total",
        "counter",
        "Spans that passed and are not counted in the catalogue, by what was short: room in the "
        "queue, memory for what was read, a store that could be written; or the next hop took "
        "some of a request, and nobody knows which (rejected); or there was a fault of ours.",
        ("reason",),
    ),
    Metric(
        "new_error_groups_total",
        "counter",
        "Groups of failures that were new or came again, by the service at which they fail; those "
        "of services beyond the first hundred by `other`.",
        ("service",),
    ),
    Metric(
        "catalogue_write_duration_seconds", "histogram", "Time that the catalogue took for a batch."
    ),
    Metric(
        "questions_total",
        "counter",
        "Questions, by the way that they came (http, rpc or mcp), and by outcome: answered, "
        "refused (the question is wrong, or from whom it comes), busy or failed.",
        ("face", "outcome"),
    ),
    Metric("question_duration_seconds", "histogram", "Time that an answer took.", ("face",)),
    Metric(
        "telemetry_send_failed_requests_total",
        "counter",
        "Requests that tell of the sidecar itself (metrics or traces) and were not taken, or not "
        "whole.",
        ("signal",),
    ),
    Metric("workers", "gauge", "Worker processes that take spans, where there are several."),
    Metric("worker_restarts_total", "counter", "Workers that ended, and were started again."),
    Metric(
        "dropped_log_lines_total",
        "counter",
        "Lines of the log that could not be written.",
        is_watched=True,
    ),
)


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
                    buckets=metric.buckets,
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
