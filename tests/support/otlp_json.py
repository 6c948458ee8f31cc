"""OTLP/JSON for tests, made from the official messages as OTLP has it: ids in hex."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Fields = dict[str, Any]

HEX_KEYS = ("traceId", "spanId", "parentSpanId")


def otlp_json(request: ExportTraceServiceRequest) -> Fields:
    """Give a request as OTLP/JSON, parsed."""
    fields: Fields = MessageToDict(request, use_integers_for_enums=True)
    for span in spans_of(fields):
        for each in (span, *span.get("links", ())):
            for key in HEX_KEYS:
                if key in each:
                    each[key] = base64.b64decode(each[key]).hex()
    return fields


def otlp_line(request: ExportTraceServiceRequest) -> bytes:
    """Give a request as a line of OTLP/JSON, as a Collector writes it."""
    return json.dumps(otlp_json(request), separators=(",", ":")).encode() + b"\n"


def spans_of(request: Fields) -> Iterator[Fields]:
    """Give the spans of a parsed request of OTLP/JSON."""
    for resource in request.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            yield from scope.get("spans", ())
