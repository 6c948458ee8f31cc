"""Sends recorded requests again, as an SDK would send them, and counts what became of the spans.

What is refused for now is sent again after a wait that grows, or the longer one
that the target asked for. In flight is never more than was asked for, and the
next request is read only when there is room for it, so a file may be of any size.
"""

from __future__ import annotations

import asyncio
import math
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import numpy as np
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_fixed,
)

from otel_embedder.errors import ExportError, PermanentExportError, RetryableExportError
from otel_embedder.exporter.patience import Backoff
from otel_embedder.otlp.status import CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTracePartialSuccess,
        ExportTraceServiceResponse,
    )
    from tenacity import RetryCallState

    from otel_embedder.otlp.call import Metadata
    from otel_embedder.otlp.wire import TraceRequest

# What a target that stalled let go by is made up for, but not all at once.
CATCH_UP_SECONDS = 1.0
CONNECT_SECONDS = 5.0
CONNECT_AGAIN_SECONDS = 0.2

# 1, 2, 4 ... seconds, and up to one more, so that many senders don't come back together.
BACKOFF = Backoff(first=1, longest=30, jitter=1)


class Exporter(Protocol):
    """Sends requests to the target."""

    async def export(
        self, request: TraceRequest, *, deadline: float, metadata: Metadata
    ) -> ExportTraceServiceResponse:
        """Send a request by `deadline`, in the event loop's time, or raise ExportError."""
        ...


class Clock(Protocol):
    """Tells the time in seconds, and waits."""

    def time(self) -> float:
        """Give the seconds since some moment."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        ...


class EventLoopClock:
    """The event loop's own time."""

    def time(self) -> float:
        """Give the event loop's time."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait so long, while others have their turn."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Load:
    """How hard to press the target.

    Attributes:
        rate: spans a second; None is as fast as they are answered.
        concurrency: requests in flight at the same time.
        attempts: how often a request is sent before its refusal counts.

    """

    rate: float | None
    concurrency: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the target took to take a request, in seconds."""

    median: float
    p95: float
    max: float


@dataclass(slots=True)
class SendTally:
    """What became of the spans so far.

    Attributes:
        requests: those sent at least once.
        sent: their spans.
        accepted: spans that the target took.
        rejected: spans of requests that it took otherwise: a partial success.
        remark: what it first said with a partial success.
        refused: spans of requests that it did not take, by the name of the status.
        reasons: what it first said with each of these.
        retries: how often a request was sent again.
        seconds: from the first request to the last answer.
        latencies: seconds of each call that the target answered with OK, 8 bytes each.

    """

    requests: int = 0
    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    remark: str = ""
    refused: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    retries: int = 0
    seconds: float = 0.0
    latencies: array[float] = field(default_factory=lambda: array("d"))

    def begin(self, spans: int) -> None:
        """Count a request that goes out."""
        self.requests += 1
        self.sent += spans

    def accept(self, spans: int, partial_success: ExportTracePartialSuccess) -> None:
        """Count a request that the target took, all of it or the most."""
        self.accepted += spans - partial_success.rejected_spans
        self.rejected += partial_success.rejected_spans
        self.remark = self.remark or partial_success.error_message

    def refuse(self, spans: int, error: ExportError) -> None:
        """Count a request that the target did not take."""
        status = _status(error)
        self.refused[status] += spans
        self.reasons.setdefault(status, str(error))

    def unanswered(self) -> int:
        """Count the spans that were sent and of which nothing was heard."""
        return self.sent - self.accepted - self.rejected - self.refused.total()

    def rate(self) -> float:
        """Give the spans that were taken in a second."""
        return self.accepted / self.seconds if self.seconds else 0.0

    def latency(self) -> Latency | None:
        """Sum up the latencies; None if there are none."""
        if not self.latencies:
            return None
        return Latency(*map(float, np.quantile(self.latencies, (0.5, 0.95, 1.0))))


def _status(error: ExportError) -> str:
    """Give the name of the status that an error was made from."""
    match error:
        case RetryableExportError() | PermanentExportError():
            return CODES[error.code].name
        case _:
            return "OTHER"


