"""Traces in, embeddings out, on one event loop: what `EmbeddingService` is made of."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

from otel_embedder.embedder.embedding import UNKNOWN_TRACE_ID, WantedText
from otel_embedder.embedder.fallback import EMBEDDING_FAILED
from otel_embedder.embedder.nest import nested
from otel_embedder.embedder.stand_in import stand_in
from otel_embedder.errors import MalformedTraceError, UnknownWordsError
from otel_embedder.fairness import TURN_SECONDS, Turn, Turns
from otel_embedder.library.other_forms import as_trace, refuse_nothing
from otel_embedder.library.trace import (
    for_catalogue,
    for_text,
    from_readable_span,
    reading,
    trace_id_of,
)
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_embedder.annotation.names import Names
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.embedder.known import CacheInfo
    from otel_embedder.embedder.models.reviving import RevivingModel
    from otel_embedder.embedder.nest import Nest
    from otel_embedder.text.renderer import Rendering
    from otel_embedder.text.rendering import TextRenderer

    AnyTrace = Mapping[str, object] | ReadableSpan

log = get_logger()


class Reading(NamedTuple):
    """What could be read of a trace; with a text it is `Wanted`.

    Attributes:
        trace_id: its id, or "unknown".
        content: its text, None where it has none.
        urgent: whether it is of an ERROR span.

    """

    trace_id: str
    content: str | None = None
    urgent: bool = False


class EmbeddedText(NamedTuple):
    """An embedding, and the text that it is of.

    Attributes:
        embedding: the model's, or a stand-in.
        text: the trace's text; None where it could not be read.

    """

    embedding: Embedding
    text: str | None


@asynccontextmanager
async def embedding_traces(
    renderer: TextRenderer, names: Names, model: RevivingModel, *, threads: int, cache_size: int
) -> AsyncIterator[TraceEmbedder]:
    """Put embedders around a model, for traces; at the end fail whoever waits for it.

    Args:
        renderer: makes the texts.
        names: of the attributes that are ours, of which a text does not speak.
        model: embeds them; it is closed, too.
        threads: how many batches the model is given at the same time.
        cache_size: how many texts' vectors are remembered.

    """
    async with nested(
        model,
        workers=threads,
        # Whoever asks for many vectors has the texts in memory already.
        max_queue_size=sys.maxsize,
        batch_timeout=math.inf,
        cache_size=cache_size,
        on_failure="fallback",
        quiet_seconds=0,
        turns=Turns(),
        metrics=_Unheard(),
    ) as nest:
        yield TraceEmbedder(renderer, names, model, nest, max_keys=cache_size)


class TraceEmbedder:
    """Renders traces and embeds their texts; a trace that can't be embedded gets a stand-in."""

    def __init__(
        self,
        renderer: TextRenderer,
        names: Names,
        model: RevivingModel,
        nest: Nest,
        *,
        max_keys: int,
    ) -> None:
        """Join what was made.

        Args:
            renderer: makes the texts.
            names: of the attributes that are ours, of which a text does not speak.
            model: the model in the nest.
            nest: embeds the texts.
            max_keys: of how many cache keys it is remembered what they stand for.

        """
        self._renderer = renderer
        self._names = names
        self._model = model
        self._nest = nest
        self._contents: LRUCache[str, str] = LRUCache(max_keys)

    async def preload(self) -> None:
        """Load the model.

        Raises:
            ModelUnavailableError: it can't be loaded.

        """
        await asyncio.to_thread(self._model.loaded)

    async def dimension(self) -> int:
        """Give how many numbers a vector has, as far as that is known."""
        return self._model.dimension

    def cache_info(self) -> CacheInfo:
        """Tell how the cache does."""
        return self._nest.cache.cache_info()

    async def embed_texts(self, contents: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order, before those of any trace.

        Raises:
            EmbeddingError: the model is not there, failed, or knows no word of one: a question
                without its vector finds nothing, and a stand-in would find anything.

        """
        embeddings = await self.embeddings_of(contents, urgent=True)
        if any(embedding.source != "model" for embedding in embeddings):
            raise UnknownWordsError
        return embeddings

    async def embeddings_of(self, contents: Sequence[str], *, urgent: bool) -> list[Embedding]:
        """Give one embedding a text, in order; a stand-in where the model knows no word of it.

        Args:
            contents: the texts.
            urgent: whether they go before those of traces.

        Raises:
            EmbeddingError: the model is not there, or failed.

        """
        distinct = dict.fromkeys(contents)
        futures = self._nest.cache.embed(
            [WantedText(content, urgent=urgent) for content in distinct]
        )
        embeddings = dict(zip(distinct, await asyncio.gather(*futures), strict=True))
        return [embeddings[content] for content in contents]

    async def embed_traces(
        self,
        traces: Sequence[AnyTrace],
        cache_key: str | None,
        *,
        timeout: float,  # noqa: ASYNC109 - it answers by then, with stand-ins
    ) -> list[EmbeddedText]:
        """Give one embedding a trace, in order, each with the text that it is of.

        Args:
            traces: the traces.
            cache_key: of traces that share one vector; None lets each have its own.
            timeout: seconds after which those that have no vector get a stand-in.

        """
        readings: list[Reading] = []
        turn = Turn(seconds=TURN_SECONDS)
        for trace in traces:
            readings.append(self._keyed(self._read(trace), cache_key))
            if turn.is_over():
                await asyncio.sleep(0)
        wanted = [reading for reading in readings if reading.content is not None]
        embeddings = iter(await self._nest.fallback.embed(wanted, timeout=timeout))
        return [
            EmbeddedText(
                (None if reading.content is None else next(embeddings))
                or stand_in(reading.trace_id, self._model.dimension),
                reading.content,
            )
            for reading in readings
        ]

    def _keyed(self, reading: Reading, cache_key: str | None) -> Reading:
        """Give a reading the text that its key stands for."""
        if cache_key is None or reading.content is None:
            return reading
        return reading._replace(content=self._contents.setdefault(cache_key, reading.content))

    async def render(self, trace: AnyTrace) -> str:
        """Give a trace's text.

        Raises:
            MalformedTraceError: it has none.

        """
        return self._rendering(_fields(trace)).content

    def _read(self, trace: AnyTrace) -> Reading:
        """Give a trace's id and text, or log why it has none."""
        trace_id = UNKNOWN_TRACE_ID
        try:
            fields = _fields(trace)
            refuse_nothing(fields)
            trace_id = trace_id_of(fields)
            return Reading(trace_id, *self._rendering(fields))
        except MalformedTraceError as error:
            log.warning(EMBEDDING_FAILED, error=error.loggable(), trace_id=trace_id, fallback=True)
            return Reading(trace_id)

    def _rendering(self, fields: Mapping[str, object]) -> Rendering:
        resource, span = for_text(fields, self._names)
        return self._renderer.render(span, self._renderer.service(resource))


def encoded(trace: AnyTrace, names: Names, *, now: int) -> tuple[bytes, bytes]:
    """Give the encoded Resource and Span of a trace, with its ids and times.

    Args:
        trace: the trace.
        names: of the attributes that are ours, of which a text does not speak.
        now: nanoseconds since 1970: when a trace ended that does not say it.

    Raises:
        MalformedTraceError: it can't be read as a span.

    """
    fields = _fields(trace)
    refuse_nothing(fields)
    return for_catalogue(fields, names, now=now)


def _fields(trace: AnyTrace) -> Mapping[str, object]:
    if not isinstance(trace, Mapping):
        return from_readable_span(trace)
    with reading():
        return as_trace(trace)


class _Unheard:
    """Takes what the embedders tell of their work. It interests nobody here."""

    def looked_up(self, *, hits: int, misses: int) -> None: ...

    def left_queue(self, *, seconds: float) -> None: ...

    def batch_embedded(self, *, texts: int, seconds: float) -> None: ...

    def fell_back(self, *, spans: int) -> None: ...
