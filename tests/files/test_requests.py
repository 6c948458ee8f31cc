from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.errors import CutOffFileError, UnreadableFileError
from otel_embedder.files.decompression import ZSTD_MAGIC
from otel_embedder.files.named_forms import Form
from otel_embedder.files.requests import RequestReader, open_contents
from tests.support.otlp_samples import SPAN_ID, START, TRACE_ID, request, resource, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    return [*requests_in(content)]


def requests_in(content: bytes) -> Iterator[ExportTraceServiceRequest]:
    """Give the requests of a file with this content."""
    reader = RequestReader()
    for stored in open_contents(io.BufferedReader(io.BytesIO(content))).requests:
        if stored.form is Form.JSON and not stored.content:
            continue  # what is left behind the last request
        yield ExportTraceServiceRequest.FromString(reader.read(stored).encode())


def with_lengths(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(4) + message for message in messages)


def zstd_frames(content: bytes) -> bytes:
    """Compress in many frames, without a size in their heads, as a flushed stream has it."""
    compressor = zstandard.ZstdCompressor(write_content_size=False)
    return b"".join(compressor.compress(bytes([byte])) for byte in content)


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "zstd frames": zstd_frames,
}


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
        (with_lengths(*[zstandard.compress(ENCODED)] * 2), 2),
        (with_lengths(*[zstandard.compress(JSON_LINE)] * 2), 2),
        (with_lengths(JSON_LINE, JSON_LINE), 2),
    ],
    ids=[
        *("a line", "no end of line", "lines", "empty lines"),
        *("protobuf", "with length", "with lengths"),
        *("with lengths, compressed", "JSON with lengths, compressed", "JSON with lengths"),
    ],
)
@pytest.mark.parametrize("packing", PACKINGS)
def test_every_form_is_read(content: bytes, requests: int, packing: str) -> None:
    assert read(PACKINGS[packing](content)) == [OTLP] * requests


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_what_is_compressed_may_be_appended_to(packing: str) -> None:
    assert read(PACKINGS[packing](JSON_LINE) * 2) == [OTLP, OTLP]


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
def test_an_empty_file_holds_no_requests(packing: str) -> None:
    assert read(PACKINGS[packing](b"")) == []


@settings(deadline=None)
@given(st.integers(0, 300))
def test_one_request_is_read_whatever_its_length(length: int) -> None:
    # Protobuf's first byte is a line feed, and the second a length: it may be a brace, too.
    official = ExportTraceServiceRequest()
    official.resource_spans.add(schema_url="x" * length)

    assert read(official.SerializeToString()) == [official]


def test_a_first_request_may_be_long() -> None:
    long = request(span(attributes={"a": "x" * 2**24}))

    assert read(with_lengths(long.SerializeToString(), ENCODED)) == [long, OTLP]


def test_a_request_of_nothing_between_others_is_read() -> None:
    encoded = request(span()).SerializeToString()

    assert read(with_lengths(encoded, b"", encoded)) == [
        *(request(span()), ExportTraceServiceRequest(), request(span()))
    ]


def test_json_behind_a_length_may_have_lines() -> None:
    indented = json.dumps(OTLP_JSON, indent=2).encode()
    contents = open_contents(io.BufferedReader(io.BytesIO(with_lengths(indented))))
    [stored] = contents.requests

    assert contents.form is Form.JSON
    assert b"\n" not in stored.content
    assert json.loads(stored.content) == OTLP_JSON


def test_an_object_of_nothing_is_a_request_without_spans() -> None:
    assert read(b"{}\n" + JSON_LINE) == [ExportTraceServiceRequest(), OTLP]


