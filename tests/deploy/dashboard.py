"""Grafana's dashboard, made of the panels below: `make manifests` writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PREFIX = "otel_embedder"
# Of the sidecars that are chosen above the panels.
CHOSEN = '{job=~"$job", instance=~"$instance"}'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS, WIDTH, HEIGHT = 3, 8, 7


@dataclass(frozen=True, slots=True)
class Panel:
    """A curve or several.

    Attributes:
        title: what it shows.
        unit: Grafana's word for what is counted.
        curves: by their legends, in PromQL; `CHOSEN` stands for the sidecars.

    """

    title: str
    unit: str
    curves: dict[str, str]


def rate(metric: str) -> str:
    """Give a counter's rate over all that are chosen."""
    return f"sum(rate({PREFIX}_{metric}{CHOSEN}[$__rate_interval]))"


def rates(metric: str, label: str) -> str:
    """Give a counter's rates, one for each value of a label."""
    return f"sum by ({label}) (rate({PREFIX}_{metric}{CHOSEN}[$__rate_interval]))"


def each(metric: str) -> str:
    """Give a gauge of each sidecar."""
    return f"{PREFIX}_{metric}{CHOSEN}"


def percentile(share: float, metric: str) -> str:
    """Give a percentile of a histogram."""
    buckets = f"sum by (le) (rate({PREFIX}_{metric}_bucket{CHOSEN}[$__rate_interval]))"
    return f"histogram_quantile({share}, {buckets})"


HITS = f'{PREFIX}_embedded_texts_total{{job=~"$job", instance=~"$instance", source="cache"}}'

PANELS = (
    Panel(
        "Spans a second",
        "ops",
        {
            "taken in": rate("receiver_accepted_spans_total"),
            "taken by the next hop": rate("exporter_sent_spans_total"),
        },
    ),
    Panel(
        "Refused, failed, cancelled",
        "ops",
        {
            "answered with an error": rate("receiver_refused_spans_total"),
            "not taken by the next hop": rate("exporter_send_failed_spans_total"),
            "sent again here": rate("exporter_retried_spans_total"),
            "caller left": rate("receiver_cancelled_spans_total"),
        },
    ),
    Panel(
        "Without the model's vector",
        "ops",
        {
            "stand-in": rate("fallback_spans_total"),
            "left bare: {{shortage}}": rates("left_bare_spans_total", "shortage"),
            "too large": rate("exporter_sent_bare_spans_total"),
        },
    ),
    Panel(
        "Texts known before",
        "percentunit",
        {
            "hit rate": f"sum(rate({HITS}[$__rate_interval])) / {rate('embedded_texts_total')}",
            "spans known by their bytes": (
                f"{rate('known_spans_total')} / {rate('receiver_accepted_spans_total')}"
            ),
        },
    ),
    Panel("New texts a second", "ops", {"{{source}}": rates("embedded_texts_total", "source")}),
    Panel("Texts that wait", "short", {"{{instance}}": each("queue_size")}),
    Panel(
        "Wait for the model",
        "s",
        {
            "median": percentile(0.5, "queue_duration_seconds"),
            "99th percentile": percentile(0.99, "queue_duration_seconds"),
        },
    ),
    Panel(
        "A batch of the model",
        "s",
        {
            "median": percentile(0.5, "inference_duration_seconds"),
            "99th percentile": percentile(0.99, "inference_duration_seconds"),
        },
    ),
    Panel(
        "In flight",
        "bytes",
        {"{{instance}}": each("receiver_inflight_bytes")},
    ),
    Panel(
        "Requests refused for a while, or cancelled",
        "ops",
        {
            "no room": rate("receiver_busy_requests_total"),
            "cancelled": rate("receiver_cancelled_requests_total"),
        },
    ),
    Panel(
        "Catalogue",
        "ops",
        {
            "counted": rate("catalogue_written_spans_total"),
            "dropped: {{reason}}": rates("catalogue_dropped_spans_total", "reason"),
        },
    ),
    Panel(
        "New groups of failures",
        "ops",
        {"{{service}}": rates("new_error_groups_total", "service")},
    ),
    Panel("Questions", "ops", {"{{outcome}}": rates("questions_total", "outcome")}),
    Panel("An answer", "s", {"99th percentile": percentile(0.99, "question_duration_seconds")}),
    Panel(
        "Memory",
        "bytes",
        {
            "{{instance}}": f"process_resident_memory_bytes{CHOSEN}"
            f" and on (job, instance) {PREFIX}_queue_size",
        },
    ),
    Panel(
        "Processor cores",
        "short",
        {
            "{{instance}}": f"rate(process_cpu_seconds_total{CHOSEN}[$__rate_interval])"
            f" and on (job, instance) {PREFIX}_queue_size",
        },
    ),
    Panel(
        "Largest request that the next hop takes",
        "bytes",
        {"{{instance}}": each("exporter_send_limit_bytes")},
    ),
    Panel(
        "Signs of trouble",
        "ops",
        {
            "spans that came back": rate("came_back_spans_total"),
            "lines of the log dropped": rate("dropped_log_lines_total"),
            "workers started again": rate("worker_restarts_total"),
            "own {{signal}} not taken": rates("telemetry_send_failed_requests_total", "signal"),
        },
    ),
)


def dashboard() -> str:
    """Give the dashboard as Grafana imports it."""
    content = {
        "uid": "otel-embedder",
        "title": "otel_embedder",
        "tags": ["opentelemetry", "otel-embedder"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_source(), _choice("job"), _choice("instance")]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }
    return json.dumps(content, indent=2) + "\n"


def _source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Source", "type": "datasource", "query": "prometheus"}


def _choice(label: str) -> dict[str, Any]:
    """Let a label's values be chosen, all of them at first."""
    among = '{job=~"$job"}' if label == "instance" else ""
    return {
        "name": label,
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values({PREFIX}_queue_size{among}, {label})",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expression, "legendFormat": legend}
            for place, (legend, expression) in enumerate(panel.curves.items())
        ],
    }
