from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from structlog.testing import capture_logs

from otel_embedder.otlp.names import EXPORT_METHOD, TRACE_SERVICE
from otel_embedder.otlp.tracing import MAX_BATCH, MAX_WAITING, SPANS_DROPPED, Tracing
from tests.support.peers import spans_in

CALLERS_TRACE, CALLERS_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = (("traceparent", f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"),)
NOT_SAMPLED = (("traceparent", f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-00"),)
OK, INVALID_ARGUMENT, UNAVAILABLE = 0, 3, 14


def tracing(*, ratio: float = 1.0) -> Tracing:
    return Tracing({"service.name": "s"}, ratio=ratio)


def taken(traces: Tracing) -> list[Span]:
    return spans_in(ExportTraceServiceRequest.FromString(traces.encoded()))


def test_a_request_is_a_span_with_one_for_each_stage() -> None:
    traces = tracing()

    trace = traces.begin(EXPORT_METHOD, ())
    trace.took(spans=3, own=0)
    with trace.stage("render"):
        pass
    with trace.stage("forward"):
        pass
    trace.ended(OK)

    render, forward, whole = taken(traces)
    assert [render.name, forward.name, whole.name] == [
        *("render", "forward"),
        f"{TRACE_SERVICE}/Export",
    ]
    assert {render.parent_span_id, forward.parent_span_id} == {whole.span_id}
    assert {render.trace_id, forward.trace_id} == {whole.trace_id}
    assert whole.start_time_unix_nano <= render.start_time_unix_nano
    assert render.end_time_unix_nano <= forward.start_time_unix_nano
    assert forward.end_time_unix_nano <= whole.end_time_unix_nano
    assert whole.kind == Span.SPAN_KIND_SERVER
    strings = {each.key: each.value.string_value for each in whole.attributes}
    numbers = {each.key: each.value.int_value for each in whole.attributes}
    assert strings["rpc.system"] == "grpc"
    assert strings["rpc.service"] == TRACE_SERVICE
    assert strings["rpc.method"] == "Export"
    assert numbers["rpc.grpc.status_code"] == OK
    assert numbers["otel_embedder.spans"] == 3


def test_a_request_belongs_to_its_callers_trace() -> None:
    traces = tracing(ratio=0)

    traces.begin(EXPORT_METHOD, SAMPLED).ended(OK)

    [whole] = taken(traces)
    assert whole.trace_id.hex() == CALLERS_TRACE
    assert whole.parent_span_id.hex() == CALLERS_SPAN


@pytest.mark.parametrize(("ratio", "headers"), [(1.0, NOT_SAMPLED), (0.0, ())])
def test_what_is_not_sampled_is_not_told(
    ratio: float, headers: tuple[tuple[str, str], ...]
) -> None:
    traces = tracing(ratio=ratio)

    trace = traces.begin(EXPORT_METHOD, headers)
    trace.took(spans=1, own=0)
    with trace.stage("render"):
        pass
    trace.ended(OK)

    assert traces.encoded() == b""


@pytest.mark.parametrize(
    "header", ["", "00", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "\x00ff", "9" * 10_000]
)
def test_a_header_that_is_none_begins_a_trace_of_its_own(header: str) -> None:
    traces = tracing()

    traces.begin(EXPORT_METHOD, (("traceparent", header), ("other-bin", b"\xff"))).ended(OK)

    [whole] = taken(traces)
    assert whole.parent_span_id == b""
    assert whole.trace_id != b""


@given(
    parent=st.text() | st.binary() | st.just(SAMPLED[0][1]),
    state=st.text() | st.binary() | st.from_regex(r"[a-z]{1,9}=[^,=]{0,9}(,[a-z@]{1,9}=.{0,9})*"),
)
def test_no_header_ends_a_call_here_or_at_the_next_hop(
    parent: str | bytes, state: str | bytes
) -> None:
    headers = (("traceparent", parent), ("tracestate", state))

    for _, text in tracing().begin(EXPORT_METHOD, headers).passed_on(headers):
        assert isinstance(text, str)
        assert text.isascii()
        assert text.isprintable()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (OK, Status.STATUS_CODE_UNSET),
        (INVALID_ARGUMENT, Status.STATUS_CODE_UNSET),
        (UNAVAILABLE, Status.STATUS_CODE_ERROR),
    ],
)
def test_a_span_is_an_error_where_the_server_is_at_fault(
    code: int, status: Status.StatusCode.ValueType
) -> None:
    traces = tracing()

    traces.begin(EXPORT_METHOD, ()).ended(code)

    [whole] = taken(traces)
    assert whole.status.code == status


def test_a_stage_that_fails_is_an_error_without_words() -> None:
    traces = tracing()
    trace = traces.begin(EXPORT_METHOD, ())

    with pytest.raises(ValueError, match="secret"), trace.stage("forward"):
        raise ValueError("secret")
    trace.ended(UNAVAILABLE)

    forward, _ = taken(traces)
    assert forward.status == Status(code=Status.STATUS_CODE_ERROR)
    assert not forward.events


def test_the_next_hops_spans_belong_to_the_stage_that_calls_it() -> None:
    traces = tracing()
    trace = traces.begin(EXPORT_METHOD, SAMPLED)
    with trace.stage("forward"):
        headers = dict(trace.passed_on((*SAMPLED, ("tenant", "a"))))
    trace.ended(OK)

    forward, _ = taken(traces)
    assert headers == {
        "tenant": "a",
        "traceparent": f"00-{CALLERS_TRACE}-{forward.span_id.hex()}-01",
    }


def test_of_requests_with_nothing_but_own_spans_nothing_is_told() -> None:
    traces = tracing()

    trace = traces.begin(EXPORT_METHOD, SAMPLED)
    trace.took(spans=5, own=5)
    with trace.stage("forward"):
        passed_on = trace.passed_on(SAMPLED)
    trace.ended(OK)
    traces.begin(EXPORT_METHOD, ()).ended(OK)

    assert len(taken(traces)) == 1
    assert passed_on == SAMPLED


def test_spans_that_nobody_takes_are_bounded() -> None:
    traces = tracing()
    with capture_logs() as logs:
        for _ in range(MAX_WAITING + 10):
            traces.begin(EXPORT_METHOD, ()).ended(OK)

    assert len(taken(traces)) == MAX_BATCH
    assert sum(len(taken(traces)) for _ in range(MAX_WAITING // MAX_BATCH - 1)) == (
        MAX_WAITING - MAX_BATCH
    )
    assert traces.encoded() == b""
    assert [line["event"] for line in logs] == [SPANS_DROPPED]
