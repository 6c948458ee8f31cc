"""What the next hop took of requests that failed all the same, for when they come again.

A request in several chunks may run out of time between two of them. Its sender keeps all of it, so
all of it comes again. What was taken is left out then: each try gets further, and in the end the
last span arrives.

It is a balance. A span that was taken but not acknowledged, its request having failed, may be left
out once. So each span has been taken at least as often as it was acknowledged, also where equal
ones are sent on purpose. A request that goes through at once adds nothing to it.

A span is known by a digest of what it came as, of its resource, its scope and its sender's
headers. So it makes no difference which vector it has this time, how the request is cut, or that
somebody has put it into another batch meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from otel_embedder.exporter.answers import Verdict
from otel_embedder.fairness import STEP_BYTES
from otel_embedder.otlp.wire import TraceRequest
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.fairness import SharedTurn, Turns
    from otel_embedder.otlp.call import Metadata
    from otel_embedder.otlp.wire import ResourceSpans, ScopeSpans, Span

# A span is remembered for once to twice as long. A Collector waits 30 s between tries at most.
GENERATION_SECONDS = 300.0
# Two generations of so many: some 150 bytes each, so 20 MB at most.
GENERATION_SPANS = 65_536
DIGEST_BYTES = 16

SPANS_LEFT_OUT = "request.came_again"
# Who is slow is so for many requests: that is a line a minute.
QUIET_SECONDS = 60.0

# Headers that are others with each try, and never say whose the spans are.
TRACING_HEADERS = {"traceparent", "tracestate", "b3"}
TRACING_PREFIX = "x-b3-"

log = get_logger()


class TakenSpans:
    """The spans that may be left out, by digest, each with the verdict that it was taken with.

    Bounded in time and number by two generations: when the young one is full or of age it becomes
    the old one, and what was old is forgotten.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._young: dict[bytes, Verdict] = {}
        self._old: dict[bytes, Verdict] = {}
        self._of_age_at = 0.0
        self._left_out = 0
        self._tell_at = clock()

    def is_empty(self) -> bool:
        """Tell whether there is nothing to leave out."""
        while (self._young or self._old) and self._clock() >= self._of_age_at:
            self._begin_generation(since=self._of_age_at)
        return not self._young and not self._old

    def put(self, digest: bytes, verdict: Verdict) -> None:
        """Remember a span that was taken."""
        if len(self._young) >= GENERATION_SPANS or self.is_empty():
            self._begin_generation(since=self._clock())
        self._young[digest] = verdict

    def pop(self, digest: bytes) -> Verdict | None:
        """Give what a span was taken with, if it may be left out, and forget it."""
        return self._young.pop(digest, None) or self._old.pop(digest, None)

    def tell(self, spans: int) -> None:
        """Tell of spans that were left out, at most once a minute."""
        self._left_out += spans
        if self._clock() >= self._tell_at:
            log.info(SPANS_LEFT_OUT, spans_taken_before=self._left_out)
            self._left_out, self._tell_at = 0, self._clock() + QUIET_SECONDS

    def _begin_generation(self, *, since: float) -> None:
        self._old, self._young = self._young, {}
        self._of_age_at = since + GENERATION_SECONDS


