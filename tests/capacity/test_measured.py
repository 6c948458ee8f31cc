"""Several sidecars behind a real Collector: `make test-gateway`, as root."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.capacity.measured import Case, in_words, measured, requests
from tests.capacity.routing import traffic
from tests.support.comparison import spans_in
from tests.support.processes import free_address
from tests.support.tiny_model import tiny_model_flags

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.capacity.measured import Measured

SPANS = 2_000
# More than there are: what differs is the way alone.
MAX_TEXTS = 2_000


@pytest.fixture(name="came", scope="module")
def _came(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Measured]:
    settings = tiny_model_flags(tmp_path_factory.mktemp("models"))
    port = free_address().rpartition(":")[2]

    def came(way: str, replicas: int) -> Measured:
        return measured(Case(way, way, replicas, MAX_TEXTS), SPANS, settings=settings, port=port)

    return came


@pytest.mark.gateway
@pytest.mark.timeout(600)
def test_by_service_four_know_what_one_would_and_in_turn_each_learns_it(
    came: Callable[[str, int], Measured],
) -> None:
    one, by_service = came("service", 1), came("service", 4)
    by_trace, in_turn = came("trace", 4), came("turn", 4)

    assert one.embedded >= len({sample.text for sample in traffic(SPANS)})
    assert by_service.hit_rate == pytest.approx(one.hit_rate, abs=0.02)
    assert by_trace.hit_rate < by_service.hit_rate - 0.1
    assert in_turn.hit_rate < by_service.hit_rate - 0.1
    assert max(by_trace.busiest, in_turn.busiest) < by_service.busiest < one.busiest


def test_the_traffic_is_the_simulations_in_words() -> None:
    sent = [*requests(SPANS)]
    texts = {sample.text for sample in traffic(SPANS)}

    assert sum(spans_in(sent).values()) == SPANS
    assert len({in_words(text) for text in texts}) == len(texts)
    assert not any(letter.isdigit() for text in texts for letter in in_words(text))


def test_a_word_is_one_numbers_alone() -> None:
    assert in_words("service 7 new 123456").split()[0::2] == ["service", "new"]
    assert len({in_words(str(number)) for number in range(10_000)}) == 10_000
