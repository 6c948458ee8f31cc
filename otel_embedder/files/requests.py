"""The requests of a file, as a Collector's file exporter writes them, and others.

Files hold OTLP/JSON lines, one protobuf request, or many requests each behind
its length in four bytes. The file may be compressed with gzip or zstd, and so
may each request behind its length: the exporter does that with `compression:
zstd`, unless its feature gate `exporter.file.nativeCompression` is set, which
compresses the file.

A request is read once, down to its spans: what is within a span is left to whoever
looks into it.
"""

from __future__ import annotations

import json
import zlib
from contextlib import contextmanager
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from zstandard import ZstdError

from otel_embedder.errors import CutOffFileError, MalformedRequestError, UnreadableFileError
from otel_embedder.files.decompression import decompressed, decompressed_message
from otel_embedder.otlp.json_requests import JsonReader
from otel_embedder.otlp.wire import parse_request

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from otel_embedder.otlp.wire import TraceRequest

LENGTH_BYTES = 4
MAX_LENGTH = 2**31 - 1  # protobuf's own, for any message
# A protobuf message begins with a field's number times eight, and no field is number 0. So a
# first byte below eight is a length's, of up to 128 MiB.
MIN_TAG = 8


class Form(Enum):
    """What a request is written as."""

    JSON = "OTLP/JSON"
    PROTOBUF = "OTLP protobuf"


class StoredRequest(NamedTuple):
    """A request as it stands in a file.

    Attributes:
        form: what it is written as.
        position: where it stands, in words.
        content: it, decompressed: JSON without a line feed, or protobuf.
        is_alone: whether it is all of its file, without a length in front.

    """

    form: Form
    position: str
    content: bytes
    is_alone: bool = False

    def refusal(self, reason: Exception) -> UnreadableFileError:
        """Give the error that says where this stands, and why it can't be read."""
        return UnreadableFileError(f"{self.position} is not {self.form.value}: {reason}")


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        form: what its requests are written as; None if there are none.
        requests: its requests. To go on to one that is damaged or cut off raises an
            UnreadableFileError or CutOffFileError.

    """

    form: Form | None
    requests: Iterator[StoredRequest]


class RequestReader:
    """Reads requests of either form, remembering what recurs in JSON."""

    def __init__(self) -> None:
        self._json = JsonReader()

    def read(self, stored: StoredRequest) -> TraceRequest:
        """Read a request down to its spans.

        Raises:
            UnreadableFileError: it is malformed. Within a protobuf span anything may still be.

        """
        try:
            if stored.form is Form.JSON:
                return self._json.read(stored.content).request
            return parse_request(stored.content)
        except MalformedRequestError as error:
            raise stored.refusal(error) from error


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
    position = "the file, which is no JSON,"
    alone = StoredRequest(Form.PROTOBUF, position, file.read(), is_alone=True)
    return Contents(Form.PROTOBUF, iter((alone,)))


def _behind_lengths(file: io.BufferedReader) -> Contents:
    requests = _lengths(file)
    first = next(requests)
    form = Form.JSON if first.startswith(b"{") else Form.PROTOBUF
    return Contents(form, _counted(_numbered(chain((first,), requests), form)))


def _counted(requests: Iterator[StoredRequest]) -> Iterator[StoredRequest]:
    given = 0
    while True:
        with _telling(given):
            request = next(requests, None)
        if request is None:
            return
        yield request
        given += 1


def _lines(file: io.BufferedReader) -> Iterator[StoredRequest]:
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
            _check_last(line)
        if line.strip():
            yield StoredRequest(Form.JSON, f"line {number}", line.removesuffix(b"\n"))


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


def _numbered(contents: Iterator[bytes], form: Form) -> Iterator[StoredRequest]:
    for number, content in enumerate(contents, start=1):
        # A line feed in JSON is mere space, and strings have none: without, it is a line.
        written = content.replace(b"\n", b" ") if form is Form.JSON else content
        yield StoredRequest(form, f"request {number}", written)