class Progress:
    """What the next hop has taken of one request, in this try and in those before.

    Attributes:
        verdict: what it said of these spans.

    """

    def __init__(self, taken: TakenSpans, metadata: Metadata, turns: Turns) -> None:
        """Begin with nothing.

        Args:
            taken: what was taken of requests before.
            metadata: the headers that the request is sent with.
            turns: of whatever keeps the event loop busy.

        """
        self.verdict = Verdict()
        self._taken = taken
        self._metadata = metadata
        self._turns = turns
        # Of spans taken in tries before: how many equal ones have each digest.
        self._before: dict[bytes, int] = {}
        self._now: list[TraceRequest] = []

    def has_begun(self) -> bool:
        """Tell whether the next hop has taken any of it, ever."""
        return bool(self._before or self._now)

    def take(self, chunk: TraceRequest, verdict: Verdict) -> None:
        """Note that the next hop took a chunk, and what it said of it."""
        self._now.append(chunk)
        self.verdict.add(verdict)

    async def left_of(self, request: TraceRequest) -> TraceRequest:
        """Give what of a request was not taken before: nearly always all of it."""
        if self._taken.is_empty():
            return request
        resources = []
        async with self._turns.task() as turn:
            for resource in request.resources:
                scopes = await self._left_of_resource(resource, turn)
                if scopes:
                    resources.append(replace(resource, scopes=scopes))
        if not self._before:
            return request
        left = TraceRequest.of(resources, request.header)
        self._taken.tell(request.spans - left.spans)
        return left

    async def remember(self) -> None:
        """Let what was taken be left out when it comes again: the request has failed."""
        if not self.has_begun():
            return
        async with self._turns.task() as turn:
            for digest, copies in self._before.items():
                for copy in range(copies):
                    self._taken.put(_numbered(digest, copy), self.verdict)
                if turn.is_over(copies * STEP_BYTES):
                    await turn.let_others()
            for request in self._now:
                for resource in request.resources:
                    await self._remember(resource, turn)

    async def _remember(self, resource: ResourceSpans, turn: SharedTurn) -> None:
        place = _below(self._sender, resource.header)
        for scope in resource.scopes:
            place_of_spans = _below(place, scope.header)
            for span in scope.spans:
                self._put(_digest(place_of_spans, span))
                if turn.is_over(len(span.encoded)):
                    await turn.let_others()

    def _put(self, digest: bytes) -> None:
        copy = self._before.get(digest, 0)
        self._before[digest] = copy + 1
        self._taken.put(_numbered(digest, copy), self.verdict)

    async def _left_of_resource(
        self, resource: ResourceSpans, turn: SharedTurn
    ) -> list[ScopeSpans]:
        place = _below(self._sender, resource.header)
        if turn.is_over(len(resource.header)):
            await turn.let_others()
        scopes = []
        for scope in resource.scopes:
            spans = await self._left_of_scope(scope, place, turn)
            if spans:
                scopes.append(replace(scope, spans=spans))
        return scopes

    async def _left_of_scope(self, scope: ScopeSpans, place: bytes, turn: SharedTurn) -> list[Span]:
        place_of_spans = _below(place, scope.header)
        if turn.is_over(len(scope.header)):
            await turn.let_others()
        spans = []
        for span in scope.spans:
            if not self._was_taken(_digest(place_of_spans, span)):
                spans.append(span)
            if turn.is_over(len(span.encoded)):
                await turn.let_others()
        return spans

    def _was_taken(self, digest: bytes) -> bool:
        copies = self._before.get(digest, 0)
        verdict = self._taken.pop(_numbered(digest, copies))
        if verdict is None:
            return False
        self._before[digest] = copies + 1
        # It is told once: to whom the first of its spans belongs now.
        verdict.move_to(self.verdict)
        return True

    @cached_property
    def _sender(self) -> bytes:
        """A digest of the headers that say whose the spans are, such as a tenant's name."""
        headers = sorted((pair for pair in self._metadata if not _is_of_tracing(pair[0])), key=repr)
        return _below(b"", repr(headers).encode())


def _is_of_tracing(header: str) -> bool:
    return header in TRACING_HEADERS or header.startswith(TRACING_PREFIX)


def _below(place: bytes, header: bytes) -> bytes:
    """Give the place of what stands below a header, which is in a place itself."""
    digest = sha256(place)
    digest.update(header)  # no copy is made: it may be most of a request
    return digest.digest()


def _digest(place: bytes, span: Span) -> bytes:
    return sha256(place + span.digest()).digest()[:DIGEST_BYTES]


def _numbered(digest: bytes, copy: int) -> bytes:
    """Tell the second and further of equal spans from the first."""
    return digest + copy.to_bytes(4) if copy else digest
