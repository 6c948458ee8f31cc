"""Reads traces from files: OTLP/JSON lines or OTLP protobuf, as a Collector's file exporter writes.

Protobuf comes as one request, or as many, each behind its length in four bytes.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import zlib
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder.errors import UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

GZIP_MAGIC = b"\x1f\x8b"
LENGTH_BYTES = 4
# OTLP/JSON writes these in hex, unlike every other bytes field.
# Source: the OTLP specification, "JSON Protobuf Encoding".
HEX_FIELDS = ("traceId", "spanId", "parentSpanId")


def read_requests(file: io.BufferedReader) -> Iterator[bytes]:
    """Give the encoded ExportTraceServiceRequests of a file.

    Raises:
        UnreadableFileError: it holds something else.

    """
    try:
        yield from _read(_unpacked(file))
    except (EOFError, OSError, zlib.error, DecodeError) as error:
        raise UnreadableFileError(f"not a file of OTLP traces: {error}") from error


def _unpacked(file: io.BufferedReader) -> io.BufferedReader:
    if file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC):
        return io.BufferedReader(gzip.GzipFile(fileobj=file))
    return file


def _read(file: io.BufferedReader) -> Iterator[bytes]:
    # JSON begins with a brace. No protobuf message begins with a zero byte, and
    # no length of under 16 MiB with anything else.
    first = file.peek(1)[:1]
    if first == b"{":
        yield from _read_json(file)
    elif first == b"\0":
        yield from _read_lengths(file)
    else:
        yield _checked(file.read())


def _read_json(file: io.BufferedReader) -> Iterator[bytes]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                yield encode_json(json.loads(line))
            except (ValueError, ParseError, AttributeError, TypeError, RecursionError) as error:
                raise UnreadableFileError(f"line {number} is not OTLP/JSON: {error}") from error


def _read_lengths(file: io.BufferedReader) -> Iterator[bytes]:
    while head := file.read(LENGTH_BYTES):
        length = int.from_bytes(head)
        encoded = file.read(length)
        if len(head) != LENGTH_BYTES or len(encoded) != length:
            raise EOFError("the last request is cut off")
        yield _checked(encoded)


def _checked(encoded: bytes) -> bytes:
    ExportTraceServiceRequest.FromString(encoded)
    return encoded


def encode_json(request: dict[str, Any]) -> bytes:
    """Give an OTLP/JSON request as protobuf.

    Raises:
        google.protobuf.json_format.ParseError, ValueError: it is not OTLP/JSON.

    """
    for resource in request.get("resourceSpans") or ():
        for scope in resource.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                for message in (span, *(span.get("links") or ())):
                    _hex_to_base64(message)
    parsed = ParseDict(request, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    return parsed.SerializeToString()


def _hex_to_base64(message: dict[str, Any]) -> None:
    for field in HEX_FIELDS:
        if message.get(field) is not None:
            message[field] = base64.b64encode(bytes.fromhex(message[field])).decode()
