"""What must hold of any bytes that come as a line of OTLP/JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.errors import MalformedRequestError
from otel_embedder.otlp.attributes import JSON
from otel_embedder.otlp.json_requests import JsonReader
from tests.support.wire import annotate_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.otlp.json_requests import JsonRequest

ANNOTATOR = Annotator(
    Origin("a-model", "1"),
    encoding="array",
    prefix="embedding.",
    attach_text=True,
    max_remembered=1,
    syntax=JSON,
)
OURS = ANNOTATOR.attributes(
    Embedding(np.array([0.6, 0.8], np.float32), "a-model", "model"), "a text"
)
LONG_USED = JsonReader(ANNOTATOR.keys)

Fields = dict[str, Any]


def check_json(content: bytes) -> None:
    """Check that a line is refused, or leaves as it came, with attributes of ours or without."""
    try:
        read = JsonReader(ANNOTATOR.keys).read(content)
    except MalformedRequestError:
        check_refused_again(content)
        return
    assert LONG_USED.read(content) == read
    assert written(read) == content + b"\n"
    ExportTraceServiceRequest.FromString(read.request.encode())
    check_appending(content, read)


def check_refused_again(content: bytes) -> None:
    """Check that a reader says the same of a line whatever it read before."""
    try:
        LONG_USED.read(content)
    except MalformedRequestError:
        return
    raise AssertionError("what a new reader refused was read")


def check_appending(content: bytes, read: JsonRequest) -> None:
    """Check that the line has our attributes on each span, in the place of older ones of ours."""
    annotate_all(read.request, OURS)
    expected = json.loads(content)
    for span in spans_of(expected):
        kept = (each for each in span.get("attributes") or () if not is_ours(each))
        span["attributes"] = [*kept, *json.loads(b"[%b]" % OURS)]
    # In words, for NaN is not equal to itself.
    assert json.dumps(json.loads(written(read))) == json.dumps(expected)


def written(read: JsonRequest) -> bytes:
    """Give the line that a request is written as."""
    return b"".join(read.pieces())


def spans_of(request: Fields) -> Iterator[Fields]:
    """Give the spans of a parsed line."""
    for resource in request.get("resourceSpans") or ():
        for scope in resource.get("scopeSpans") or ():
            yield from scope.get("spans") or ()


def is_ours(attribute: Fields) -> bool:
    """Tell whether an attribute is named like one of ours."""
    return str(attribute.get("key")).encode(errors="replace") in ANNOTATOR.keys
