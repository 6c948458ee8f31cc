"""What must hold of any bytes that come as a file of traces."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.message import DecodeError

from otel_embedder.annotation.standing import Standing
from otel_embedder.errors import UnreadableFileError
from otel_embedder.files.decompression import decompressed
from otel_embedder.files.documents import json_format, protobuf_format
from otel_embedder.files.named_forms import NAMED, Form
from otel_embedder.files.requests import RequestReader, open_contents
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.fuzz.check_json import ANNOTATOR as JSON_ANNOTATOR
from tests.fuzz.check_json import OURS as JSON_OURS
from tests.fuzz.check_wire import ANNOTATOR, OURS, by_number
from tests.fuzz.encoded import fields
from tests.support.wire import placed, spans_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from otel_embedder.files.requests import StoredRequest
    from otel_embedder.otlp.wire import TraceRequest

FORMATS = {
    Form.JSON: (json_format(JSON_ANNOTATOR), JSON_OURS),
    Form.PROTOBUF: (protobuf_format(ANNOTATOR, with_lengths=False), OURS),
}
# To look at one byte at a time takes a millisecond for each ten.
MAX_DRIBBLED_BYTES = 1_000
RENDERER = new_renderer(RenderOptions())


class Reading(NamedTuple):
    """What a file holds.

    Attributes:
        stored: its requests, as far as they could be read.
        requests: the same, down to their spans.
        error: why no more could be read; empty if all was.

    """

    stored: list[StoredRequest]
    requests: list[TraceRequest]
    error: str


class Dribble(io.RawIOBase):
    """A pipe in which a byte at a time comes."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._content.readinto(memoryview(buffer).cast("B")[:1])


def check_reader(content: bytes) -> None:
    """Check that a file is read or refused in our words, and that nothing of it gets lost."""
    for form in NAMED.values():
        check_error(read(io.BytesIO(content), form).error)
    reading = read(io.BytesIO(content))
    check_error(reading.error)
    if len(content) < MAX_DRIBBLED_BYTES:
        dribbled = read(Dribble(content))
        assert bool(dribbled.error) == bool(reading.error)
        assert reading.error or spans_in(dribbled) == spans_in(reading)
    if not reading.error:
        check_text(content, reading)
        check_annotating(reading)


def read(raw: io.RawIOBase | io.BytesIO, form: Form | None = None) -> Reading:
    """Read a file as the commands do."""
    reading = Reading([], [], "")
    reader = RequestReader()
    try:
        for stored in open_contents(io.BufferedReader(raw), form).requests:
            try:
                request = reader.read(stored)
                render_all(request)
            except DecodeError as error:
                raise stored.refusal(error) from error
            reading.stored.append(stored)
            if stored.is_request:
                reading.requests.append(request)
    except UnreadableFileError as error:
        return reading._replace(error=str(error))
    return reading


def render_all(request: TraceRequest) -> None:
    for resource, scope in request.scopes():
        service = RENDERER.service(resource.resource)
        for span in scope.spans:
            RENDERER.render(span.encoded, service)


def check_error(error: str) -> None:
    """Check that an error is one of ours, and speaks neither Python nor of our classes."""
    assert "\n" not in error
    for word in ("codec", "object is not", "has no attribute", "opentelemetry.proto"):
        assert word not in error


def check_text(content: bytes, reading: Reading) -> None:
    """Check that the pieces of JSON are its text."""
    if {stored.form for stored in reading.stored} != {Form.JSON}:
        return
    if reading.stored[0].position.startswith("request"):
        return  # behind lengths: their text is a line
    pieces = b"".join(stored.before + stored.content + stored.after for stored in reading.stored)
    text = decompressed(io.BufferedReader(io.BytesIO(content))).read()
    assert pieces in {text, text + b"\n"}


def check_annotating(reading: Reading) -> None:
    """Put our attributes behind every span, and check that they come off again."""
    written = b""
    for stored in reading.stored:
        format_, ours = FORMATS[stored.form]
        document = format_.read(stored)
        annotate(document.request, ours)
        written += b"".join(document.pieces())
    again = read(io.BytesIO(written))
    assert not again.error
    assert spans_in(again) == spans_in(reading)


def annotate(request: TraceRequest, ours: bytes) -> None:
    """Let attributes go behind each span, but for those with an embedding of somebody else."""
    for span in spans_of(request):
        if ANNOTATOR.standing(span.encoded) is not Standing.FOREIGN:
            request.add(span, ours)


def spans_in(reading: Reading) -> list[object]:
    """Give each span in its place, without attributes of ours."""
    return [
        (each.resource, each.scope, by_number(fields(ANNOTATOR.stripped(each.span))))
        for request in reading.requests
        for each in placed(request)
    ]
