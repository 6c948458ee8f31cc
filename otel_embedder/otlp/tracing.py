"""Spans of this process's own work, made by OpenTelemetry's SDK: one a request, one a stage of it.

Nothing of a request is told but how it went: what its spans say stays where it is. Ended spans
wait, so many at most, until somebody takes them to send them.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_embedder.otlp.call import NOTHING
from otel_embedder.telemetry.otlp.resource import OWN_SCOPE
from otel_embedder.telemetry.sparing import Sparing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span, Tracer

    from otel_embedder.otlp.call import Metadata

SPANS_DROPPED = "telemetry.spans_dropped"
# Of some seconds, in ten megabytes.
MAX_WAITING = 4_096
# As the SDK's own processor has it.
MAX_BATCH = 512

# Of gRPC's codes those that are a server's fault, by the conventions for RPC: UNKNOWN,
# DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS.
SERVERS_FAULTS = {2, 4, 12, 13, 14, 15}

W3C = TraceContextTextMapPropagator()


class EndedSpans(SpanProcessor):
    """Keeps spans that have ended until they are taken: by another thread than they end in."""

    def __init__(self) -> None:
        self._waiting: deque[ReadableSpan] = deque()
        self._dropped = Sparing(SPANS_DROPPED)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span, or drop it where too many wait."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(span)
        else:
            self._dropped.tell(waiting=MAX_WAITING)

    def take(self) -> list[ReadableSpan]:
        """Give those that came first, and keep them no longer."""
        taken: list[ReadableSpan] = []
        # Whoever gave up waiting for a thread that takes may have another one take beside it.
        with suppress(IndexError):
            while len(taken) < MAX_BATCH:
                taken.append(self._waiting.popleft())
        return taken


class Tracing:
    """Begins a trace for each request, or goes on with its caller's."""

    def __init__(self, resource: Mapping[str, str], *, ratio: float) -> None:
        """Prepare.

        Args:
            resource: who makes the spans.
            ratio: the share of requests that get spans, where their caller has not decided.

        """
        self._ended = EndedSpans()
        # It lives as long as the process, and what is left in the end is taken from it.
        provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource(dict(resource)),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._ended)
        self._tracer = provider.get_tracer(OWN_SCOPE)

    def begin(self, method: str, metadata: Metadata) -> TracedRequest:
        """Begin the span of a request.

        Args:
            method: what was called, as /SERVICE/METHOD.
            metadata: the caller's headers.

        """
        service, _, name = method.removeprefix("/").rpartition("/")
        span = self._tracer.start_span(
            f"{service}/{name}",
            context=W3C.extract({key: text for key, text in metadata if isinstance(text, str)}),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        return TracedRequest(self._tracer, span)

    def encoded(self) -> bytes:
        """Take spans that have ended, as an encoded ExportTraceServiceRequest; nothing if none."""
        spans = self._ended.take()
        return encode_spans(spans).SerializeToString() if spans else b""


class TracedRequest:
    """The span of a request, and those of its stages, which end with it."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        self._context = set_span_in_context(span)
        self._current = span
        self._stages: list[tuple[Span, int]] = []
        self._is_forgotten = False

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Give the span of a stage, for as long as that takes."""
        return self._stage(name) if self._span.is_recording() else NOTHING

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        span = self._current = self._tracer.start_span(name, context=self._context)
        try:
            yield
        except Exception:
            # What it says may hold what a span says.
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            self._stages.append((span, time.time_ns()))
            self._current = self._span

    def took(self, *, spans: int, own: int) -> None:
        """Note how many spans there are, and how many of these are of sidecars' own work."""
        self._span.set_attribute("otel_embedder.spans", spans)
        # To tell of what was told would never end.
        self._is_forgotten = 0 < spans == own

    def passed_on(self, metadata: Metadata) -> Metadata:
        """Give the headers for the next hop, whose spans belong to the stage that calls it.

        Where no span of that is sent, they belong to what the caller's belong to.
        """
        if self._is_forgotten:
            return metadata
        carrier: dict[str, str] = {}
        W3C.inject(carrier, set_span_in_context(self._current))
        others = (pair for pair in metadata if pair[0] not in W3C.fields)
        return (*others, *carrier.items())

    def ended(self, code: int) -> None:
        """End the request's span, with the number of its gRPC status."""
        if self._is_forgotten:
            return
        for span, end in self._stages:
            span.end(end)
        self._span.set_attribute("rpc.grpc.status_code", code)
        if code in SERVERS_FAULTS:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
