"""Requests of odd shapes hold nobody up; and the judge of that notices what does."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, takewhile
from math import inf
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.stalls.grammar import ROOMS, drawn
from tests.stalls.known import KNOWN
from tests.stalls.limits import Limits, is_worth_comparing, promised_bytes
from tests.stalls.search import Searcher, shapes
from tests.stalls.tree import MEBIBYTE
from tests.stalls.watched import Cost
from tests.support.tiny_model import tiny_model_flags

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

# A machine that runs tests has much else to do; what stalls is worse than that by far, and is found
# twice. One wait in a thousand is the machine's alone.
BUSY = replace(
    Limits().times(20),
    memory_factor=1.5,
    answer_seconds=20,
    growth=10,
    usual_health_seconds=inf,
)
SECONDS = 20
LARGEST = 4 * MEBIBYTE
SEED = 1

RESTING = 100_000_000
CHEAP = Cost(
    shape=KNOWN[0],
    wire_bytes=MEBIBYTE,
    size=MEBIBYTE,
    status="OK",
    seconds=1.0,
    cpu_seconds=1.0,
    health_seconds=0.01,
    span_seconds=0.1,
    span_statuses=frozenset({"OK"}),
    peak_bytes=RESTING,
    bytes_out=MEBIBYTE,
)


@pytest.mark.integration
def test_no_odd_request_holds_up_those_beside_it(tmp_path: Path) -> None:
    searcher = Searcher(BUSY, tiny_model_flags(tmp_path / "model"))

    tried = chain(KNOWN, shapes(SECONDS, SEED, max_bytes=LARGEST))
    until_found = takewhile(lambda _: not searcher.result.findings, tried)

    found = searcher.search(until_found, lambda *_: None)

    assert found.findings == []
    assert len(found.costs) > len(KNOWN)


def test_a_request_that_costs_little_is_no_finding() -> None:
    assert [*Limits().findings(CHEAP, RESTING)] == []


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (replace(CHEAP, health_seconds=0.2), "a health check waited 0.20 s"),
        (replace(CHEAP, span_seconds=1.5), "a request of one span waited 1.5 s"),
        (replace(CHEAP, status="UNKNOWN"), "it was answered UNKNOWN"),
        (replace(CHEAP, status="DEADLINE_EXCEEDED", seconds=60), "no answer in 60 s"),
        (
            replace(CHEAP, span_statuses=frozenset({"OK", "INTERNAL"})),
            "a request of one span was answered INTERNAL",
        ),
        (
            replace(CHEAP, peak_bytes=RESTING + 500_000_000),
            "memory grew by 500 MB, for 1.0 MB",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_costs_more_than_it_may_is_a_finding(cost: Cost, words: str) -> None:
    assert [*Limits().findings(cost, RESTING)] == [words]


def test_refusals_for_a_while_and_for_good_are_no_findings() -> None:
    refused = replace(CHEAP, status="RESOURCE_EXHAUSTED", span_statuses=frozenset({"UNAVAILABLE"}))

    assert [*Limits().findings(refused, RESTING)] == []


def test_memory_may_grow_with_what_is_sent() -> None:
    assert promised_bytes(replace(CHEAP, size=10, wire_bytes=10), 1) < promised_bytes(CHEAP, 1)


def test_what_grows_faster_than_its_bytes_is_a_finding() -> None:
    small = replace(CHEAP, size=MEBIBYTE // 4, cpu_seconds=0.25)
    quadratic = replace(small, cpu_seconds=0.0625)

    assert [*Limits().growth_finding(CHEAP, small)] == []
    assert [*Limits().growth_finding(CHEAP, quadratic)] == [
        "a byte costs 4.0 x as much for 1.0 MB than for 0.3 MB"
    ]


def test_what_costs_more_from_some_size_on_is_no_finding() -> None:
    small = replace(CHEAP, size=MEBIBYTE // 4, cpu_seconds=0.0625)
    step = replace(CHEAP, size=MEBIBYTE // 2, cpu_seconds=0.5)
    quadratic = replace(step, cpu_seconds=0.25)

    assert [*Limits().growth_finding(CHEAP, step, small)] == []
    assert len([*Limits().growth_finding(CHEAP, quadratic, small)]) == 1


def test_two_requests_of_one_size_say_nothing_of_growth() -> None:
    assert [*Limits().growth_finding(CHEAP, replace(CHEAP, cpu_seconds=0.1))] == []


def test_only_what_takes_long_is_worth_a_comparison() -> None:
    assert is_worth_comparing(CHEAP)
    assert not is_worth_comparing(replace(CHEAP, cpu_seconds=0.1))


def test_a_seed_gives_the_same_request_every_time() -> None:
    first, again = (drawn(SEED, max_bytes=LARGEST) for _ in range(2))

    assert (first, first.encoded()) == (again, again.encoded())


def test_seeds_give_different_requests_within_their_room() -> None:
    drawn_shapes = [drawn(number, max_bytes=LARGEST) for number in range(20)]

    assert len({str(shape) for shape in drawn_shapes}) > 15
    for shape in drawn_shapes:
        assert shape.room in ROOMS
        assert len(shape.encoded()) <= shape.room <= LARGEST


@pytest.mark.parametrize("shape", KNOWN, ids=lambda shape: shape.name)
def test_a_known_shape_fills_a_good_part_of_its_room(shape: object) -> None:
    assert isinstance(shape, type(KNOWN[0]))

    assert shape.room / 8 < len(shape.encoded()) <= shape.room


def test_shapes_are_requests_with_all_that_they_say() -> None:
    counted: dict[str, Callable[[ExportTraceServiceRequest], int]] = {
        "long values": lambda request: len(_spans(request)[0].attributes),
        "a wide event": lambda request: len(_spans(request)[0].events[0].attributes),
        "empty resources": lambda request: len(request.resource_spans),
        "small spans": lambda request: len(_spans(request)),
    }
    found = {
        shape.name: counted[shape.name](ExportTraceServiceRequest.FromString(shape.encoded()))
        for shape in KNOWN
        if shape.name in counted
    }

    assert found["long values"] == 1_024
    assert all(count > 50_000 for name, count in found.items() if name != "long values")


def _spans(request: ExportTraceServiceRequest) -> Sequence[Span]:
    return request.resource_spans[0].scope_spans[0].spans


def test_known_shapes_are_tried_first_and_a_seed_alone() -> None:
    all_of_them = [*shapes(0, None, max_bytes=LARGEST)]

    assert [shape.name for shape in all_of_them[: len(KNOWN)]] == [shape.name for shape in KNOWN]
    assert [shape.name for shape in shapes(0, SEED, max_bytes=LARGEST)] == [str(SEED)]
