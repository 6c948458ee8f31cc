"""Writes the seeds of the corpus: `python -m tests.fuzz.make_corpus`.

They are made up by our own code. Inputs that were findings lie beside them, and are left alone.
"""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fuzz.checks import CORPUS
from tests.fuzz.encoded import FIXED_64, GROUP, GROUP_END, VARINT, Field, encode, part, tag
from tests.support.generated import requests_of_every_shape
from tests.support.otlp_json import otlp_json, otlp_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SEEDS_OF_EACH = 6
SPANS_OF_A_SEED = 3

NAME, START, END, ATTRIBUTES, EVENTS, STATUS = 5, 7, 8, 9, 11, 15  # of Span
KEY, VALUE = 1, 2  # of KeyValue
STRING, ARRAY = 1, 5  # of AnyValue
LATER = 1_000  # a field of a later version

JAEGER = (
    b'{"data":[{"spans":[{"traceID":"1","spanID":"2","operationName":"a","startTime":5,"duration":6,'
    b'"processID":"p","flags":1,"warnings":["w"],"references":[{"refType":"CHILD_OF","traceID":"1",'
    b'"spanID":"3"}],"tags":[{"key":"error","type":"bool","value":true},{"key":"n","type":"int64",'
    b'"value":"7"},{"key":"x","type":"float64","value":0.5}],"logs":[{"timestamp":5,"fields":[{"key":'
    b'"event","type":"string","value":"e"}]}]}],"processes":{"p":{"serviceName":"s","tags":[]}}}]}'
)
ZIPKIN = (
    b'[{"traceId":"1","id":"2","parentId":"3","name":"a","kind":"CLIENT","timestamp":5,"duration":6,'
    b'"localEndpoint":{"serviceName":"s","ipv4":"10.0.0.1","port":80},"remoteEndpoint":'
    b'{"serviceName":"t"},"tags":{"error":"no","otel.status_code":"ERROR","otel.scope.name":"l"},'
    b'"annotations":[{"timestamp":5,"value":"\\"e\\": {\\"k\\": 1}"}]}]'
)


def main() -> None:
    requests = list(shaped_requests())
    for name in ("wire", "receiver"):
        write(name, {**numbered(map(encoded, requests)), **odd_requests()})
    write("render", {**numbered(map(first_span, requests)), **odd_spans()})
    lines = numbered(otlp_line(request).rstrip() for request in requests)
    write("json", {**lines, **odd_lines()})
    write("reader", files(requests))


def shaped_requests() -> Iterator[ExportTraceServiceRequest]:
    """Give small requests with every kind of field and value."""
    for seed in range(SEEDS_OF_EACH):
        [request] = requests_of_every_shape(SPANS_OF_A_SEED, seed=seed)
        yield ExportTraceServiceRequest.FromString(request)


def odd_requests() -> dict[str, bytes]:
    """Give what no encoder writes but every decoder must take."""
    return {
        f"odd-{name}": part(1, part(2, part(2, span)) + part(1, b"") + tag(LATER, VARINT) + b"\1")
        for name, span in odd_spans().items()
    }


def odd_spans() -> dict[str, bytes]:
    """Give spans that are written in unusual ways, or say unusual things."""
    nested = b""
    for _ in range(200):
        nested = part(ARRAY, part(1, nested))
    exception = part(EVENTS, part(2, b"exception") + attribute(3, b"exception.type", b"OSError"))
    return {
        "empty": b"",
        "name-twice": part(NAME, b"first") + part(NAME, b"second"),
        "name-not-utf-8": part(NAME, b"\xff\xfe"),
        "status-in-two-pieces": part(STATUS, part(2, b"message")) + part(STATUS, b"\x18\x02"),
        "over-long-varint": b"\x30\x82\x80\x80\x00",
        "group": tag(LATER, GROUP) + part(1, b"x") + tag(LATER, GROUP_END),
        "ends-before-it-starts": time(START, 2) + time(END, 1),
        "exception": exception * 2 + part(STATUS, b"\x18\x02"),
        "ours": attribute(ATTRIBUTES, b"embedding.text_version", b"1"),
        "secrets": attribute(ATTRIBUTES, b"http.request.header.authorization", b"Bearer abc")
        + attribute(ATTRIBUTES, b"sent", b'{"password": "x", "headers": ["cookie: a=b"]}')
        + attribute(ATTRIBUTES, b"called", b"tool --token x https://user:pass@host/?api_key=x"),
        "many-attributes": attribute(ATTRIBUTES, b"k", b"v") * 1_030,
        "deep": part(ATTRIBUTES, part(KEY, b"deep") + part(VALUE, nested)),
    }


