from __future__ import annotations

import asyncio
import math
import time
import urllib.request
from collections import Counter
from itertools import islice, product
from typing import TYPE_CHECKING

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder.pipeline.budget import (
    FIRST_SHARE,
    MAX_ATTACHING_SECONDS,
    MIN_SECONDS,
    WORK_SHARE,
    Budget,
)
from tests.support.busy import on_this_machine
from tests.support.generated import WORDS
from tests.support.otlp_samples import request, span
from tests.support.peers import spans_in
from tests.support.processes import EXPORT_METHOD, Sink, free_address, running_sidecar, span_ids

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

SIZE = 1_000
LARGER = 1_000_000


def free(budget: Budget, remaining: float, size: int = SIZE) -> float:
    """Give the seconds for work, of those that remain."""
    now = time.monotonic()
    return budget.end(now + remaining, size) - now


def teach(budget: Budget, *seconds: float, size: int = SIZE) -> None:
    for taken in seconds:
        with budget.learning(size, since=time.monotonic() - taken):
            pass


def teach_failure(budget: Budget, seconds: float, error: BaseException) -> None:
    with (
        pytest.raises(type(error)),
        budget.learning(SIZE, since=time.monotonic() - seconds),
    ):
        raise error


def about(seconds: float) -> object:
    return pytest.approx(seconds, abs=0.05)


def test_before_anything_was_sent_a_share_of_the_time_is_for_sending() -> None:
    assert free(Budget(max_seconds=10, clock=time.monotonic), 4) == about(4 * (1 - FIRST_SHARE))


@pytest.mark.parametrize("remaining", [math.inf, 3_600])
def test_no_request_is_worked_on_for_longer_than_is_allowed(remaining: float) -> None:
    budget = Budget(max_seconds=3, clock=time.monotonic)
    before = free(budget, remaining)
    teach(budget, 0.2)

    assert (before, free(budget, remaining)) == (about(3), about(3))


@pytest.mark.parametrize("remaining", [0, -1])
def test_where_no_time_is_left_none_is_given(remaining: float) -> None:
    budget = Budget(max_seconds=3, clock=time.monotonic)
    before = free(budget, remaining)
    teach(budget, 0.2)

    assert (before, free(budget, remaining)) == (about(0), about(0))


def test_what_always_takes_the_same_time_is_known_exactly_in_the_end() -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    teach(budget, *[0.5] * 30)

    assert free(budget, 5) == about(4.5)


def test_a_quick_next_hop_leaves_nearly_all_of_the_time() -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    teach(budget, *[0.001] * 30)

    assert free(budget, 5) == about(5 - MIN_SECONDS)


def test_what_varies_is_given_more_than_its_mean() -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    teach(budget, *[0.2, 0.6] * 20)

    assert free(budget, 5) < 5 - 0.6


def test_a_timeout_teaches_at_once_that_it_takes_longer() -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    teach(budget, *[0.01] * 30)
    teach_failure(budget, 5, TimeoutError())

    assert free(budget, 5) == about(5 * WORK_SHARE)


def test_a_caller_that_left_was_a_timeout_too() -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    teach_failure(budget, 5, asyncio.CancelledError())

    assert free(budget, 5) == about(5 * WORK_SHARE)


def test_a_next_hop_slower_than_all_deadlines_leaves_what_known_texts_need() -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    for _ in range(100):
        teach_failure(budget, 5, TimeoutError())

    assert free(budget, 5) == about(5 * WORK_SHARE)
    assert 5 < free(budget, 15) <= 10


def test_a_next_hop_that_is_quick_again_gives_the_time_back() -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    for _ in range(10):
        teach_failure(budget, 5, TimeoutError())
    teach(budget, *[0.01] * 12)

    assert free(budget, 5) > 4


@pytest.mark.parametrize("before", [(), (0.5,) * 30], ids=["unknown", "known"])
def test_a_refusal_at_once_does_not_teach_that_sending_is_quick(
    before: tuple[float, ...],
) -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    teach(budget, *before)
    expected = free(budget, 5)
    for _ in range(30):
        teach_failure(budget, 0.001, ConnectionError())

    assert free(budget, 5) == about(expected)


def test_what_was_left_out_is_learned_as_if_it_had_been_sent() -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    for _ in range(30):
        with budget.learning(SIZE, since=time.monotonic() - 0.5) as lesson:
            lesson.share = 0.25

    assert free(budget, 5) == about(3)


