"""Reads traces from files, as a Collector's file exporter writes them, and others.

They hold OTLP/JSON lines, one protobuf request, or many requests each behind
its length in four bytes. The file may be compressed with gzip or zstd, and so
may each request behind its length: the exporter does that with `compression:
zstd`, unless its feature gate `exporter.file.nativeCompression` is set, which
compresses the file.
"""

from __future__ import annotations

import json
import zlib
from contextlib import contextmanager
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from zstandard import ZstdError

from otel_embedder.errors import CutOffFileError, MalformedRequestError, UnreadableFileError
from otel_embedder.files.decompression import decompressed, decompressed_message
from otel_embedder.otlp.json_requests import JsonReader

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

LENGTH_BYTES = 4
MAX_LENGTH = 2**31 - 1  # protobuf's own, for any message
# A protobuf message begins with a field's number times eight, and no field is number 0. So a
# first byte below eight is a length's, of up to 128 MiB.
MIN_TAG = 8


class Form(Enum):
    """What a request is written as."""

    JSON = "OTLP/JSON"
    PROTOBUF = "OTLP protobuf"


class Message(NamedTuple):
    """A request as it stands in a file.

    Attributes:
        form: what it is written as.
        place: where it stands, in words.
        content: it, decompressed: JSON without a line feed, or protobuf.
        is_alone: whether it is all of its file, without a length in front.

    """

    form: Form
    place: str
    content: bytes
    is_alone: bool = False

    def refusal(self, reason: Exception) -> UnreadableFileError:
        """Give the error that says where this stands, and why it can't be read."""
        return UnreadableFileError(f"{self.place} is not {self.form.value}: {reason}")


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        form: what its requests are written as; None if there are none.
        messages: its requests. To go on to one that is damaged or cut off raises an
            UnreadableFileError or CutOffFileError.

    """

    form: Form | None
    messages: Iterator[Message]


def read_requests(file: io.BufferedReader) -> Iterator[bytes]:
    """Give the encoded ExportTraceServiceRequests of a file.

    Raises:
        UnreadableFileError: it holds something else. What came before that was given.

    """
    read_json = JsonReader().read
    for message in open_contents(file).messages:
        try:
            if message.form is Form.JSON:
                encoded = read_json(message.content).request.encode()
            else:
                encoded = _checked(message.content)
        except (MalformedRequestError, DecodeError) as error:
            raise message.refusal(error) from error
        yield encoded


def _checked(encoded: bytes) -> bytes:
    ExportTraceServiceRequest.FromString(encoded)
    return encoded


def open_contents(file: io.BufferedReader) -> Contents:
    """Find out what a file holds, to read it request by request.

    Raises:
        UnreadableFileError: it is damaged from the start.
        CutOffFileError: it ends before its first request does.

    """
    with _telling(given=0):
        return _contents(decompressed(file))


@contextmanager
def _telling(given: int) -> Iterator[None]:
    """Turn what reading may raise after so many requests into errors of ours."""
    try:
        yield
    except EOFError as error:
        raise CutOffFileError(
            f"the file is cut off, as by a writer that was killed ({error}); "
            f"whole requests before that: {given}"
        ) from error
    except (OSError, ValueError, zlib.error, ZstdError) as error:
        raise UnreadableFileError(
            f"the file is damaged ({error}); whole requests before that: {given}"
        ) from error


def _contents(file: io.BufferedReader) -> Contents:
    first = file.peek(1)[:1]
    if not first:
        return Contents(None, iter(()))
    if first == b"{":
        return Contents(Form.JSON, _counted(_lines(file)))
    if first[0] < MIN_TAG:
        return _behind_lengths(file)
    place = "the file, which is no JSON,"
    alone = Message(Form.PROTOBUF, place, file.read(), is_alone=True)
    return Contents(Form.PROTOBUF, iter((alone,)))


def _behind_lengths(file: io.BufferedReader) -> Contents:
    requests = _lengths(file)
    first = next(requests)
    form = Form.JSON if first.startswith(b"{") else Form.PROTOBUF
    return Contents(form, _counted(_numbered(chain((first,), requests), form)))


def _counted(messages: Iterator[Message]) -> Iterator[Message]:
    given = 0
    while True:
        with _telling(given):
            message = next(messages, None)
        if message is None:
            return
        yield message
        given += 1


def _lines(file: io.BufferedReader) -> Iterator[Message]:
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
            _check_last(line)
        if line.strip():
            yield Message(Form.JSON, f"line {number}", line.removesuffix(b"\n"))


def _check_last(line: bytes) -> None:
    """Make sure that a line without an end is whole."""
    try:
        json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EOFError("the last line has no end, and is not whole") from error


def _lengths(file: io.BufferedReader) -> Iterator[bytes]:
    while head := file.read(LENGTH_BYTES):
        length = int.from_bytes(head)
        if length > MAX_LENGTH:
            raise ValueError(f"what follows can't be a length: {length}")
        content = file.read(length)
        if len(head) != LENGTH_BYTES or len(content) != length:
            raise EOFError("the last request is not as long as it should be")
        yield decompressed_message(content)


def _numbered(contents: Iterator[bytes], form: Form) -> Iterator[Message]:
    for number, content in enumerate(contents, start=1):
        # A line feed in JSON is mere space, and strings have none: without, it is a line.
        written = content.replace(b"\n", b" ") if form is Form.JSON else content
        yield Message(form, f"request {number}", written)
