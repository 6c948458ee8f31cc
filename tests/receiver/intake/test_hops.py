from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from structlog.testing import capture_logs

from otel_embedder.errors import LoopError
from otel_embedder.receiver.intake.hops import HOPS_KEY, LOOP_DETECTED, Hops
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.otlp_samples import request, span
from tests.support.peers import retry_after
from tests.support.processes import free_address

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)


def test_a_request_names_the_sidecars_that_it_has_passed() -> None:
    first, second = Hops(), Hops()
    once = first.with_own((("tenant", "shop"),))
    twice = second.with_own(once)

    assert once[0] == twice[0] == ("tenant", "shop")
    assert [key for key, _ in twice] == ["tenant", HOPS_KEY]
    assert str(twice[1][1]).split(",")[0] == once[1][1]


def test_a_request_that_comes_back_is_refused_and_the_log_says_so_once() -> None:
    first, second = Hops(), Hops()
    metadata = second.with_own(first.with_own(()))
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(LoopError, match="let next_hop lead to"):
                first.with_own(metadata)

    assert [(line["event"], line["sidecars"]) for line in logs] == [(LOOP_DETECTED, 2)]


@pytest.mark.parametrize("strange", ["", ",", "x" * 1_000, b"\xff"])
def test_a_header_of_somebody_else_is_no_loop(strange: str | bytes) -> None:
    [(key, value)] = Hops().with_own(((HOPS_KEY, strange),))

    assert (key, isinstance(value, str)) == (HOPS_KEY, True)


async def test_two_sidecars_that_are_each_others_next_hop_let_nothing_go_round(
    tiny_bert: Path,
) -> None:
    first, second = free_address(), free_address()
    model = tiny_model(tiny_bert)
    async with (
        sidecar_in_process(f"http://{second}", listen=first, **model) as one,
        sidecar_in_process(f"http://{first}", listen=second, **model) as other,
    ):
        with capture_logs() as logs:
            refusals = [await one.client.refusal(request(span())) for _ in range(2)]

    assert [refusal.code() for refusal in refusals] == [grpc.StatusCode.UNAVAILABLE] * 2
    assert [retry_after(refusal) for refusal in refusals] == [30, 30]
    assert [line["event"] for line in logs].count(LOOP_DETECTED) == 1
    assert one.metrics.value("exporter_sent_spans_total") == 0
    assert other.metrics.value("passed_spans_total", standing="current") == 2
