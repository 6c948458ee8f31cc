"""What must hold of any bytes that come through the door, compressed or not."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, cast

import grpc
import grpc.aio

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin, Standing
from otel_embedder.errors import MalformedRequestError, RequestTooLargeError
from otel_embedder.fairness import Turns
from otel_embedder.otlp.status import refusal
from otel_embedder.otlp.wire import parse_request
from otel_embedder.pipeline.processor import Processor
from otel_embedder.receiver.admission import Admission
from otel_embedder.receiver.closing import Closing
from otel_embedder.receiver.intake.inflate import is_compressed
from otel_embedder.receiver.intake.messages import Messages
from otel_embedder.receiver.traces import TraceReceiver
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.fuzz.check_wire import by_number, official_request
from tests.fuzz.encoded import fields
from tests.support.door import new_calls
from tests.support.fakes import FAKE_MODEL, FakeMetrics, embedding_of
from tests.support.way import Encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.embedder.embedding import Embedding, Wanted
    from otel_embedder.otlp.call import Metadata
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.receiver.intake.messages import Context

MAX_BYTES = 1024 * 1024
# So much that each span of the largest has room for its vector.
MAX_INFLIGHT_BYTES = 256 * MAX_BYTES
# What may be said of bytes that are no request. Anything else would be a fault of ours.
CODES = {refusal(kind("no request")).code for kind in (MalformedRequestError, RequestTooLargeError)}
ANNOTATOR = Annotator(
    Origin(FAKE_MODEL, RenderOptions().version()),
    encoding="bytes",
    prefix="embedding.",
    attach_text=True,
    max_remembered=100,
)
EMBEDDING = embedding_of("whatever it says")


@dataclass(slots=True)
class Outcome:
    """What became of a call.

    Attributes:
        code: the status that it ended with, None if it was answered.
        sent: what the next hop was sent, one for each request.

    """

    code: grpc.StatusCode | None
    sent: list[bytes]


class Aborted(Exception):  # noqa: N818 - as grpcio has it
    """Raised by a context whose call was ended."""


class OneMessage:
    """A call's context with one message to read."""

    def __init__(self, message: bytes, *, seconds: float = 60.0) -> None:
        self.code: grpc.StatusCode | None = None
        self._messages = [message]
        self._seconds = seconds

    async def read(self) -> bytes | object:
        return self._messages.pop() if self._messages else grpc.aio.EOF

    def peer(self) -> str:
        return "a peer"

    def time_remaining(self) -> float:
        return self._seconds

    def invocation_metadata(self) -> Metadata:
        return ()

    async def abort(self, code: grpc.StatusCode, _: str, __: Metadata) -> NoReturn:
        self.code = code
        raise Aborted


class OneEmbedding:
    """Gives every text the same embedding."""

    async def embed(self, wanted: Sequence[Wanted], *, timeout: float) -> list[Embedding | None]:  # noqa: ARG002, ASYNC109 - the protocol's
        return [EMBEDDING] * len(wanted)


class BytesExporter(Encoding):
    """Keeps what it was to send as it would be sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def take(self, encoded: bytes) -> None:
        self.sent.append(encoded)


def check_receiver(message: bytes) -> None:
    """Check that a message is passed on unchanged or refused, however it is compressed."""
    outcome = asyncio.run(received(message))
    check_outcome(message, outcome)
    if not is_compressed(message):
        check_compressed(message, outcome)


def check_compressed(message: bytes, outcome: Outcome) -> None:
    """Check that a message fares no other when it is compressed, and is refused when that broke."""
    # One of these at a time, by the message itself, so that it fails again if it fails once.
    compress = (gzip.compress, zlib.compress)[zlib.crc32(message) % 2]
    assert asyncio.run(received(compress(message))) == outcome
    damaged = asyncio.run(received(compress(message)[:-1]))
    assert damaged == Outcome(grpc.StatusCode.INVALID_ARGUMENT, [])


async def received(message: bytes) -> Outcome:
    """Give what becomes of a message."""
    exporter, context, metrics = BytesExporter(), OneMessage(message), FakeMetrics()
    admission = Admission(max_requests=1, max_bytes=MAX_INFLIGHT_BYTES, metrics=metrics)
    messages = Messages(admission, Closing(), turns=Turns(seconds=1), max_bytes=MAX_BYTES)
    receiver = TraceReceiver(
        processor(exporter, metrics), new_calls(metrics), messages, metrics=metrics
    )
    try:
        answer = await receiver.export(None, cast("Context", context))
    except Aborted:
        return Outcome(context.code, exporter.sent)
    assert answer == b""
    assert admission.requests() == 0
    return Outcome(None, exporter.sent)


def processor(exporter: BytesExporter, metrics: FakeMetrics) -> Processor:
    """Give a processor as the sidecar has it, of which only model and next hop are false."""
    return Processor(
        new_renderer(RenderOptions()),
        OneEmbedding(),
        ANNOTATOR,
        exporter,
        embed_timeout=60,
        turns=Turns(seconds=1),
        metrics=metrics,
    )


def check_outcome(message: bytes, outcome: Outcome) -> None:
    """Check that a request went on, all of it, and that nothing else did."""
    if outcome.code is not None:
        assert outcome.code in CODES
        assert outcome.sent == []
        # What begins as compressed does is taken for it: see `inflate`.
        known = is_compressed(message) or official_request(message) is None
        assert known, "what is OTLP was refused"
        return
    if parse_request(message).spans:
        [sent] = outcome.sent
        check_sent(parse_request(message), parse_request(sent))


def check_sent(came: TraceRequest, sent: TraceRequest) -> None:
    """Check that a request has every span in its place, and each is what it was."""
    assert sent.header == came.header
    for (above, scope), (above_sent, scope_sent) in zip(came.scopes(), sent.scopes(), strict=True):
        assert above_sent.header == above.header
        assert scope_sent.header == scope.header
        for span, span_sent in zip(scope.spans, scope_sent.spans, strict=True):
            check_span(span.encoded, span_sent.encoded)


def check_span(came: bytes, sent: bytes) -> None:
    """Check that a span has its vector, and is else what it was."""
    standing = ANNOTATOR.standing(came)
    if standing in {Standing.CURRENT, Standing.FOREIGN}:
        assert sent == came
        return
    assert ANNOTATOR.standing(sent) is Standing.CURRENT
    if standing is Standing.NONE:
        assert sent.startswith(came)
    without, before = ANNOTATOR.stripped(sent), ANNOTATOR.stripped(came)
    assert by_number(fields(without)) == by_number(fields(before))
