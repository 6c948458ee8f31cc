from __future__ import annotations

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_INFO, LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.errors import ForeignContentError
from otel_embedder.otlp.signals import refuse_other_signals
from otel_embedder.otlp.wire import parse_request
from tests.support.otlp_samples import SPAN_ID, START, TRACE_ID, event, request, span

NAME = "process.cpu.time"  # as long as a trace id

METRICS = {
    "gauge": Metric(
        name=NAME, gauge=Gauge(data_points=[NumberDataPoint(time_unix_nano=START, as_int=5)])
    ),
    "sum": Metric(name=NAME, sum=Sum(data_points=[NumberDataPoint(time_unix_nano=START)])),
    "histogram": Metric(
        name=NAME, histogram=Histogram(data_points=[HistogramDataPoint(time_unix_nano=START)])
    ),
    "histogram without a time": Metric(
        name=NAME, histogram=Histogram(data_points=[HistogramDataPoint(count=3)])
    ),
    "exponential histogram": Metric(
        exponential_histogram=ExponentialHistogram(
            data_points=[ExponentialHistogramDataPoint(time_unix_nano=START)]
        )
    ),
    "summary": Metric(
        name=NAME, summary=Summary(data_points=[SummaryDataPoint(time_unix_nano=START)])
    ),
}
LOGS = {
    "time": LogRecord(time_unix_nano=START),
    "observed": LogRecord(observed_time_unix_nano=START, body=AnyValue(string_value="a")),
    "severity": LogRecord(severity_number=SEVERITY_NUMBER_INFO),
    "in a trace": LogRecord(trace_id=TRACE_ID, span_id=SPAN_ID, flags=1),
    "body": LogRecord(body=AnyValue(string_value="disk full")),
}
SPANS = {
    "whole": span("one", {"a": 1}, events=[event()]),
    "without ids": Span(name="one", start_time_unix_nano=START),
    "without times": Span(trace_id=TRACE_ID, span_id=SPAN_ID, name="one"),
    "a name alone": Span(name="one"),
    "attributes alone": Span(attributes=span(attributes={"a": 1}).attributes),
    "nothing": Span(),
}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_metrics_are_told_from_spans(metric: Metric) -> None:
    made = ExportMetricsServiceRequest()
    made.resource_metrics.add().scope_metrics.add().metrics.append(metric)

    with pytest.raises(ForeignContentError, match="OTLP metrics, and traces are wanted"):
        refuse_other_signals(parse_request(made.SerializeToString()))


@pytest.mark.parametrize("record", LOGS.values(), ids=LOGS)
def test_logs_are_told_from_spans(record: LogRecord) -> None:
    made = ExportLogsServiceRequest()
    made.resource_logs.add().scope_logs.add().log_records.append(record)

    with pytest.raises(ForeignContentError, match="OTLP logs, and traces are wanted"):
        refuse_other_signals(parse_request(made.SerializeToString()))


def test_a_metric_that_does_not_show_it_is_told_by_the_next() -> None:
    made = ExportMetricsServiceRequest()
    made.resource_metrics.add().scope_metrics.add().metrics.extend([Metric(), METRICS["gauge"]])

    with pytest.raises(ForeignContentError, match="metrics"):
        refuse_other_signals(parse_request(made.SerializeToString()))


@pytest.mark.parametrize("made", SPANS.values(), ids=SPANS)
def test_spans_pass(made: Span) -> None:
    refuse_other_signals(parse_request(request(made, made).SerializeToString()))
