"""The requests of a file, as a Collector's file exporter writes them, and others.

Files hold OTLP/JSON, a request a line or written otherwise, one protobuf request,
or many requests each behind its length in four bytes. The file may be compressed
with gzip or zstd, and so may each request behind its length: the exporter does
that with `compression: zstd`, unless its feature gate
`exporter.file.nativeCompression` is set, which compresses the file.

Who says so may have Jaeger's JSON or Zipkin's read as well, which become OTLP/JSON.

A request is read once, down to its spans: what is within a span is left to whoever
looks into it.
"""

from __future__ import annotations

import json
import zlib
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from zstandard import ZstdError

from otel_embedder.errors import (
    CutOffFileError,
    ForeignContentError,
    MalformedRequestError,
    UnreadableFileError,
)
from otel_embedder.files.decompression import decompressed, decompressed_message
from otel_embedder.files.forms import Look, look_at
from otel_embedder.files.json_text import BLOCK_BYTES, pieces_of
from otel_embedder.files.named_forms import Form, remedy
from otel_embedder.otlp.json_form.cursor import ESCAPED, json_faults
from otel_embedder.otlp.json_form.jaeger import otlp_of_jaeger
from otel_embedder.otlp.json_form.requests import JsonReader
from otel_embedder.otlp.json_form.zipkin import otlp_of_zipkin
from otel_embedder.otlp.signals import refuse_other_signals
from otel_embedder.otlp.wire import TraceRequest, parse_request

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

LENGTH_BYTES = 4
MAX_LENGTH = 2**31 - 1  # protobuf's own, for any message


# What is OTLP only once it was translated.
TRANSLATIONS = {Form.JAEGER: otlp_of_jaeger, Form.ZIPKIN: otlp_of_zipkin}


class StoredRequest(NamedTuple):
    """A request as it stands in a file.

    Attributes:
        form: what it is written as.
        position: where it stands, in words.
        content: it, decompressed; nothing where only `before` is left of JSON.
        is_alone: whether it is all of its file, without a length in front.
        before: what of a text of JSON stands between the last one and it.
        after: the end of its last line in such a text.
        in_list: whether it is an element of a list of such a text.

    Jaeger's JSON and Zipkin's are JSON as well.

    """

    form: Form
    position: str
    content: bytes
    is_alone: bool = False
    before: bytes = b""
    after: bytes = b""
    in_list: bool = False

    @property
    def is_request(self) -> bool:
        """Whether there is a request, and not only what stands behind the last one."""
        return self.form is Form.PROTOBUF or bool(self.content)

    def refusal(self, reason: Exception) -> UnreadableFileError:
        """Give the error that says where this stands, and why it can't be read."""
        if isinstance(reason, ForeignContentError):
            what = f"{reason}{remedy(reason.kind)}"
            return UnreadableFileError(f"{self.position} holds no traces of OTLP: {what}")
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
            if stored.form is Form.PROTOBUF:
                return read_protobuf(stored.content)
            return self._json.read(otlp_json(stored)).request
        except MalformedRequestError as error:
            raise stored.refusal(error) from error


def otlp_json(stored: StoredRequest) -> bytes:
    """Give a request of any form of JSON as OTLP/JSON.

    Raises:
        MalformedRequestError: it is no JSON, or a field has no place in OTLP.

    """
    translate = TRANSLATIONS.get(stored.form)
    if translate is None or not stored.content:
        return stored.content
    with json_faults():
        return translate(json.loads(stored.content.decode(errors=ESCAPED)))


def read_protobuf(content: bytes) -> TraceRequest:
    """Read a protobuf request down to its spans.

    Raises:
        MalformedRequestError: it is none, or one of logs or metrics, which look alike.

    """
    request = parse_request(content)
    refuse_other_signals(request)
    return request


def open_contents(file: io.BufferedReader, form: Form | None = None) -> Contents:
    """Find out what a file holds, to read it request by request.

    Args:
        file: it, from its beginning.
        form: what it holds if it is not OTLP.

    Raises:
        UnreadableFileError: it is damaged from the start, or of another form.
        CutOffFileError: it ends before its first request does.

    """
    with _telling(given=0):
        return _contents(decompressed(file), form)


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


def _contents(file: io.BufferedReader, form: Form | None) -> Contents:
    look, file = look_at(file)
    match look:
        case Look.NOTHING:
            return Contents(None, iter(()))
        case Look.JSON:
            return Contents(form or Form.JSON, _counted(_json(file, form or Form.JSON)))
        case _ if form:
            raise UnreadableFileError(f"the file is no JSON, and so not {form.value}")
        case Look.LENGTHS:
            return _behind_lengths(file)
        case Look.ALONE:
            position = "the file, which is no JSON,"
            alone = StoredRequest(Form.PROTOBUF, position, file.read(), is_alone=True)
            return Contents(Form.PROTOBUF, iter((alone,)))


def _behind_lengths(file: io.BufferedReader) -> Contents:
    requests = _lengths(file)
    first = next(requests)
    form = Form.JSON if first.lstrip().startswith(b"{") else Form.PROTOBUF
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


def _json(file: io.BufferedReader, form: Form) -> Iterator[StoredRequest]:
    for position, before, content, after, in_list in pieces_of(
        iter(partial(file.read1, BLOCK_BYTES), b"")
    ):
        yield StoredRequest(form, position, content, before=before, after=after, in_list=in_list)


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
        position = f"request {number}"
        if form is Form.PROTOBUF:
            yield StoredRequest(form, position, content)
        else:
            # A line feed in JSON is mere space, and strings have none: without, it is a line.
            line = content.replace(b"\n", b" ")
            yield StoredRequest(form, position, line, after=b"\n")