@pytest.mark.parametrize(
    ("end", "deadline", "attaching_end"),
    [(10, 14, 11), (10, 100, 10 + MAX_ATTACHING_SECONDS), (10, 9, 10)],
)
def test_attaching_ends_before_most_of_the_time_for_sending_is_gone(
    end: float, deadline: float, attaching_end: float
) -> None:
    assert Budget(max_seconds=3, clock=time.monotonic).attaching_end(end, deadline) == attaching_end


def test_attaching_has_an_end_even_if_the_caller_waits_for_ever() -> None:
    budget = Budget(max_seconds=3, clock=time.monotonic)

    assert budget.attaching_end(10, math.inf) == 10 + MAX_ATTACHING_SECONDS


def test_sizes_are_told_apart() -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    teach(budget, *[0.01] * 30)
    teach(budget, *[1.0] * 30, size=LARGER)

    assert free(budget, 5) == about(5 - MIN_SECONDS)
    assert free(budget, 5, LARGER) == about(4)


def test_what_a_larger_request_took_is_enough_for_a_smaller_one() -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    teach(budget, *[1.0] * 30, size=LARGER)

    assert free(budget, 5) == about(4)


def test_what_a_smaller_request_took_says_nothing_of_a_larger_one() -> None:
    budget = Budget(max_seconds=10, clock=time.monotonic)
    teach(budget, *[0.01] * 30)

    assert free(budget, 5, LARGER) == about(5 * (1 - FIRST_SHARE))


# As large as a Collector's batch processor makes a request by default, and of texts that no cache
# has. Words, since numbers are masked.
SPANS = 8_192
SPANS_A_TRACE = 8
# As a Collector waits by default.
DEADLINE_SECONDS = 5.0


def never_seen_spans() -> ExportTraceServiceRequest:
    names = islice(product(WORDS, repeat=4), SPANS)
    return request(
        *(
            span(" ".join(name), trace_id=(number // SPANS_A_TRACE).to_bytes(16))
            for number, name in enumerate(names)
        )
    )


def sources(sink: Sink) -> Counter[str]:
    """Count the spans that have arrived by where their vectors are from."""
    return Counter(
        pair.value.string_value
        for encoded in sink.requests
        for one in spans_in(ExportTraceServiceRequest.FromString(encoded))
        for pair in one.attributes
        if pair.key == "embedding.source"
    )


def send_once(address: str, encoded: bytes, *, deadline: float) -> None:
    """Send a request; raise if it isn't answered in time."""
    with grpc.insecure_channel(address) as channel:
        export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        export(encoded, timeout=deadline)


def metric(address: str, name: str) -> float:
    return next(number for words, number in all_metrics(address) if words == name)


def total(address: str, name: str) -> float:
    """Give a metric over all of its labels."""
    return sum(number for words, number in all_metrics(address) if words.startswith(f"{name}{{"))


def all_metrics(address: str) -> list[tuple[str, float]]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=DEADLINE_SECONDS) as page:
        lines = page.read().decode().splitlines()
    pairs = (line.rsplit(maxsplit=1) for line in lines if not line.startswith("#"))
    return [(words, float(number)) for words, number in pairs]


def wait_for_empty_queue(address: str) -> None:
    while metric(address, "otel_embedder_queue_size"):
        time.sleep(0.2)


@pytest.mark.integration
def test_8192_spans_never_seen_before_are_answered_in_time_and_known_the_next_time(
    model_cache: Path,
) -> None:
    metrics = free_address()
    encoded = never_seen_spans().SerializeToString()
    settings = ("--model-cache", str(model_cache), "--metrics-listen", metrics)
    with (
        Sink() as sink,
        running_sidecar(
            sink.address,
            settings=[*settings, "--cache-size", "10000"],
            # To measure which lines run makes them three times as slow.
            environment={"COVERAGE_PROCESS_CONFIG": ""},
        ) as sidecar,
    ):
        sidecar.wait_for_model()
        send_once(sidecar.address, encoded, deadline=on_this_machine(DEADLINE_SECONDS))
        first, arrived = sources(sink), span_ids(sink.requests)
        stand_ins = metric(metrics, "otel_embedder_fallback_spans_total")
        # For which there was no time left, as on a machine with much else to do.
        bare = total(metrics, "otel_embedder_left_bare_spans_total")
        wait_for_empty_queue(metrics)
        sink.requests.clear()
        # What is known needs little of it, but on a machine with much else to do.
        send_once(sidecar.address, encoded, deadline=12 * DEADLINE_SECONDS)
        second = sources(sink)

    assert arrived == span_ids([encoded])
    assert first.total() + bare == SPANS
    assert first["fallback"] == stand_ins - bare > 0
    # What was left bare was not asked for.
    assert second["model"] >= SPANS - bare
