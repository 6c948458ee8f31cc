"""A Collector that keeps the first trace of each kind, by the file that users are given."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.otlp_samples import request, span
from tests.support.peers import spans_in
from tests.support.processes import (
    CONFIGURATIONS,
    Sink,
    free_address,
    running_collector,
    running_sidecar,
    send,
)

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

pytestmark = [pytest.mark.collector, pytest.mark.integration]

FINE, FAILED = Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR


def traces() -> list[bytes]:
    """Give a request a trace, each of two spans: five alike, one more, and two that fail alike."""
    kinds = [("ship", FINE), *[("pay", FINE)] * 5, *[("pay", FAILED)] * 2]
    return [
        request(*trace(number.to_bytes(16), name, code)).SerializeToString()
        for number, (name, code) in enumerate(kinds, 1)
    ]


def trace(trace_id: bytes, name: str, code: Status.StatusCode.ValueType) -> list[Span]:
    root = span(f"{name} order", code=code, trace_id=trace_id)
    child = span("look up", trace_id=trace_id)
    child.parent_span_id, child.span_id = root.span_id, b"children"
    return [root, child]


def test_of_many_traces_the_first_of_each_kind_goes_on_with_its_vector(
    tmp_path: Path, model_cache: Path
) -> None:
    listen, embedded = free_address(), free_address()
    settings = ["--model-cache", str(model_cache), "--attach", "new", "--embed-timeout", "10"]
    with Sink() as sink:
        environment = {
            "OTELCOL_SIDECAR_ENDPOINT": listen,
            "OTELCOL_EMBEDDED_ENDPOINT": embedded,
            "OTELCOL_BACKEND_ENDPOINT": sink.address,
            "OTELCOL_STORAGE_DIRECTORY": str(tmp_path / "spans"),
            "OTELCOL_DECISION_WAIT": "1s",
            "OTELCOL_SAMPLED": "0",
        }
        with (
            running_sidecar(embedded, listen=listen, settings=settings) as sidecar,
            running_collector(
                CONFIGURATIONS / "sidecar.yaml",
                environment,
                more=[CONFIGURATIONS / "sampling.yaml"],
            ) as collector,
        ):
            sidecar.wait_for_model()
            sent = traces()
            send(collector.address, sent)
            sink.wait_for_all([*sent[:2], *sent[6:]])
            first = {each.trace_id for each in came(sink) if is_first_seen(each)}

    spans = came(sink)
    kept = {each.trace_id for each in spans}
    payments = Counter(each.name for each in spans if each.status.code != FAILED)["pay order"]
    assert first <= kept
    assert payments == 1
    assert len(kept) == 4
    with_vector = filter(has_vector, spans)
    assert {*map(text_id, spans)} == {*map(text_id, with_vector)}


def came(sink: Sink) -> list[Span]:
    return [
        each
        for encoded in sink.requests
        for each in spans_in(ExportTraceServiceRequest.FromString(encoded))
    ]


def is_first_seen(one: Span) -> bool:
    return any(
        pair.key == "embedding.first_seen" and pair.value.bool_value for pair in one.attributes
    )


def has_vector(one: Span) -> bool:
    return any(pair.key == "embedding.vector" for pair in one.attributes)


def text_id(one: Span) -> str:
    [found] = (
        pair.value.string_value for pair in one.attributes if pair.key == "embedding.text_id"
    )
    return found
