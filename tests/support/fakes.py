"""Small stand-ins for a stage's neighbours. Each keeps what it was given.

They go in through constructors, in the place of the real thing.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import threading
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otel_embedder.embedder.embedding import UNKNOWN_TRACE_ID, Embedding
from otel_embedder.embedder.stand_in import stand_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.embedder.embedding import Wanted, WantedText
    from otel_embedder.embedder.waiting import Party
    from otel_embedder.otlp.call import Call, Metadata
    from otel_embedder.otlp.wire import Arrived, TraceRequest
    from otel_embedder.pipeline.passed import Passed

# Long enough for a busy machine, and short enough to say which wait it was that hung.
PATIENCE = 30.0

DIMENSION = 384


FAKE_MODEL = "fake-model"


def embedding_of(content: str) -> Embedding:
    """Give the vector that the fakes have for a text: of unit length, unlike any other's."""
    seed = int.from_bytes(hashlib.sha256(content.encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return Embedding((vector / np.linalg.norm(vector)).astype(np.float32), FAKE_MODEL, "model")


class FakeClock:
    """Stands still until somebody turns it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeModel:
    """Remembers each batch; can be held up, and raises on the texts it is told to."""

    dimension = DIMENSION

    def __init__(self, raises: dict[str, BaseException] | None = None) -> None:
        self.batches: list[list[str]] = []
        self._raises = raises or {}
        self._begun = threading.Semaphore(0)
        self._free = threading.Event()
        self._free.set()

    def hold(self) -> None:
        """Let every batch wait from now on, and `begun` tell of these alone."""
        self._free.clear()
        while self._begun.acquire(blocking=False):
            pass

    def release(self) -> None:
        self._free.set()

    async def begun(self, batches: int = 1) -> None:
        """Wait until so many more batches have reached the model."""
        for _ in range(batches):
            await asyncio.to_thread(self.wait_for_batch)

    def wait_for_batch(self) -> None:
        """Wait, in a thread, until one more batch has reached the model."""
        assert self._begun.acquire(timeout=PATIENCE)

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        self.batches.append(list(texts))
        self._begun.release()
        if not self._free.wait(PATIENCE):
            raise TimeoutError("nobody released the model")
        for text in texts:
            if text in self._raises:
                raise self._raises[text]
        return [embedding_of(text) for text in texts]


class KnowingNothing(FakeModel):
    """Knows no word of any text."""

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        return [stand_in(text, DIMENSION) for text in texts]


class SpanText(NamedTuple):
    """A text, as a span wants it embedded."""

    content: str
    trace_id: str = UNKNOWN_TRACE_ID
    urgent: bool = False


class LateSpan(NamedTuple):
    """A span that there was no time to render."""

    trace_id: str
    content: None = None
    urgent: bool = False


class FakeEmbedder:
    """Answers when it is told to, or at once; remembers the texts of each call."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.calls: list[list[WantedText]] = []
        self.futures: dict[str, list[asyncio.Future[Embedding]]] = {}
        self._at_once = at_once

    def embed(
        self,
        texts: Sequence[WantedText],
        *,
        party: Party | None = None,  # noqa: ARG002 - the protocol's
    ) -> list[asyncio.Future[Embedding]]:
        self.calls.append(list(texts))
        return [self._future(text.content) for text in texts]

    def contents(self) -> list[list[str]]:
        return [[text.content for text in texts] for texts in self.calls]

    def resolve(self, *contents: str) -> None:
        for content in contents:
            for future in self._open(content):
                future.set_result(embedding_of(content))

    def fail(self, content: str, error: Exception) -> None:
        for future in self._open(content):
            future.set_exception(error)

    def _future(self, content: str) -> asyncio.Future[Embedding]:
        future: asyncio.Future[Embedding] = asyncio.get_running_loop().create_future()
        self.futures.setdefault(content, []).append(future)
        if self._at_once:
            future.set_result(embedding_of(content))
        return future

    def _open(self, content: str) -> list[asyncio.Future[Embedding]]:
        return [future for future in self.futures[content] if not future.done()]


class BrokenEmbedder:
    """Refuses every text with the same error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def embed(
        self,
        texts: Sequence[WantedText],
        *,
        party: Party | None = None,  # noqa: ARG002 - the protocol's
    ) -> list[asyncio.Future[Embedding]]:
        futures = [asyncio.get_running_loop().create_future() for _ in texts]
        for future in futures:
            future.set_exception(self._error)
        return futures


class FakeSpanEmbedder:
    """Embeds every text but those it is told to omit; remembers what it was asked."""

    def __init__(self, omit: Sequence[str] = ()) -> None:
        self.texts: list[SpanText] = []
        self.timeouts: list[float] = []
        self.without_text_of: list[str] = []
        self._omit = omit
        self._known: dict[str, Embedding] = {}

    async def embed(self, wanted: Sequence[Wanted], *, timeout: float) -> list[Embedding | None]:  # noqa: ASYNC109 - the protocol's
        self.timeouts.append(timeout)
        return [self._embedding(each) for each in wanted]

    def _embedding(self, wanted: Wanted) -> Embedding | None:
        if wanted.content is None:
            self.without_text_of.append(wanted.trace_id)
            return stand_in(wanted.trace_id, DIMENSION)
        self.texts.append(SpanText(wanted.content, wanted.trace_id, wanted.urgent))
        if wanted.content in self._omit:
            return None
        # One text has one embedding, as in the real one's answers.
        return self._known.setdefault(wanted.content, embedding_of(wanted.content))


class FakeExporter:
    """Keeps what it was to send, and answers what it was given to answer."""

    def __init__(self, response: ExportTraceServiceResponse | Exception | None = None) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.encoded: list[bytes] = []
        self.deadlines: list[float] = []
        self.metadata: list[Metadata] = []
        self._response = response or ExportTraceServiceResponse()
        self.has_room = math.inf

    def room(self, size: int, *, deadline: float) -> float:  # noqa: ARG002 - the protocol's
        return self.has_room

    async def export(
        self,
        request: TraceRequest,
        *,
        deadline: float,
        metadata: Metadata,
        arrived: Arrived | None = None,
    ) -> ExportTraceServiceResponse:
        self.encoded.append(request.encode())
        self.requests.append(ExportTraceServiceRequest.FromString(request.encode()))
        self.deadlines.append(deadline)
        self.metadata.append(metadata)
        if isinstance(self._response, Exception):
            raise self._response
        if arrived is not None and not self._response.partial_success.rejected_spans:
            arrived(request)
        return self._response


class FakeConsumer:
    """Takes requests as the receiver's next stage; answers or raises what it was given."""

    def __init__(self, response: ExportTraceServiceResponse | Exception | None = None) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.calls: list[Call] = []
        self._response = response or ExportTraceServiceResponse()

    async def consume(self, request: TraceRequest, call: Call) -> ExportTraceServiceResponse:
        self.requests.append(ExportTraceServiceRequest.FromString(request.encode()))
        self.calls.append(call)
        if isinstance(self._response, Exception):
            raise self._response
        return self._response


class FakeTaken:
    """Remembers what passed."""

    def __init__(self) -> None:
        self.whole: list[Passed] = []
        self.in_part = 0

    def passed(self, passed: Passed) -> None:
        self.whole.append(passed)

    def passed_in_part(self, *, spans: int) -> None:
        self.in_part += spans


class FakeMetrics:
    """Counts what any stage tells, by the name of what was told."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.batches: list[int] = []
        self.seconds: list[float] = []
        self.waits: list[float] = []

    def accepted(self, *, spans: int) -> None:
        self.counts["accepted"] += spans

    def refused(self, *, spans: int) -> None:
        self.counts["refused"] += spans

    def cancelled(self, *, spans: int) -> None:
        self.counts["cancelled"] += spans

    def caller_left(self) -> None:
        self.counts["caller_left"] += 1

    def sent(self, *, spans: int) -> None:
        self.counts["sent"] += spans

    def sent_bare(self, *, spans: int) -> None:
        self.counts["sent_bare"] += spans

    def turned_away(self) -> None:
        self.counts["turned_away"] += 1

    def catalogue_written(self, *, spans: int, seconds: float) -> None:
        self.counts["catalogue_written"] += spans
        self.seconds.append(seconds)

    def error_group_came(self, service: str) -> None:
        self.counts[f"error_group_came {service}"] += 1

    def warmed(self, *, texts: int) -> None:
        self.counts["warmed"] += texts

    def catalogue_dropped(self, reason: str, *, spans: int) -> None:
        self.counts[f"catalogue_dropped {reason}"] += spans

    def passed_through(self, signal: str) -> None:
        self.counts[signal] += 1

    def left_queue(self, *, seconds: float) -> None:
        self.waits.append(seconds)

    def send_retried(self, *, spans: int) -> None:
        self.counts["send_retried"] += spans

    def send_skipped(self, *, spans: int) -> None:
        self.counts["send_skipped"] += spans

    def send_failed(self, *, spans: int) -> None:
        self.counts["send_failed"] += spans

    def fell_back(self, *, spans: int) -> None:
        self.counts["fell_back"] += spans

    def left_bare(self, shortage: str, *, spans: int) -> None:
        self.counts[f"left_bare {shortage}"] += spans

    def passed_as_is(self, standing: str, *, spans: int) -> None:
        self.counts[standing] += spans

    def came_back(self, *, spans: int) -> None:
        self.counts["came_back"] += spans

    def looked_up(self, *, hits: int, misses: int) -> None:
        self.counts["hits"] += hits
        self.counts["misses"] += misses

    def batch_embedded(self, *, texts: int, seconds: float) -> None:
        self.batches.append(texts)
        self.seconds.append(seconds)


def errors_of(futures: Sequence[asyncio.Future[Embedding]]) -> list[type[BaseException] | None]:
    """Give the kind of error that each finished future has; None where it has a vector."""
    return [type(error) if (error := future.exception()) else None for future in futures]
