"""What `deploy/observability` asks Prometheus for must be told. Its rules: `make check-rules`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import grpc
import yaml

from otel_embedder.telemetry.declarations import METRICS, NAMESPACE
from otel_embedder.telemetry.metrics import Metrics
from tests.deploy.dashboard import dashboard
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.otlp_samples import request, span
from tests.support.peers import Answer, FakeNextHop
from tests.support.processes import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = REPOSITORY / "deploy" / "observability"
DASHBOARD = (FILES / "dashboard.json").read_text(encoding="utf-8")
RULES = (FILES / "rules.yaml").read_text(encoding="utf-8")
ALERTS = [rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]]

# What requests that the next hop takes and one that it refuses move.
MOVED = {
    "receiver_accepted_spans_total": {},
    "receiver_refused_spans_total": {},
    "exporter_sent_spans_total": {},
    "exporter_send_failed_spans_total": {},
    "embedded_texts_total": {"source": "model"},
    "queue_duration_seconds_count": {},
    "inference_duration_seconds_count": {},
    "known_spans_total": {},
    "catalogue_written_spans_total": {},
}


def expressions() -> Iterator[str]:
    """Give all that rules and dashboard ask for."""
    yield from (alert["expr"] for alert in ALERTS)
    for panel in json.loads(DASHBOARD)["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def asked_for() -> set[str]:
    """Give the metrics that they name."""
    return {
        name
        for expression in expressions()
        for name in re.findall(rf"\b(?:{NAMESPACE}|process)_\w+", expression)
    }


def told() -> set[str]:
    """Give what a scrape holds, by its names."""
    registry = Metrics().registry
    names = {sample.name for family in registry.collect() for sample in family.samples}
    # What has a label has no sample before it is first counted.
    return names | {
        f"{NAMESPACE}_{metric.name}{'_bucket' if metric.kind == 'histogram' else ''}"
        for metric in METRICS
        if metric.labels
    }


def test_each_metric_that_is_asked_for_is_told() -> None:
    assert len(asked_for()) > 20
    assert asked_for() <= told()


def test_each_metric_of_ours_is_shown() -> None:
    ours = {f"{NAMESPACE}_{metric.name}" for metric in METRICS}
    shown = {name.removesuffix("_bucket") for name in asked_for()}

    assert ours - shown == {
        "otel_embedder_batch_size",
        "otel_embedder_catalogue_write_duration_seconds",
        "otel_embedder_exporter_skipped_spans_total",
        "otel_embedder_first_seen_bytes",
        "otel_embedder_first_seen_spans_total",
        "otel_embedder_known_spans_bytes",
        "otel_embedder_passed_spans_total",
        "otel_embedder_receiver_inflight_requests",
        "otel_embedder_receiver_other_requests_total",
        "otel_embedder_warmed_texts_total",
    }


def test_labels_that_are_asked_for_are_those_of_the_metric() -> None:
    labels = {f"{NAMESPACE}_{metric.name}": set(metric.labels) for metric in METRICS}
    for expression in expressions():
        told_apart = set(re.findall(r"(?:by|without) \((\w+)\)", expression)) - {"le"}
        of_metrics = set().union(*(labels.get(name, set()) for name in asked_in(expression)))

        assert told_apart <= of_metrics, expression


def asked_in(expression: str) -> list[str]:
    """Give the metrics of one expression."""
    return re.findall(rf"\b{NAMESPACE}_\w+", expression)


def test_each_alert_says_what_to_do() -> None:
    for alert in ALERTS:
        assert alert["labels"]["severity"] in {"info", "warning", "critical"}
        assert alert["annotations"]["summary"].startswith("{{ $labels.instance }}: ")
        assert alert["annotations"]["description"].endswith(".")


def test_the_rules_have_a_case_for_each_alert() -> None:
    cases = (FILES / "rules.test.yaml").read_text(encoding="utf-8")
    alerts = {alert["alert"] for alert in ALERTS}

    assert set(re.findall(r"alertname: (\w+)", cases)) == alerts
    assert set(re.findall(r'alertname="(\w+)"', cases)) == alerts


def test_the_dashboard_is_current() -> None:
    assert dashboard() == DASHBOARD, "`make manifests` writes it"


async def test_they_move_with_the_spans(
    next_hop: FakeNextHop, tiny_bert: Path, tmp_path: Path
) -> None:
    flags = {**tiny_model(tiny_bert), "catalogue": f"sqlite:///{tmp_path / 'spans.db'}"}
    async with sidecar_in_process(next_hop.url, **flags) as parts:
        for _ in range(3):
            await parts.client.export(request(span("a b c")))
        next_hop.answers = [Answer(grpc.StatusCode.INVALID_ARGUMENT)]
        await parts.client.refusal(request(span("d e f")))

    assert {name for name, labels in MOVED.items() if parts.metrics.value(name, **labels)} == {
        *MOVED
    }
