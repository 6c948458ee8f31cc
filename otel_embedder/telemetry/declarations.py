"""The metrics that there are, each with what it tells: no other is recorded, pushed or described.

Who records them, who sends them by OTLP and the document all read this one table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NAMESPACE = "otel_embedder"
# Ends the name under which Prometheus tells since when something was counted.
CREATED = "_created"
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
    buckets: tuple[float, ...] = ()
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
        "Distinct texts of requests, by source: cache or model; where attach is new and there is "
        "no catalogue, of those whose vector is due.",
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
        "Memory in which texts are known by the bytes of spans: 20 MiB at most.",
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
