"""What a sidecar tells of itself, as a real Collector hears it: scraped, and by OTLP."""

from __future__ import annotations

import json
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from otel_embedder.otlp.names import EXPORT_METHOD, METRICS_METHOD, TRACE_SERVICE
from otel_embedder.telemetry.declarations import METRICS, NAMESPACE
from otel_embedder.telemetry.metrics import serving_metrics
from otel_embedder.telemetry.otlp.metrics import MetricsMessage
from tests.support.otlp_samples import request, span
from tests.support.processes import (
    ARRIVAL_SECONDS,
    REPOSITORY,
    Collector,
    Sink,
    built,
    free_address,
    own_environment,
    running_sidecar,
)
from tests.support.recorded_metrics import recorded_metrics
from tests.support.tiny_model import tiny_model_flags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Json = dict[str, Any]

pytestmark = pytest.mark.collector

KINDS = {"counter": "sum", "gauge": "gauge", "histogram": "histogram"}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
STAGES = ["render", "embed", "attach", "forward"]
LOOK_SECONDS = 0.1

COLLECTOR = REPOSITORY / "build" / "otelcol-prometheus"


class Files:
    """What a Collector writes: what it scraped, and what it was sent."""

    def __init__(self, directory: Path) -> None:
        self.scraped = directory / "scraped.json"
        self.pushed = directory / "pushed.json"
        self.traces = directory / "traces.json"


@contextmanager
def listening_collector(files: Files, scrape: str) -> Iterator[Collector]:
    """Run a Collector that scrapes an address and is sent OTLP, and writes down all it hears."""
    address = free_address()
    target = {"job_name": "s", "scrape_interval": "1s", "static_configs": [{"targets": [scrape]}]}
    config = {
        "receivers": {
            "otlp": {"protocols": {"grpc": {"endpoint": address}}},
            "prometheus": {"config": {"scrape_configs": [target]}},
        },
        "exporters": {
            f"file/{name}": {"path": str(path), "flush_interval": "100ms"}
            for name, path in vars(files).items()
        },
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                "metrics/scraped": {"receivers": ["prometheus"], "exporters": ["file/scraped"]},
                "metrics/pushed": {"receivers": ["otlp"], "exporters": ["file/pushed"]},
                "traces": {"receivers": ["otlp"], "exporters": ["file/traces"]},
            },
        },
    }
    command = [str(built(COLLECTOR)), f"--config=yaml:{json.dumps(config)}"]
    with Collector(command, own_environment({})) as collector:
        collector.address = address
        collector.wait_for_line("Everything is ready")
        yield collector


def metrics_in(file: Path) -> list[dict[str, Json]]:
    """Give the metrics of each message that is in a file, by their names."""
    return [
        {
            metric["name"]: metric
            for resource in message["resourceMetrics"]
            for scope in resource["scopeMetrics"]
            for metric in scope["metrics"]
        }
        for message in _messages(file)
    ]


def spans_in(file: Path) -> list[Json]:
    return [
        span
        for message in _messages(file)
        for resource in message["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def _messages(file: Path) -> list[Json]:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for_metrics(file: Path) -> dict[str, Json]:
    """Give the metrics of the first message with ours, once it is there."""
    until = time.monotonic() + ARRIVAL_SECONDS
    while time.monotonic() < until:
        for metrics in metrics_in(file):
            if any(name.startswith(NAMESPACE) for name in metrics):
                return metrics
        time.sleep(LOOK_SECONDS)
    raise AssertionError(f"no metrics in {file}")


def kind(metric: Json) -> str:
    [data] = {*metric} & {*KINDS.values()}
    return str(data)


def points(metric: Json) -> list[tuple[object, ...]]:
    """Give what a metric stands at, without when."""
    said = [
        (
            sorted((each["key"], each["value"]["stringValue"]) for each in _labels(point)),
            point.get("asDouble"),
            point.get("count"),
            point.get("sum"),
            point.get("bucketCounts"),
            point.get("explicitBounds"),
        )
        for point in metric[kind(metric)]["dataPoints"]
    ]
    return sorted(said, key=str)


def _labels(point: Json) -> Sequence[Json]:
    return [*point.get("attributes", ())]


def test_a_collector_hears_the_same_scraped_and_pushed(tmp_path: Path) -> None:
    metrics = recorded_metrics()
    files, listen = Files(tmp_path), free_address()
    message = MetricsMessage(metrics.registry, {"service.name": "otel-embedder"})
    with serving_metrics(listen, metrics.registry), listening_collector(files, listen) as collector:
        with grpc.insecure_channel(collector.address) as channel:
            push: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METRICS_METHOD)
            push(message.encoded(), wait_for_ready=True)
        scraped, pushed = wait_for_metrics(files.scraped), wait_for_metrics(files.pushed)

    declared = {f"{NAMESPACE}_{metric.name}": KINDS[metric.kind] for metric in METRICS}
    assert {name: kind(scraped[name]) for name in declared} == declared
    assert {name: kind(pushed[name]) for name in declared} == declared
    for name in declared:
        assert points(pushed[name]) == points(scraped[name]), name
    for each in (scraped, pushed):
        sums = [each[name]["sum"] for name, data in declared.items() if data == "sum"]
        assert all(sum_["isMonotonic"] for sum_ in sums)
        # AGGREGATION_TEMPORALITY_CUMULATIVE
        assert {sum_["aggregationTemporality"] for sum_ in sums} == {2}


def counted(scrape: str) -> dict[str, float]:
    """Give the counters of a scrape that has something to tell, by name."""
    with urllib.request.urlopen(f"http://{scrape}/metrics", timeout=5) as answer:
        families = [*text_string_to_metric_families(answer.read().decode())]
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if family.type == "counter" and sample.name.startswith(NAMESPACE) and not sample.labels
    }


def test_a_sidecar_tells_a_collector_of_itself(tmp_path: Path) -> None:
    files, scrape = Files(tmp_path), free_address()
    with Sink() as sink, listening_collector(files, scrape) as collector:
        own = (
            *("--metrics-listen", scrape, "--metrics-otlp-endpoint", f"http://{collector.address}"),
            *("--traces-otlp-endpoint", f"http://{collector.address}"),
            *tiny_model_flags(tmp_path),
        )
        with running_sidecar(sink.address, settings=own) as sidecar:
            with grpc.insecure_channel(sidecar.address) as channel:
                export: grpc.UnaryUnaryMultiCallable[bytes, bytes]
                export = channel.unary_unary(EXPORT_METHOD)
                for name in ("a", "b", "a"):
                    export(request(span(name)).SerializeToString(), metadata=CALLER)
            counters = counted(scrape)
        # It told what was left when it ended; and so does the Collector.

    assert counters["otel_embedder_receiver_accepted_spans_total"] == 3
    pushed = metrics_in(files.pushed)[-1]
    assert counters == {name: pushed[name]["sum"]["dataPoints"][0]["asDouble"] for name in counters}
    spans = spans_in(files.traces)
    wholes = [each for each in spans if each["name"] == f"{TRACE_SERVICE}/Export"]
    assert [(each["traceId"], each["parentSpanId"]) for each in wholes] == [(TRACE, PARENT)] * 3
    for whole in wholes:
        stages = [each for each in spans if each["parentSpanId"] == whole["spanId"]]
        assert [each["name"] for each in stages] == STAGES