def test_a_resource_alone_is_read() -> None:
    line = json.dumps(
        {"resourceSpans": [{"resource": OTLP_JSON["resourceSpans"][0]["resource"]}]}
    ).encode()

    assert [each.resource_spans[0].resource for each in read(line)] == [resource("mahavishnu")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "Expecting value at character 2"),
        (b'{"resourceSpans": 5}', "resourceSpans is 5, not a list"),
        (b'{"resourceSpans": [5]}', r"resourceSpans\[0\] is 5, not an object"),
        (b'{"resourceSpans": {"scopeSpans": []}}', "resourceSpans is an object, not a list"),
        (b'{"resourceSpans": nul}', "Expecting value at character 19"),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [5]}]}]}',
            r"scopeSpans\[0\].spans\[0\] is 5, not an object",
        ),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
            r"resourceSpans\[0\].scopeSpans\[0\].spans\[0\].traceId is \"xyz\", not 32 hex digits",
        ),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 5}]}]}]}',
            "traceId is 5, not 32 hex digits",
        ),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 5}]}]}]}', "name is 5, not a"),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"links": [5]}]}]}]}',
            r"links\[0\] is 5, not an object",
        ),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"endTimeUnixNano": "%d"}]}]}]}'
            % 2**64,
            "beyond 64 bits",
        ),
        (b'{"resourceSpans": [{"resource": ' + b"[" * 100_000, "nested too deep"),
        (b"[5]", "Expecting an object"),
        (b"text", "Expecting an object"),
    ],
    ids=range(14),
)
def test_a_line_that_is_not_otlp_is_named(line: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFileError, match=f"^line 2 is not OTLP/JSON: .*{reason}"):
        read(JSON_LINE + line + b"\n")


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
    ("content", "reason"),
    [
        (b"not OTLP", "the file, which is no JSON, is not OTLP protobuf"),
        (b"\x0a\x05", "the file, which is no JSON, is not OTLP protobuf"),
        (with_lengths(ENCODED, b"\x0a\x05"), "request 2 is not OTLP protobuf"),
        (with_lengths(b"{"), "request 1 is not OTLP/JSON"),
        (with_lengths(ENCODED) + b"\xff\xff\xff\xff", "can't be a length.*before that: 1$"),
        (with_lengths(ZSTD_MAGIC + b"damaged"), "damaged .*before that: 0$"),
        (with_lengths(zstandard.compress(ENCODED)[:-9]), "damaged .*before that: 0$"),
        (gzip.compress(JSON_LINE)[:-4] + b"1234", "damaged .*before that: 0$"),
        (b"\x1f\x8b not gzip", "damaged .*before that: 0$"),
        (gzip.compress(JSON_LINE)[:20] + b"damaged" * 20, "damaged .*before that: 0$"),
        (zstandard.compress(JSON_LINE) + b"more", "damaged .*before that: 1$"),
        (ZSTD_MAGIC + b"damaged" * 20, "damaged .*before that: 0$"),
    ],
    ids=[
        *("text", "not a request", "length of no request", "length of no JSON", "too long"),
        *("message of no zstd", "message of zstd cut off"),
        *("gzip of wrong length", "no gzip", "gzip damaged", "zstd with more", "zstd damaged"),
    ],
)
def test_a_file_of_something_else_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFileError, match=reason) as refusal:
        read(content)
    assert not isinstance(refusal.value, CutOffFileError)


CUT_OFF = {
    "line": JSON_LINE + JSON_LINE[:-9],
    "line in a character": JSON_LINE + '{"name": "ü'.encode()[:-1],
    "request": with_lengths(ENCODED, ENCODED)[:-1],
    "length": with_lengths(ENCODED) + b"\0\0",
    "compressed request": with_lengths(*[zstandard.compress(ENCODED)] * 2)[:-1],
    "gzip": gzip.compress(JSON_LINE) + gzip.compress(JSON_LINE)[:-9],
    "gzip of lengths": gzip.compress(with_lengths(ENCODED, ENCODED))[:-5],
    "zstd": zstandard.compress(JSON_LINE) + zstandard.compress(JSON_LINE)[:-9],
    "zstd at its start": zstandard.compress(JSON_LINE) + ZSTD_MAGIC,
}


@pytest.mark.parametrize("content", CUT_OFF.values(), ids=CUT_OFF)
def test_of_a_file_that_is_cut_off_what_is_whole_is_read(content: bytes) -> None:
    requests = requests_in(content)

    assert next(requests) == OTLP
    with pytest.raises(CutOffFileError, match=r"the file is cut off.*before that: [12]$"):
        list(requests)


@pytest.mark.parametrize(
    "content",
    [b"{", b"\0", with_lengths(ENCODED)[:-1], gzip.compress(JSON_LINE)[:9], ZSTD_MAGIC],
    ids=["line", "length", "request", "gzip", "zstd"],
)
def test_a_file_may_be_cut_off_at_once(content: bytes) -> None:
    with pytest.raises(CutOffFileError, match=r"before that: 0$"):
        read(content)


def test_what_comes_before_the_damage_is_read() -> None:
    requests = requests_in(JSON_LINE + b"{\n")

    assert next(requests) == OTLP
    with pytest.raises(UnreadableFileError):
        next(requests)