def odd_lines() -> dict[str, bytes]:
    """Give JSON that no encoder writes but every decoder must take."""
    spans = {
        "empty": "{}",
        "no-attributes": '{"name":"a","attributes":null}',
        "attributes-twice": '{"attributes":[{"key":"a"}],"attributes":[]}',
        "spaced": ' { "name" : "a" , "attributes" : [ ] } ',
        "ours": '{"attributes":[{"key":"embedding.source"},{"key":"a"}],"kind":"SPAN_KIND_CLIENT"}',
        "unknown-fields": '{"later":[{}],"start_time_unix_nano":5,"endTimeUnixNano":"6"}',
    }
    return {
        f"odd-{name}": f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}'.encode()
        for name, span in spans.items()
    }


def files(requests: Sequence[ExportTraceServiceRequest]) -> dict[str, bytes]:
    """Give files of every form, and what looks like one."""
    one, other = (otlp_json(request) for request in requests[:2])
    line, small = json.dumps(one).encode(), b'{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}'
    message = requests[0].SerializeToString()
    return {
        "line": line + b"\n",
        "lines-one-cut": small + b"\n" + small[:-9] + b"\n" + small + b"\n",
        "indented": json.dumps(json.loads(small), indent=2).encode() * 2,
        "on-one-line": small * 3,
        "list": json.dumps([json.loads(small), other], indent=0).encode(),
        "list-on-one-line": b"[%b, %b,{}]" % (small, small),
        "mark-and-hole": b"\xef\xbb\xbf \n\0\0\0\0" + small + b"\0\0\0" + small,
        "utf-16": small.decode().encode("utf-16"),
        "not-utf-8": b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\xe9\\ud83d"}]}]}]}',
        "former-names": b'{"batches":[{"instrumentationLibrarySpans":[{"instrumentationLibrary":'
        b'{"name":"a"},"spans":[{"trace_id":"W47/95gDgQPSabYzgT/GDA==","kind":"server"}]}]}]}',
        "resource-alone": b'{"resource":{},"scopeSpans":[{"spans":[{"Name":"a"}]}]}',
        "trace": b'{"trace":{"resource_spans":[]}}',
        "jaeger": b'{"data":[{"traceID":"1","spans":[],"processes":{}}]}',
        "jaeger-span": JAEGER,
        "zipkin": ZIPKIN,
        "logs": b'{"resourceLogs":[]}',
        "text": b"no traces at all",
        "alone": message,
        "lengths": with_length(message) + with_length(b""),
        "lengths-of-json": with_length(small) * 2,
        "gzip": gzip.compress(small, mtime=0),
        "zstd-in-lengths": with_length(zstandard.compress(message)),
    }


def with_length(message: bytes) -> bytes:
    return len(message).to_bytes(4) + message


def attribute(number: int, key: bytes, value: bytes) -> bytes:
    """Encode a KeyValue of a string."""
    return part(number, part(KEY, key) + part(VALUE, part(STRING, value)))


def time(number: int, nanoseconds: int) -> bytes:
    """Encode a field with a time."""
    return encode(Field(number, FIXED_64, nanoseconds))


def first_span(request: ExportTraceServiceRequest) -> bytes:
    """Give the first span of a request."""
    scopes = (scope for resource in request.resource_spans for scope in resource.scope_spans)
    return next(span for scope in scopes for span in scope.spans).SerializeToString()


def encoded(request: ExportTraceServiceRequest) -> bytes:
    return request.SerializeToString()


def numbered(inputs: Iterator[bytes]) -> dict[str, bytes]:
    """Name inputs that have nothing to be named after."""
    return {f"shape-{number}": content for number, content in enumerate(inputs)}


def write(check: str, inputs: Mapping[str, bytes]) -> None:
    """Write the seeds of a check."""
    directory = CORPUS / check
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in inputs.items():
        (directory / name).write_bytes(content)


if __name__ == "__main__":
    main()
