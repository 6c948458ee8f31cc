from __future__ import annotations

import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.errors import UnreadableFileError
from otel_embedder.otlp_file import read_requests
from tests.otlp_samples import SPAN_ID, START, TRACE_ID, request, resource, span

# As the OTLP specification has it: ids in hex, 64-bit integers as text, other bytes in base64.
OTLP_JSON = {
    "resourceSpans": [
        {
            "resource": {
                "attributes": [
                    {"key": "service.name", "value": {"stringValue": "mahavishnu"}},
                ]
            },
            "scopeSpans": [
                {
                    "scope": {"name": "tests", "version": "1.0"},
                    "spans": [
                        {
                            "traceId": TRACE_ID.hex(),
                            "spanId": SPAN_ID.hex().upper(),
                            "parentSpanId": "",
                            "name": "pay",
                            "kind": 2,
                            "startTimeUnixNano": str(START),
                            "endTimeUnixNano": START + 10**6,
                            "attributes": [
                                {"key": "count", "value": {"intValue": "5"}},
                                {"key": "raw", "value": {"bytesValue": "AP8="}},
                            ],
                            "links": [{"traceId": TRACE_ID.hex(), "spanId": SPAN_ID.hex()}],
                            "status": {"code": 2, "message": "declined"},
                            "aFieldOfALaterVersion": {"a": 1},
                        }
                    ],
                }
            ],
        }
    ]
}
OTLP = request(
    Span(
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
        name="pay",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=START,
        end_time_unix_nano=START + 10**6,
        attributes=span(attributes={"count": 5, "raw": b"\x00\xff"}).attributes,
        links=[Span.Link(trace_id=TRACE_ID, span_id=SPAN_ID)],
        status=Status(code=Status.STATUS_CODE_ERROR, message="declined"),
    )
)
JSON_LINE = json.dumps(OTLP_JSON).encode() + b"\n"

ENCODED = OTLP.SerializeToString()


def read(content: bytes) -> list[ExportTraceServiceRequest]:
    encoded = read_requests(io.BufferedReader(io.BytesIO(content)))
    return [*map(ExportTraceServiceRequest.FromString, encoded)]


def with_lengths(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(4) + message for message in messages)


@pytest.mark.parametrize(
    ("content", "requests"),
    [
        (JSON_LINE, 1),
        (JSON_LINE.rstrip(), 1),
        (JSON_LINE * 3, 3),
        (JSON_LINE + b"\n  \r\n" + JSON_LINE, 2),
        (ENCODED, 1),
        (with_lengths(ENCODED), 1),
        (with_lengths(ENCODED, ENCODED), 2),
    ],
    ids=[
        *("a line", "no end of line", "lines", "empty lines"),
        *("protobuf", "with length", "with lengths"),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_form_is_read(content: bytes, requests: int, *, packed: bool) -> None:
    assert read(gzip.compress(content) if packed else content) == [OTLP] * requests


def test_gzip_may_be_appended_to() -> None:
    assert read(gzip.compress(JSON_LINE) + gzip.compress(JSON_LINE)) == [OTLP, OTLP]


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")], ids=["plain", "gzip"])
def test_an_empty_file_holds_no_spans(content: bytes) -> None:
    assert [each for each in read(content) if each.resource_spans] == []


@settings(deadline=None)
@given(st.integers(0, 300))
def test_one_request_is_read_whatever_its_length(length: int) -> None:
    # Protobuf's first byte is a line feed, and the second a length: it may be a brace, too.
    official = ExportTraceServiceRequest()
    official.resource_spans.add(schema_url="x" * length)

    assert read(official.SerializeToString()) == [official]


def test_a_request_of_nothing_between_others_is_read() -> None:
    encoded = request(span()).SerializeToString()

    assert read(with_lengths(encoded, b"", encoded)) == [
        *(request(span()), ExportTraceServiceRequest(), request(span()))
    ]


def test_lines_of_other_signals_hold_no_spans() -> None:
    assert read(b'{"resourceLogs": []}\n' + JSON_LINE) == [ExportTraceServiceRequest(), OTLP]


def test_a_resource_alone_is_read() -> None:
    line = json.dumps(
        {"resourceSpans": [{"resource": OTLP_JSON["resourceSpans"][0]["resource"]}]}
    ).encode()

    assert [each.resource_spans[0].resource for each in read(line)] == [resource("mahavishnu")]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b'{"resourceSpans": 5}',
        b'{"resourceSpans": [5]}',
        b'{"resourceSpans": {"scopeSpans": []}}',
        b'{"resourceSpans": null}{}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [5]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 5}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 5}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\xff"}]}]}]}',
        b'{"resourceSpans": ' + b"[" * 100_000,
        b"[]",
        b"text",
    ],
    ids=range(13),
)
def test_a_line_that_is_not_otlp_is_named(line: bytes) -> None:
    with pytest.raises(UnreadableFileError, match="line 2 is not OTLP/JSON"):
        read(JSON_LINE + line)


@pytest.mark.parametrize("empty", [b"resourceSpans", b"scopeSpans", b"spans", b"links"])
def test_a_list_may_be_null(empty: bytes) -> None:
    # protobuf's JSON takes null for any field to be the field's absence.
    inner = {
        b"resourceSpans": b'{"resourceSpans": null}',
        b"scopeSpans": b'{"resourceSpans": [{"scopeSpans": null}]}',
        b"spans": b'{"resourceSpans": [{"scopeSpans": [{"spans": null}]}]}',
        b"links": b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"links": null}]}]}]}',
    }

    assert len(read(inner[empty])) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"not OTLP",
        b"\x0a\x05",
        with_lengths(ENCODED)[:-1],
        with_lengths(ENCODED) + b"\0\0",
        with_lengths(b"\x0a\x05"),
        gzip.compress(JSON_LINE)[:-9],
        gzip.compress(JSON_LINE)[:-4] + b"1234",
        b"\x1f\x8b not gzip",
        gzip.compress(JSON_LINE)[:20] + b"damaged" * 20,
    ],
    ids=[
        *("text", "not a request", "cut off", "length cut off", "length of no request"),
        *("gzip cut off", "gzip of wrong length", "no gzip", "gzip damaged"),
    ],
)
def test_a_file_of_something_else_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableFileError):
        read(content)


def test_what_comes_before_the_damage_is_read() -> None:
    requests = read_requests(io.BufferedReader(io.BytesIO(JSON_LINE + b"{")))

    assert ExportTraceServiceRequest.FromString(next(requests)) == OTLP
    with pytest.raises(UnreadableFileError):
        next(requests)
