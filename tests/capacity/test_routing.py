from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.capacity.routing import (
    SERVICES,
    Sample,
    at_random,
    by_service,
    by_trace,
    simulated,
    table,
    traffic,
)
from tests.support.processes import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module", name="samples")
def _samples() -> list[Sample]:
    return [*traffic(20_000)]


def test_by_service_four_hit_as_often_as_one_with_all_their_memory(samples: list[Sample]) -> None:
    one = simulated(samples, by_service, replicas=1, max_texts=2_000)
    four = simulated(samples, by_service, replicas=4, max_texts=500)

    assert four.hit_rate == pytest.approx(one.hit_rate, abs=0.02)


@pytest.mark.parametrize("route", [by_trace, at_random])
def test_otherwise_each_learns_the_same_texts(
    samples: list[Sample], route: Callable[[Sample, int], int]
) -> None:
    chosen = simulated(samples, by_service, replicas=4, max_texts=500)
    other = simulated(samples, route, replicas=4, max_texts=500)

    assert other.hit_rate < chosen.hit_rate - 0.1
    assert other.embedded > 2 * chosen.embedded
    assert other.busiest < chosen.busiest


def test_a_service_and_a_trace_go_to_one_replica_each(samples: list[Sample]) -> None:
    of_services, of_traces = defaultdict(set), defaultdict(set)
    for sample in samples:
        of_services[sample.service].add(by_service(sample, 4))
        of_traces[sample.trace].add(by_trace(sample, 4))

    assert len(of_services) == SERVICES
    assert {len(replicas) for replicas in (*of_services.values(), *of_traces.values())} == {1}


def test_the_document_has_the_table() -> None:
    assert table() in (REPOSITORY / "docs" / "scale.md").read_text(encoding="utf-8")
