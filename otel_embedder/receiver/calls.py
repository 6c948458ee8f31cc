"""What the handlers of all signals share: what a call brings, and how it ends badly."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import grpc

from otel_embedder.errors import IncompleteRequestError, OtelEmbedderError
from otel_embedder.otlp.call import UNTRACED, Call
from otel_embedder.otlp.status import refusal
from otel_embedder.telemetry.logs import get_logger
from otel_embedder.telemetry.sparing import Sparing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otel_embedder.otlp.call import Metadata, Trace, Traces
    from otel_embedder.receiver.intake.headers import Headers
    from otel_embedder.receiver.intake.hops import Hops
    from otel_embedder.receiver.intake.messages import Context

log = get_logger()

REQUEST_FAILED = "request.failed"
REQUEST_INCOMPLETE = "request.incomplete"
REQUEST_CANCELLED = "request.cancelled"

OK = grpc.StatusCode.OK.value[0]
CANCELLED = grpc.StatusCode.CANCELLED.value[0]


class CallsMetrics(Protocol):
    """What is told of calls."""

    def caller_left(self) -> None:
        """Count a request that did not arrive whole, or whose caller left before the answer."""
        ...


class Calls:
    """Makes of each call what the next stage must know of it, and ends those that fail."""

    def __init__(
        self,
        hops: Hops,
        headers: Headers,
        *,
        assumed_deadline: float,
        metrics: CallsMetrics,
        traces: Traces,
    ) -> None:
        """Prepare for calls.

        Args:
            hops: what recognises a request that was here before.
            headers: what tells which of the callers' headers go on.
            assumed_deadline: seconds that a caller waits who does not say how long.
            metrics: who counts.
            traces: tells of each.

        """
        self._hops = hops
        self._headers = headers
        self._assumed_deadline = assumed_deadline
        self._metrics = metrics
        self._traces = traces
        # What the last call brought, and what goes on of that: a sender's calls bring the same.
        self._brought: Metadata | None = None
        self._passed_on: Metadata = ()
        # A sender that does so once does it again and again.
        self._incomplete = Sparing(REQUEST_INCOMPLETE)
        self._cancelled = Sparing(REQUEST_CANCELLED)

    async def answered(
        self, context: Context, method: str, answer: Callable[[Call], Awaitable[bytes]]
    ) -> bytes:
        """Answer a call; where that fails, have it end with the status that fits.

        What has been here before is refused at once: none of its message is read.

        Args:
            context: of the call.
            method: what is called, as /SERVICE/METHOD.
            answer: reads the call's message and gives the encoded answer, or raises.

        """
        metadata = tuple(context.invocation_metadata() or ())
        trace: Trace = UNTRACED
        try:
            trace = self._traces.begin(method, metadata)
            encoded = await answer(self._call(context, metadata, trace))
        except asyncio.CancelledError:
            trace.ended(CANCELLED)
            self._metrics.caller_left()
            self._cancelled.tell()
            raise
        except Exception as error:  # noqa: BLE001 - UNKNOWN, which it would become, loses the spans
            self._tell(error)
            failure = refusal(error)
            trace.ended(failure.code.value[0])
        else:
            trace.ended(OK)
            return encoded
        # Not while the error is at hand: the call keeps what an abort raises, and with it the error
        # behind that, with all that was read, until Python looks for rings.
        return await context.abort(failure.code, failure.details, failure.trailing_metadata)

    def _call(self, context: Context, metadata: Metadata, trace: Trace) -> Call:
        """Give what a call brings.

        Raises:
            LoopError: it has been here before.

        """
        if metadata != self._brought:
            self._passed_on = self._hops.with_own(self._headers.passed_on(metadata))
            self._brought = metadata
        return Call(self._deadline(context), self._passed_on, trace=trace)

    def _deadline(self, context: Context) -> float:
        """Give the event loop's time at which the caller stops waiting."""
        # The stubs forget that there may be no deadline.
        remaining: float | None = context.time_remaining()
        if remaining is None:
            remaining = self._assumed_deadline
        return asyncio.get_running_loop().time() + remaining

    def _tell(self, error: Exception) -> None:
        """Tell of what its sender may never hear of, and of a fault of ours."""
        if isinstance(error, IncompleteRequestError):
            self._metrics.caller_left()
            self._incomplete.tell(error=str(error))
        elif not isinstance(error, OtelEmbedderError):
            log.error(REQUEST_FAILED, exc_info=error)
