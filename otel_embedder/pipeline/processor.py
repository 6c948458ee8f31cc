"""One request through: render every span, embed the texts, annotate, pass on.

All but the last has its time, and what is not done by then goes without: a span
that was not rendered is one that has no vector.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import DecodeError

from otel_embedder.annotation.recurring import Sightings
from otel_embedder.annotation.work import SpanReader, StandingCounter
from otel_embedder.errors import MalformedRequestError
from otel_embedder.fairness import LOOK_BYTES, let_go
from otel_embedder.pipeline.attaching import Attaching, Encoded
from otel_embedder.pipeline.attaching_new import AttachingNew
from otel_embedder.pipeline.bare import BareMetrics, BareSpans
from otel_embedder.pipeline.budget import Budget
from otel_embedder.pipeline.echoes import Echoes
from otel_embedder.pipeline.passed import Passed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.annotation.first_sight import FirstSights
    from otel_embedder.annotation.work import SpanRenderer, Work
    from otel_embedder.embedder.embedding import Embedding, Wanted
    from otel_embedder.fairness import SharedTurn, Turns
    from otel_embedder.otlp.call import Call, Metadata
    from otel_embedder.otlp.wire import Arrived, TraceRequest
    from otel_embedder.pipeline.echoes import Representative
    from otel_embedder.pipeline.passed import Taken


class SpanEmbedder(Protocol):
    """Embeds texts within a time limit, whatever happens."""

    async def embed(self, wanted: Sequence[Wanted], *, timeout: float) -> list[Embedding | None]:  # noqa: ASYNC109 - it answers by then, with stand-ins
        """Give an embedding for each, in order; None is no embedding."""
        ...


class Exporter(Protocol):
    """Sends requests on."""

    def room(self, size: int, *, deadline: float) -> float:
        """Give how many bytes of so many get through by then, as far as is known."""
        ...

    async def export(
        self,
        request: TraceRequest,
        *,
        deadline: float,
        metadata: Metadata,
        arrived: Arrived | None = None,
    ) -> ExportTraceServiceResponse:
        """Send a request on by `deadline`, in the event loop's time, or raise ExportError.

        `arrived` is called with whatever of it the next hop has taken, all of that.
        """
        ...


class ProcessorMetrics(StandingCounter, BareMetrics, Protocol):
    """What the processor tells of its work."""

    def came_back(self, *, spans: int) -> None:
        """Count spans that were sent on from here before."""
        ...


class Processor:
    """Annotates the spans of a request, then hands it to the exporter.

    Attributes:
        reader: reads the spans.

    """

    def __init__(  # noqa: PLR0913 - one for each stage that it joins
        self,
        renderer: SpanRenderer,
        embedder: SpanEmbedder,
        annotator: Annotator,
        exporter: Exporter,
        *,
        embed_timeout: float,
        turns: Turns,
        metrics: ProcessorMetrics,
        taken: Taken | None = None,
        sights: FirstSights | None = None,
    ) -> None:
        self.reader = SpanReader(renderer, annotator)
        self._embedder = embedder
        self._annotator = annotator
        self._exporter = exporter
        self._budget = Budget(max_seconds=embed_timeout, clock=_now)
        self._turns = turns
        self._metrics = metrics
        self._bare = BareSpans(metrics, clock=_now)
        self._echoes = Echoes(annotator)
        self._taken = taken
        self._sights = sights

    async def consume(self, request: TraceRequest, call: Call) -> ExportTraceServiceResponse:
        """Annotate and send on; give the next hop's answer.

        Raises:
            MalformedRequestError: a span is not valid protobuf. Nothing was sent.
            ExportError: the next hop did not take the spans.

        """
        size, turn = request.size, self._turns.task()
        end = self._budget.end(call.deadline, size)
        with call.trace.stage("render"):
            sightings = None if self._taken is None else Sightings()
            works, representative = await self._read(request, turn, end, sightings)
        attaching = self._attaching(request, call.grow, turn)
        with call.trace.stage("embed"):
            # Who wants to know what passed wants to know every vector.
            wanting = works if self._taken is not None else await attaching.refer(works)
            embeddings = await self._embedder.embed(wanting, timeout=max(0.0, end - _now()))
        # What was late to end is part of what it takes from here on.
        with self._budget.learning(size, since=min(end, _now())) as lesson:
            with call.trace.stage("attach"):
                async with turn:
                    until = self._budget.attaching_end(end, call.deadline)
                    await attaching.attach(wanting, embeddings, until=until)
                    room = self._exporter.room(request.size, deadline=call.deadline)
                    lesson.share = await attaching.fit(works, room)
                    arrived, bare = attaching.arrived, attaching.bare
                    if wanting is not works:
                        await let_go(wanting, turn)
                    passed = await _passed(request, works, embeddings, sightings, turn)
            self._bare.note(bare)
            # The next hop may take its time.
            del works, wanting, embeddings, attaching
            self._echoes.remember(representative)
            answer = await self._forward(request, call, arrived)
        if self._taken is not None and passed is not None:
            _tell(self._taken, passed, answer)
        return answer

    async def _forward(
        self, request: TraceRequest, call: Call, arrived: Arrived | None
    ) -> ExportTraceServiceResponse:
        with call.trace.stage("forward"):
            return await self._exporter.export(
                request,
                deadline=call.deadline,
                metadata=call.trace.passed_on(call.metadata),
                arrived=arrived,
            )

    def _attaching(
        self, request: TraceRequest, grow: Callable[[int], None], turn: SharedTurn
    ) -> Attaching:
        if self._sights is None:
            return Attaching(request, Encoded(self._annotator, grow), turn)
        return AttachingNew(request, self._annotator, grow, turn, self._sights)

    async def _read(
        self, request: TraceRequest, turn: SharedTurn, end: float, sightings: Sightings | None
    ) -> tuple[list[Work], Representative | None]:
        """Give what there is to do, rendered until `end`, and what stands for the request."""
        try:
            async with turn:
                representative = self._echoes.representative(request)
                if turn.is_over(LOOK_BYTES):  # that span may have any size, and is read again
                    await turn.let_others()
                if self._echoes.is_echo(representative):
                    self._metrics.came_back(spans=request.spans)
                works = await self._all_read(request, turn, end, sightings)
                return works, representative
        except DecodeError as error:
            raise MalformedRequestError("a span is not a valid protobuf message") from error

    async def _all_read(
        self, request: TraceRequest, turn: SharedTurn, end: float, sightings: Sightings | None
    ) -> list[Work]:
        works: list[Work] = []
        late = asyncio.Event()
        steps = self.reader.read(request, self._metrics, is_late=late.is_set, sightings=sightings)
        for found, size in steps:
            works += found
            if turn.is_over(size):
                await turn.let_others()
                if _now() >= end:
                    late.set()
        return works


async def _passed(
    request: TraceRequest,
    works: list[Work],
    embeddings: list[Embedding | None],
    sightings: Sightings | None,
    turn: SharedTurn,
) -> Passed | None:
    """Keep what there is to tell of a request, if somebody wants to know, or let go of it."""
    if sightings is None:
        await let_go(works, turn)
        await let_go(embeddings, turn)
        return None
    if not sightings.are_all_of(request):
        return Passed(request, works, embeddings, sightings)
    # They are let go of while they are at hand, which takes a third of what it takes later.
    sightings.works.clear()
    await let_go(works, turn)
    return Passed(request, (), embeddings, sightings)


def _tell(taken: Taken, passed: Passed, answer: ExportTraceServiceResponse) -> None:
    if answer.partial_success.rejected_spans:
        taken.passed_in_part(spans=passed.request.spans)
    else:
        taken.passed(passed)


def _now() -> float:
    return asyncio.get_running_loop().time()
