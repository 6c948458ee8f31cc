"""Traces in, embeddings out, on one event loop: what `EmbeddingService` is made of."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

from otel_embedder.embedder.batcher import BatchingEmbedder
from otel_embedder.embedder.cache import CacheInfo, CachingEmbedder
from otel_embedder.embedder.embedding import MAX_BATCH_SIZE, UNKNOWN_TRACE_ID, Text
from otel_embedder.embedder.fallback import EMBEDDING_FAILED, FallbackEmbedder, stand_in
from otel_embedder.errors import MalformedTraceError
from otel_embedder.fairness import TURN_SECONDS, Turn
from otel_embedder.library.trace import for_text, from_readable_span, trace_id_of
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_embedder.annotation.names import Names
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.embedder.models.reviving import LazyModel
    from otel_embedder.text.renderer import Renderer

    AnyTrace = Mapping[str, object] | ReadableSpan

log = get_logger()


class Reading(NamedTuple):
    """What could be read of a trace.

    Attributes:
        trace_id: its id, or "unknown".
        text: its text, None where it has none.

    """

    trace_id: str
    text: Text | None


class TraceEmbedder:
    """Renders traces and embeds their texts; a trace that can't be embedded gets a stand-in."""

    def __init__(
        self,
        renderer: Renderer,
        names: Names,
        model: LazyModel,
        *,
        threads: int,
        cache_size: int,
    ) -> None:
        """Put the embedders together.

        Args:
            renderer: makes the texts.
            names: of the attributes that are ours, of which a text does not speak.
            model: embeds them.
            threads: how many batches the model is given at the same time.
            cache_size: how many texts' vectors are remembered.

        """
        self._renderer = renderer
        self._names = names
        self._model = model
        self._lookups = _Lookups()
        self._batcher = BatchingEmbedder(
            model,
            workers=threads,
            max_batch_size=MAX_BATCH_SIZE,
            # Whoever asks for many vectors has the texts in memory already.
            max_queue_size=sys.maxsize,
            metrics=self._lookups,
        )
        self._cache = CachingEmbedder(self._batcher, max_texts=cache_size, metrics=self._lookups)
        self._embedder = FallbackEmbedder(
            self._cache,
            dimension=lambda: model.dimension,
            on_failure="fallback",
            quiet_seconds=0,
            metrics=self._lookups,
        )
        self._cache_size = cache_size
        self._contents: LRUCache[str, str] = LRUCache(cache_size)

    async def close(self) -> None:
        """Fail whoever waits for the model, and end its threads."""
        self._model.close()
        await self._batcher.__aexit__(None, None, None)

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
        lookups = self._lookups
        return CacheInfo(lookups.hits, lookups.misses, self._cache_size, self._cache.size())

    async def embed_texts(self, contents: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order, before those of any trace.

        Raises:
            EmbeddingError: the model is not there, or failed: a question without its vector finds
                nothing, and a stand-in would find anything.

        """
        distinct = dict.fromkeys(contents)
        futures = self._cache.embed([Text(content, urgent=True) for content in distinct])
        embeddings = dict(zip(distinct, await asyncio.gather(*futures), strict=True))
        return [embeddings[content] for content in contents]

    async def embed_traces(
        self,
        traces: Sequence[AnyTrace],
        cache_key: str | None,
        *,
        timeout: float,  # noqa: ASYNC109 - it answers by then, with stand-ins
    ) -> list[Embedding]:
        """Give one embedding a trace, in order.

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
        texts = [reading.text for reading in readings if reading.text]
        embeddings = iter(await self._embedder.embed(texts, timeout=timeout))
        return [
            (next(embeddings) if reading.text else None)
            or stand_in(reading.trace_id, self._model.dimension)
            for reading in readings
        ]

    def _keyed(self, reading: Reading, cache_key: str | None) -> Reading:
        """Give a reading the text that its key stands for."""
        if cache_key is None or reading.text is None:
            return reading
        content = self._contents.setdefault(cache_key, reading.text.content)
        return reading._replace(text=reading.text._replace(content=content))

    async def render(self, trace: AnyTrace) -> str:
        """Give a trace's text.

        Raises:
            MalformedTraceError: it has none.

        """
        return self._text(_fields(trace)).content

    def _read(self, trace: AnyTrace) -> Reading:
        """Give a trace's id and text, or log why it has none."""
        trace_id = UNKNOWN_TRACE_ID
        try:
            fields = _fields(trace)
            trace_id = trace_id_of(fields)
            return Reading(trace_id, self._text(fields)._replace(trace_id=trace_id))
        except MalformedTraceError as error:
            log.warning(EMBEDDING_FAILED, error=error.loggable(), trace_id=trace_id, fallback=True)
            return Reading(trace_id, None)

    def _text(self, fields: Mapping[str, object]) -> Text:
        resource, span = for_text(fields, self._names)
        content, is_error = self._renderer.render(span, self._renderer.service(resource))
        return Text(content, urgent=is_error)


def _fields(trace: AnyTrace) -> Mapping[str, object]:
    return trace if isinstance(trace, Mapping) else from_readable_span(trace)


class _Lookups:
    """Counts what was known to the cache. The embedders' other news interest nobody here."""

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0

    def looked_up(self, *, hits: int, misses: int) -> None:
        self.hits += hits
        self.misses += misses

    def left_queue(self, *, seconds: float) -> None: ...

    def batch_embedded(self, *, texts: int, seconds: float) -> None: ...

    def fell_back(self, *, spans: int) -> None: ...