class Pace:
    """Tells each request when to go, so that spans go at a rate."""

    def __init__(self, rate: float | None, clock: Clock) -> None:
        self._seconds_a_span = 1 / rate if rate else 0.0
        self._clock = clock
        self._due = clock.time()

    async def wait(self, spans: int) -> None:
        """Wait until all the spans before these have had their time."""
        now = self._clock.time()
        self._due = max(self._due, now - CATCH_UP_SECONDS)
        if self._due > now:
            await self._clock.sleep(self._due - now)
        self._due += spans * self._seconds_a_span


class Replay:
    """Sends requests to one target."""

    def __init__(
        self,
        exporter: Exporter,
        load: Load,
        tally: SendTally,
        *,
        clock: Clock,
        on_answer: Callable[[float], object],
    ) -> None:
        """Prepare to send.

        Args:
            exporter: the way to the target.
            load: how hard to press it.
            tally: where to count.
            clock: the event loop's, or one that a test turns.
            on_answer: told the number of spans of each request that is done with.

        """
        self._exporter = exporter
        self._load = load
        self._tally = tally
        self._clock = clock
        self._on_answer = on_answer
        self._reading = asyncio.Lock()

    async def run(self, requests: Iterator[TraceRequest]) -> None:
        """Send them all. What the target refuses is counted, never raised.

        Args:
            requests: read one at a time, each in a thread.

        Raises:
            UnreadableFileError: or whatever else `requests` raises, once what was sent before has
                been answered.

        """
        started = self._clock.time()
        pace = Pace(self._load.rate, self._clock)
        workers = (self._work(requests, pace) for _ in range(self._load.concurrency))
        try:
            ends = await asyncio.gather(*workers, return_exceptions=True)
        finally:
            self._tally.seconds = self._clock.time() - started
        for error in filter(None, ends):
            raise error

    async def _work(self, requests: Iterator[TraceRequest], pace: Pace) -> None:
        while request := await self._next(requests, pace):
            await self._send(request)

    async def _next(self, requests: Iterator[TraceRequest], pace: Pace) -> TraceRequest | None:
        async with self._reading:
            request = await asyncio.to_thread(next, requests, None)
            if request:
                await pace.wait(request.spans)
            return request

    async def _send(self, request: TraceRequest) -> None:
        spans = request.spans
        self._tally.begin(spans)
        try:
            answer: ExportTraceServiceResponse = await self._retrying()(self._call, request)
        except ExportError as error:
            self._tally.refuse(spans, error)
        else:
            self._tally.accept(spans, answer.partial_success)
        self._on_answer(spans)

    async def _call(self, request: TraceRequest) -> ExportTraceServiceResponse:
        started = self._clock.time()
        answer = await self._exporter.export(request, deadline=math.inf, metadata=())
        self._tally.latencies.append(self._clock.time() - started)
        return answer

    def _retrying(self) -> AsyncRetrying:
        # One each time: it has a state, which requests in flight must not share.
        return AsyncRetrying(
            retry=retry_if_exception_type(RetryableExportError),
            stop=stop_after_attempt(self._load.attempts),
            wait=BACKOFF.wait,
            before_sleep=self._count_retry,
            sleep=self._clock.sleep,
            reraise=True,
        )

    def _count_retry(self, _: RetryCallState) -> None:
        self._tally.retries += 1


async def reach(url: str, *, patience: float, clock: Clock) -> None:
    """Make sure that somebody listens; try again for `patience` seconds.

    Raises:
        OSError: nobody does.

    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(OSError),
        stop=stop_after_delay(patience),
        wait=wait_fixed(CONNECT_AGAIN_SECONDS),
        sleep=clock.sleep,
        reraise=True,
    )
    await retrying(_connect, url)


async def _connect(url: str) -> None:
    target = urlsplit(url)
    async with asyncio.timeout(CONNECT_SECONDS):
        _, writer = await asyncio.open_connection(target.hostname, target.port)
    writer.close()
    await writer.wait_closed()
