"""Metrics of which each has been recorded, with each of its labels."""

from __future__ import annotations

from otel_embedder.telemetry.metrics import Metrics


def recorded_metrics() -> Metrics:
    """Give a recorder that was told of everything once, and of some things more often."""
    metrics = Metrics()
    for count in (
        *(metrics.accepted, metrics.refused, metrics.cancelled, metrics.sent, metrics.sent_bare),
        *(metrics.send_retried, metrics.send_skipped, metrics.send_failed, metrics.came_back),
        metrics.fell_back,
    ):
        count(spans=7)
    metrics.caller_left()
    metrics.turned_away()
    metrics.passed_through("logs")
    metrics.passed_as_is("current", spans=3)
    metrics.passed_as_is("foreign", spans=2)
    metrics.left_bare("memory", spans=4)
    metrics.looked_up(hits=5, misses=6)
    metrics.warmed(texts=9)
    for seconds in (0.001, 0.02, 3.0, 60.0):
        metrics.left_queue(seconds=seconds)
        metrics.batch_embedded(texts=8, seconds=seconds)
        metrics.answered("http", seconds=seconds)
        metrics.answered("mcp", seconds=seconds)
        metrics.catalogue_written(spans=10, seconds=seconds)
    metrics.catalogue_dropped("queue", spans=1)
    metrics.error_group_came("payment")
    metrics.asked("http", "answered")
    metrics.telemetry_send_failed("traces")
    metrics.worker_restarted()
    metrics.watch_workers(lambda: 16)
    metrics.watch_send_limit(lambda: 4_190_208)
    metrics.watch_log(lambda: 11)
    metrics.watch_known_spans(lambda: 12, lambda: 512)
    metrics.watch_first_seen(lambda: 13, lambda: 1_024)
    metrics.watch_queue(lambda: 14)
    metrics.watch_in_flight(lambda: 15, lambda: 2_048)
    return metrics
