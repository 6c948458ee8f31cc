from __future__ import annotations

import json
import re
import socket
import urllib.request
from typing import TYPE_CHECKING

import pytest
import structlog
from prometheus_client import generate_latest

from otel_embedder.annotation.standing import Standing
from otel_embedder.errors import ListenError
from otel_embedder.telemetry.logs import configure_logs
from otel_embedder.telemetry.metrics import Metrics, serving_metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.telemetry.settings import LogFormat, LogLevel

SECRET = "s3cret"  # noqa: S105 - for tests


def values(metrics: Metrics) -> dict[str, float]:
    """Give what a scrape would, of our own metrics, without what is still at nothing."""
    lines = generate_latest(metrics.registry).decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if line.startswith("otel_embedder_")]
    return {
        name.removeprefix("otel_embedder_"): float(value)
        for name, value in pairs
        if float(value) and not re.search(r"_created|_bucket", name)
    }


@pytest.mark.parametrize(
    ("record", "recorded"),
    [
        (lambda metrics: metrics.accepted(spans=3), {"receiver_accepted_spans_total": 3}),
        (lambda metrics: metrics.refused(spans=3), {"receiver_refused_spans_total": 3}),
        (lambda metrics: metrics.sent(spans=3), {"exporter_sent_spans_total": 3}),
        (lambda metrics: metrics.send_failed(spans=3), {"exporter_send_failed_spans_total": 3}),
        (lambda metrics: metrics.fell_back(spans=3), {"fallback_spans_total": 3}),
        (
            lambda metrics: metrics.passed_as_is(Standing.CURRENT, spans=3),
            {'passed_spans_total{standing="current"}': 3},
        ),
        (
            lambda metrics: metrics.looked_up(hits=3, misses=1),
            {
                'embedded_texts_total{source="cache"}': 3,
                'embedded_texts_total{source="model"}': 1,
            },
        ),
        (
            lambda metrics: metrics.batch_embedded(texts=8, seconds=0.25),
            {
                "batch_size_count": 1,
                "batch_size_sum": 8,
                "inference_duration_seconds_count": 1,
                "inference_duration_seconds_sum": 0.25,
            },
        ),
        (lambda metrics: metrics.watch_queue(lambda: 7), {"queue_size": 7}),
        (lambda metrics: metrics.watch_workers(lambda: 7), {"workers": 7}),
        (lambda metrics: metrics.worker_restarted(), {"worker_restarts_total": 1}),
        (
            lambda metrics: metrics.telemetry_send_failed("metrics"),
            {'telemetry_send_failed_requests_total{signal="metrics"}': 1},
        ),
        (lambda metrics: metrics.watch_log(lambda: 7), {"dropped_log_lines_total": 7}),
        (
            lambda metrics: metrics.watch_known_spans(lambda: 7, lambda: 512),
            {"known_spans_total": 7, "known_spans_bytes": 512},
        ),
    ],
    ids=[
        *("accepted", "refused", "sent", "send failed", "fell back", "passed"),
        *("looked up", "batch", "queue", "workers", "restarts"),
        *("own telemetry", "log", "known spans"),
    ],
)
def test_each_fact_has_its_metric_and_no_other(
    record: Callable[[Metrics], None], recorded: dict[str, float]
) -> None:
    metrics = Metrics()

    record(metrics)

    assert values(metrics) == recorded


def test_nothing_is_recorded_before_it_happens() -> None:
    assert values(Metrics()) == {}


def test_counts_add_up() -> None:
    metrics = Metrics()

    metrics.accepted(spans=3)
    metrics.accepted(spans=4)

    assert values(metrics) == {"receiver_accepted_spans_total": 7}


def test_a_queue_is_asked_for_its_size_at_each_scrape() -> None:
    queue = [1, 2]
    metrics = Metrics()
    metrics.watch_queue(queue.__len__)
    before = values(metrics)

    queue.append(3)

    assert (before, values(metrics)) == ({"queue_size": 2}, {"queue_size": 3})


def test_one_sidecar_does_not_count_anothers_spans() -> None:
    one, other = Metrics(), Metrics()

    one.accepted(spans=3)

    assert values(other) == {}


def test_metrics_can_be_scraped_while_they_are_served() -> None:
    metrics = Metrics()
    metrics.sent(spans=3)
    address = f"127.0.0.1:{free_port()}"

    with serving_metrics(address, metrics.registry):
        scraped = scrape(address)

    assert b"otel_embedder_exporter_sent_spans_total 3.0" in scraped
    with pytest.raises(OSError, match="refused"):
        scrape(address)


def test_metrics_need_not_be_served() -> None:
    with serving_metrics("", Metrics().registry):
        pass


def test_metrics_are_not_served_where_somebody_listens_already() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        with (
            pytest.raises(ListenError, match=f"metrics_listen: cannot listen on {address}: "),
            serving_metrics(address, Metrics().registry),
        ):
            pass


def test_metrics_may_be_served_on_a_name() -> None:
    with serving_metrics("localhost:0", Metrics().registry):
        pass


def test_a_json_line_holds_the_event_and_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "info")

    structlog.get_logger().warning("model.loaded", seconds=0.5)

    captured = capsys.readouterr()
    line = json.loads(captured.err)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    assert line == {"event": "model.loaded", "level": "warning", "seconds": 0.5}
    assert captured.out == ""


def test_a_console_line_holds_the_event_and_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("console", "info")

    structlog.get_logger().warning("model.loaded", seconds=0.5)

    captured = capsys.readouterr()
    assert re.search(r"\[warning +\] model\.loaded +seconds=0\.5$", captured.err)
    assert "\x1b" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_nothing_below_the_level_is_said(
    level: LogLevel, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("json", level)
    log = structlog.get_logger()

    for say in (log.debug, log.info, log.warning, log.error):
        say("event")

    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["level"] for line in lines] == said


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_exception_is_logged_with_its_place_and_without_what_it_says(
    log_format: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    # Messages and variables hold spans and headers, and so secrets.
    configure_logs(log_format, "info")

    log_a_failure(SECRET)

    logged = capsys.readouterr().err
    assert "KeyError" in logged
    assert "ValueError" in logged
    assert "test_metrics.py" in logged
    assert SECRET not in logged


def log_a_failure(header: str) -> None:
    try:
        fail(header)
    except ValueError:
        structlog.get_logger().exception("request.failed", spans=1)


def fail(header: str) -> None:
    headers: dict[str, str] = {}
    try:
        headers[header]
    except KeyError as error:
        raise ValueError(f"no header {header}") from error


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def scrape(address: str) -> bytes:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        return bytes(answer.read())
