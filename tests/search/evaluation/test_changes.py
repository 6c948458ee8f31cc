from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.annotation.annotator import annotator
from otel_embedder.otlp.spans import span_ids
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.evaluation.changes import (
    ALARMS,
    FALSE_ALARMS,
    HOUR_BEFORE,
    OF_THE_DAY,
    ROW,
    SERVICE_NAMED,
    THREE_BEFORE,
    judge_changes,
)
from otel_embedder.search.evaluation.incidents import IncidentReader
from otel_embedder.search.evaluation.labels import IN_CALLERS, Window
from otel_embedder.search.evaluation.labels import Fault as Injected
from otel_embedder.settings import load_settings
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.made_up import NOON, SECONDS
from tests.support.traffic import BANK, CART, WELL, Fault, traffic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_embedder.otlp.spans import SpanIds
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.search.evaluation.incidents import Incidents

SLOW = Fault(milliseconds=900)


def counted(windows: Mapping[int, tuple[Window, Fault]]) -> Incidents:
    """Count windows of a minute each, by the minute from noon at which they begin."""
    requests: list[TraceRequest] = []
    labels: dict[SpanIds, Window] = {}
    for minute, (window, fault) in windows.items():
        for made in traffic([minute], fault, seed=minute):
            request = parse_request(made.SerializeToString())
            requests.append(request)
            labels |= {
                span_ids(span.encoded): window
                for _, scope in request.scopes()
                for span in scope.spans
            }
    renderer = new_renderer(RenderOptions())
    attributes = annotator(load_settings({}), renderer.text_version)
    reader = IncidentReader(labels, renderer, attributes)
    unlabelled = parse_request(traffic([999])[0].SerializeToString())
    every = [*requests, unlabelled]
    assert [*reader.passing(every, now=NOON * SECONDS)] == every
    return reader.incidents(now=NOON * SECONDS)


def ordinary(*minutes: int, service: str = BANK) -> dict[int, tuple[Window, Fault]]:
    return {
        minute: (Window(Injected(f"{minute}", "cpu", service), is_faulty=False), WELL)
        for minute in minutes
    }


def faulty(
    minute: int, fault: Fault, *, service: str = BANK, type_: str = "cpu"
) -> dict[int, tuple[Window, Fault]]:
    return {minute: (Window(Injected(f"f{minute}", type_, service), is_faulty=True), fault)}


def values(incidents: Incidents) -> dict[str, dict[str, float]]:
    return {measure.name: measure.values for measure in judge_changes("shop", incidents)}


def test_windows_are_counted_each_by_itself() -> None:
    incidents = counted({**ordinary(3, 1), **faulty(5, SLOW)})

    assert [(each.start - NOON) // 60 for each in incidents.windows] == [1, 3, 5]
    assert [each.counts.roots for each in incidents.windows] == [20, 20, 20]
    assert BANK in incidents.services.values()


def test_a_fault_that_is_named_first_counts_and_one_of_another_service_does_not() -> None:
    found = values(
        counted({**ordinary(*range(6)), **faulty(10, SLOW), **faulty(20, SLOW, service=CART)})
    )

    assert found[f"{SERVICE_NAMED}, first"][OF_THE_DAY] == 0.5
    assert found[f"{ROW}, first"][THREE_BEFORE] == 0.5
    assert found[ALARMS][HOUR_BEFORE] == 1.0
    assert found[FALSE_ALARMS] == {OF_THE_DAY: 0.0, THREE_BEFORE: 0.0, HOUR_BEFORE: 0.0}


def test_a_delayed_network_shows_in_a_row_that_calls() -> None:
    delayed = Fault(network=500)
    found = values(
        counted(
            {
                **ordinary(*range(6)),
                **faulty(10, delayed, type_=IN_CALLERS),
                **faulty(20, delayed, type_="cpu"),
            }
        )
    )

    assert found[f"{ROW}, first"][OF_THE_DAY] == 0.5
    assert found[f"{SERVICE_NAMED}, first"][OF_THE_DAY] == 1.0


def test_what_has_nothing_to_be_compared_with_is_not_found() -> None:
    found = values(counted({**faulty(0, SLOW), **ordinary(5)}))

    assert found[f"{SERVICE_NAMED}, in five"] == {
        OF_THE_DAY: 1.0,
        THREE_BEFORE: 0.0,
        HOUR_BEFORE: 0.0,
    }
