"""The metrics as an OTLP message: the very numbers that a scrape gives, under the same names.

They are read from Prometheus' registry, so that nothing is counted twice. A backend that turns OTLP
into Prometheus' words gives each metric the name that it has in a scrape.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp

from otel_embedder.telemetry.declarations import CREATED, METRICS, NAMESPACE
from otel_embedder.telemetry.otlp.resource import OWN_SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric as Family
    from prometheus_client.samples import Sample

    Labels = tuple[tuple[str, str], ...]

TOTAL = "_total"
CUMULATIVE = otlp.AGGREGATION_TEMPORALITY_CUMULATIVE
# By the last word of a name: UCUM, as the Collector's own metrics have it.
UNITS = {"seconds": "s", "bytes": "By"}
DECLARED_UNITS = {f"{NAMESPACE}_{metric.name}": metric.unit for metric in METRICS if metric.unit}


class Times(NamedTuple):
    """Since when and until when was counted, in nanoseconds since 1970."""

    start: int
    end: int


class MetricsMessage:
    """Gives what the metrics stand at, each time as a message."""

    def __init__(self, registry: CollectorRegistry, resource: Mapping[str, str]) -> None:
        """Begin to count the time.

        Args:
            registry: what there is to tell.
            resource: who tells it.

        """
        self._registry = registry
        self._resource = attributes(resource.items())
        self._start = time.time_ns()

    def encoded(self) -> bytes:
        """Give an encoded ExportMetricsServiceRequest."""
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        resource.resource.attributes.extend(self._resource)
        scope = resource.scope_metrics.add(scope=InstrumentationScope(name=OWN_SCOPE))
        times = Times(self._start, time.time_ns())
        scope.metrics.extend(
            metric_of(family, times) for family in self._registry.collect() if _is_told(family)
        )
        return request.SerializeToString()


def _is_told(family: Family) -> bool:
    # What has a label has no sample before it is first counted; and when a counter began, which in
    # a scrape's text is a gauge of its own, OTLP says beside the counter.
    return bool(family.samples) and not family.name.endswith(CREATED)


def metric_of(family: Family, times: Times) -> otlp.Metric:
    """Give one of Prometheus' metrics as OTLP's."""
    # Prometheus' client calls a counter by its name without the end that its samples have.
    name = family.name + (TOTAL if family.type == "counter" else "")
    metric = otlp.Metric(name=name, description=family.documentation, unit=unit_of(name))
    FILL[family.type](metric, family, times)
    return metric


def unit_of(name: str) -> str:
    """Give the unit of a metric's values: what it counts is in braces."""
    word = name.removesuffix(TOTAL).rpartition("_")[2]
    return DECLARED_UNITS.get(name) or UNITS.get(word, f"{{{word}}}")


def attributes(pairs: Iterable[tuple[str, str]]) -> list[KeyValue]:
    """Give labels as OTLP's attributes."""
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in pairs]


def _fill_gauge(metric: otlp.Metric, family: Family, times: Times) -> None:
    metric.gauge.data_points.extend(
        otlp.NumberDataPoint(
            attributes=attributes(sample.labels.items()),
            time_unix_nano=times.end,
            as_double=sample.value,
        )
        for sample in family.samples
    )


def _fill_sum(metric: otlp.Metric, family: Family, times: Times) -> None:
    metric.sum.aggregation_temporality = CUMULATIVE
    metric.sum.is_monotonic = True
    metric.sum.data_points.extend(
        otlp.NumberDataPoint(
            attributes=attributes(sample.labels.items()),
            start_time_unix_nano=times.start,
            time_unix_nano=times.end,
            as_double=sample.value,
        )
        for sample in family.samples
        if sample.name == metric.name
    )


def _fill_histogram(metric: otlp.Metric, family: Family, times: Times) -> None:
    metric.histogram.aggregation_temporality = CUMULATIVE
    metric.histogram.data_points.extend(
        _histogram_point(labels, samples, times) for labels, samples in _by_labels(family)
    )


def _histogram_point(
    labels: Labels, samples: Sequence[Sample], times: Times
) -> otlp.HistogramDataPoint:
    buckets = [each for each in samples if each.name.endswith("_bucket")]
    total = next(each.value for each in samples if each.name.endswith("_sum"))
    # Prometheus counts in each bucket those of all lower ones, too; the last has no upper bound.
    counts = [0, *(round(bucket.value) for bucket in buckets)]
    return otlp.HistogramDataPoint(
        attributes=attributes(labels),
        start_time_unix_nano=times.start,
        time_unix_nano=times.end,
        count=counts[-1],
        sum=total,
        explicit_bounds=[float(bucket.labels["le"]) for bucket in buckets[:-1]],
        bucket_counts=[upper - lower for lower, upper in pairwise(counts)],
    )


def _by_labels(family: Family) -> Iterator[tuple[Labels, Sequence[Sample]]]:
    """Give the samples of each histogram of a family, the buckets in their order."""
    found: dict[Labels, list[Sample]] = {}
    for sample in family.samples:
        labels = tuple((key, value) for key, value in sample.labels.items() if key != "le")
        found.setdefault(labels, []).append(sample)
    yield from found.items()


FILL: dict[str, Callable[[otlp.Metric, Family, Times], None]] = {
    "counter": _fill_sum,
    "gauge": _fill_gauge,
    "histogram": _fill_histogram,
}
