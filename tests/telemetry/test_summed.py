from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from otel_embedder.telemetry.metrics import Metrics
from otel_embedder.telemetry.summed import SummedMetrics, told


@pytest.fixture
def summed() -> SummedMetrics:
    return SummedMetrics(Metrics())


def value(summed: SummedMetrics, name: str, **labels: str) -> float | None:
    return summed.registry.get_sample_value(f"otel_embedder_{name}", labels)


def process(*, sent: int = 0, cached: int = 0, queue: int = 0, limit: int = 0) -> Metrics:
    metrics = Metrics()
    metrics.sent(spans=sent)
    metrics.looked_up(hits=cached, misses=0)
    metrics.watch_queue(lambda: queue)
    metrics.watch_send_limit(lambda: limit)
    return metrics


def test_what_processes_count_is_added_up(summed: SummedMetrics) -> None:
    summed.hear(0, told(process(sent=3, cached=1, queue=4)))
    summed.hear(1, told(process(sent=5, cached=2, queue=7)))

    assert value(summed, "exporter_sent_spans_total") == 8
    assert value(summed, "embedded_texts_total", source="cache") == 3
    assert value(summed, "queue_size") == 11


def test_what_one_tells_takes_the_place_of_what_it_told_before(summed: SummedMetrics) -> None:
    for sent in (3, 4):
        summed.hear(0, told(process(sent=sent)))

    assert value(summed, "exporter_sent_spans_total") == 4


def test_who_ends_leaves_what_it_counted_and_nothing_else(summed: SummedMetrics) -> None:
    ending = process(sent=3, queue=4)
    ending.left_queue(seconds=0.3)
    summed.hear(0, told(ending))
    summed.leave(0)
    summed.hear(0, told(process(sent=1)))
    summed.leave(0)

    assert value(summed, "exporter_sent_spans_total") == 4
    assert value(summed, "queue_duration_seconds_count") == 1
    assert value(summed, "queue_duration_seconds_bucket", le="0.5") == 1
    assert value(summed, "queue_size") == 0


def test_who_told_nothing_may_leave(summed: SummedMetrics) -> None:
    summed.leave(0)

    assert value(summed, "exporter_sent_spans_total") == 0


def test_of_limits_and_of_beginnings_the_least_is_told(summed: SummedMetrics) -> None:
    first, second = process(limit=4_000), process(limit=3_000)
    for number, each in enumerate((first, second, process())):
        summed.hear(number, told(each))

    assert value(summed, "exporter_send_limit_bytes") == 3_000
    assert (value(summed, "exporter_sent_spans_created") or 0) <= first.value(
        "exporter_sent_spans_created"
    )


def test_what_a_scrape_gets_is_what_one_process_tells(summed: SummedMetrics) -> None:
    summed.hear(0, told(process(sent=3)))
    names = [line.split()[2:] for line in told(process()).splitlines() if line.startswith("# TYPE")]

    scraped = generate_latest(summed.registry).decode().splitlines()
    some = summed.registry.restricted_registry(["otel_embedder_queue_size"])

    assert [line.split()[2:] for line in scraped if line.startswith("# TYPE")] == names
    assert "otel_embedder_queue_size 0.0" in generate_latest(some).decode()
