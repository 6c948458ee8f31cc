from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp

from otel_embedder.telemetry.declarations import BATCH_SIZES, METRICS, NAMESPACE
from otel_embedder.telemetry.metrics import Metrics
from otel_embedder.telemetry.otlp.metrics import MetricsMessage
from otel_embedder.telemetry.summed import SummedMetrics
from otel_embedder.telemetry.summed import told as told_as_text
from tests.support.recorded_metrics import recorded_metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from prometheus_client import CollectorRegistry

KINDS = {"counter": "sum", "gauge": "gauge", "histogram": "histogram"}


def told(metrics: Metrics) -> dict[str, otlp.Metric]:
    return told_of(metrics.registry)


def told_of(registry: CollectorRegistry) -> dict[str, otlp.Metric]:
    """Give what a message says, by the metrics' names."""
    encoded = MetricsMessage(registry, {"service.name": "s"}).encoded()
    [resource] = ExportMetricsServiceRequest.FromString(encoded).resource_metrics
    assert labels(resource.resource.attributes) == {"service.name": "s"}
    [scope] = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def labels(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {each.key: each.value.string_value for each in attributes}


def test_each_metric_that_is_declared_is_told_as_what_it_is() -> None:
    kinds = {name: metric.WhichOneof("data") for name, metric in told(recorded_metrics()).items()}

    declared = {f"{NAMESPACE}_{metric.name}": KINDS[metric.kind] for metric in METRICS}
    assert {name: kinds.get(name) for name in declared} == declared
    assert {name for name in kinds if not name.startswith("process_")} == {*declared}


def test_a_counter_is_a_sum_that_only_grows_since_its_start() -> None:
    metrics = Metrics()
    before = time.time_ns()
    message = MetricsMessage(metrics.registry, {})
    metrics.looked_up(hits=5, misses=6)

    [resource] = ExportMetricsServiceRequest.FromString(message.encoded()).resource_metrics
    texts = next(
        metric
        for metric in resource.scope_metrics[0].metrics
        if metric.name == "otel_embedder_embedded_texts_total"
    )

    assert texts.unit == "{texts}"
    assert texts.sum.is_monotonic
    assert texts.sum.aggregation_temporality == otlp.AGGREGATION_TEMPORALITY_CUMULATIVE
    points = {labels(point.attributes)["source"]: point for point in texts.sum.data_points}
    assert {source: point.as_double for source, point in points.items()} == {"cache": 5, "model": 6}
    for point in points.values():
        assert before <= point.start_time_unix_nano <= point.time_unix_nano <= time.time_ns()


def test_a_histogram_has_its_bounds_and_how_many_are_between_them() -> None:
    metrics = Metrics()
    for texts in (1, 2, 2, 32, 100):
        metrics.batch_embedded(texts=texts, seconds=0.1)

    sizes = told(metrics)["otel_embedder_batch_size"]
    [point] = sizes.histogram.data_points

    assert sizes.unit == "{texts}"
    assert [*point.explicit_bounds] == [*BATCH_SIZES]
    assert [*point.bucket_counts] == [1, 2, 0, 0, 0, 1, 1]
    assert (point.count, point.sum) == (5, 137)


def test_each_set_of_labels_has_a_histogram_of_its_own() -> None:
    metrics = Metrics()
    metrics.answered("http", seconds=0.1)
    metrics.answered("mcp", seconds=0.2)
    metrics.answered("mcp", seconds=0.3)

    durations = told(metrics)["otel_embedder_question_duration_seconds"]

    assert durations.unit == "s"
    counts = {
        labels(point.attributes)["face"]: point.count for point in durations.histogram.data_points
    }
    assert counts == {"http": 1, "mcp": 2}


def test_units_are_the_collectors() -> None:
    units = {name: metric.unit for name, metric in told(recorded_metrics()).items()}

    assert units["otel_embedder_receiver_accepted_spans_total"] == "{spans}"
    assert units["otel_embedder_receiver_inflight_bytes"] == "By"
    assert units["otel_embedder_queue_duration_seconds"] == "s"
    assert units["otel_embedder_queue_size"] == "{texts}"
    assert units["process_cpu_seconds_total"] == "s"


def test_a_gauge_is_asked_whenever_a_message_is_made() -> None:
    queue = [1, 2]
    metrics = Metrics()
    metrics.watch_queue(queue.__len__)
    message = MetricsMessage(metrics.registry, {})
    message.encoded()
    queue.append(3)

    [resource] = ExportMetricsServiceRequest.FromString(message.encoded()).resource_metrics

    [size] = [
        metric.gauge.data_points[0].as_double
        for metric in resource.scope_metrics[0].metrics
        if metric.name == "otel_embedder_queue_size"
    ]
    assert size == 3


def test_the_sum_of_several_processes_is_told_as_that_of_one() -> None:
    one = recorded_metrics()
    summed = SummedMetrics(recorded_metrics())
    summed.hear(1, told_as_text(recorded_metrics()))
    summed.hear(2, told_as_text(recorded_metrics()))

    alone, together = told(one), told_of(summed.registry)

    assert {*together} == {*alone}
    accepted = "otel_embedder_receiver_accepted_spans_total"
    [each], [all_] = alone[accepted].sum.data_points, together[accepted].sum.data_points
    assert all_.as_double == 3 * each.as_double
    sizes = "otel_embedder_batch_size"
    [each_size] = alone[sizes].histogram.data_points
    [all_sizes] = together[sizes].histogram.data_points
    assert [*all_sizes.explicit_bounds] == [*each_size.explicit_bounds]
    assert [*all_sizes.bucket_counts] == [3 * count for count in each_size.bucket_counts]
