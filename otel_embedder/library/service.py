"""Vectors for whoever has traces: the renderer and the embedder, without the sidecar.

The work is done on an event loop in the background. So a service may be used
from any event loop, or from several threads, or where there is no loop at all,
and never holds up the caller's own.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Self, TypedDict, TypeVar, Unpack

import numpy as np

from otel_embedder.annotation.names import Names
from otel_embedder.annotation.settings import DEFAULT_PREFIX
from otel_embedder.annotation.standing import Origin
from otel_embedder.annotation.text_id import text_id
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.embedder.known import CacheInfo
from otel_embedder.embedder.models.choice import (
    DEFAULT_ENGINE,
    DEFAULT_MODEL,
    ModelChoice,
    check_engine,
    check_model,
    check_threads,
    default_cache,
)
from otel_embedder.embedder.models.engines import reviving_model, thread_count
from otel_embedder.embedder.models.reviving import RevivingModel
from otel_embedder.embedder.models.weights import model_name as _name_of
from otel_embedder.embedder.settings import DEFAULT_CACHE_SIZE
from otel_embedder.library.catalogued import CataloguedTraces
from otel_embedder.library.running import RunningEmbedder
from otel_embedder.library.sync_service import SyncEmbeddingService
from otel_embedder.library.trace_embedder import embedding_traces, encoded
from otel_embedder.search.asking.queries import DEFAULT_COUNT
from otel_embedder.search.links import check_trace_link, trace_link
from otel_embedder.search.settings import MEMORY, check_catalogue
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from types import TracebackType

    from otel_embedder.embedder.embedding import Model, Vector
    from otel_embedder.embedder.models.choice import Engine
    from otel_embedder.library.background import BackgroundLoop
    from otel_embedder.library.catalogued import ChangesOptions, FilterOptions, GroupOptions
    from otel_embedder.library.trace_embedder import AnyTrace, EmbeddedText, TraceEmbedder
    from otel_embedder.search.asking.answers import Answer
    from otel_embedder.search.changes.answers import Changes
    from otel_embedder.search.groups.found import GroupsAnswer

Result = TypeVar("Result")
Option = TypeVar("Option")


class ServiceOptions(TypedDict, total=False):
    """What an `EmbeddingService` can be told; see there."""

    model_name: str
    cache_size: int
    engine: Engine
    model_cache: Path | None
    threads: int | None
    embed_timeout: float
    text: RenderOptions | None
    attribute_prefix: str
    model: Model | None
    catalogue: str | None
    trace_link: str | None


class EmbeddingService:
    """Gives traces and texts their vectors.

    ::

        async with EmbeddingService() as service:
            vector = await service.embed_trace({"service": "cart", "name": "GET /cart"})

    A trace is a dict (`otel_embedder.library.trace.Trace` names its fields) or a span of
    the OpenTelemetry SDK. It always gets a vector: where the model has none, a
    stand-in made of its trace id, with the warning `embedding-generation-failed`;
    `embed` tells which it is. Nothing starts before it is needed. Safe to use
    from several threads and event loops at once.
    """

    def __init__(  # noqa: PLR0913 - options, each with its default
        self,
        model_name: str = DEFAULT_MODEL,
        *,
        cache_size: int = DEFAULT_CACHE_SIZE,
        engine: Engine = DEFAULT_ENGINE,
        model_cache: Path | None = None,
        threads: int | None = None,
        embed_timeout: float = math.inf,
        text: RenderOptions | None = None,
        attribute_prefix: str = DEFAULT_PREFIX,
        model: Model | None = None,
        catalogue: str | None = None,
        trace_link: str | None = None,
    ) -> None:
        """Prepare to embed.

        Args:
            model_name: the default model, or a directory with a model's files; with the engine
                sentence-transformers any model that it loads.
            cache_size: how many texts' vectors are remembered, 6 KB each.
            engine: ctranslate2 or sentence-transformers.
            model_cache: the directory of converted models; None is the user's cache directory.
            threads: texts computed at the same time; None is as many as there are CPUs.
            embed_timeout: seconds after which a trace whose vector is not ready gets a stand-in.
            text: how traces read.
            attribute_prefix: what the names of our attributes begin with, of which a text does not
                speak.
            model: a model of your own, in the place of the named one.
            catalogue: where `store_trace` keeps traces: sqlite:///PATH, or memory.
            trace_link: where a trace can be looked at: a URL with {trace_id}, or as the setting of
                that name says.

        Raises:
            ValueError: an option can't be; it names the option.

        """
        if cache_size < 1:
            raise ValueError(f"cache_size must be at least 1; it is {cache_size}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, or None; it is {threads}")
        _check("threads", threads, check_threads)
        if model is None:
            _check("engine", engine, check_engine)
            _check("model_name", model_name, partial(check_model, engine=engine))
        self._engine = engine
        self._model_name = model_name
        self._model_cache = model_cache
        self._threads = threads
        self._own_model = model
        self._renderer = new_renderer(text or RenderOptions())
        # A stand-in does not know what the model is called for which it stands in.
        self._known_model_name = None if model is not None else _name_of(model_name)
        self._names = Names.with_prefix(attribute_prefix)
        _check("catalogue", catalogue or MEMORY, check_catalogue)
        _check("trace_link", trace_link, _check_link)
        self._catalogue_url = catalogue
        self._trace_link = trace_link
        self._text = text or RenderOptions()
        self._catalogued: CataloguedTraces | None = None
        self._cache_size = cache_size
        self._embed_timeout = embed_timeout
        self._lock = threading.Lock()
        self._running = RunningEmbedder(self._embedder)

    @classmethod
    def sync(cls, **options: Unpack[ServiceOptions]) -> SyncEmbeddingService:
        """Give such a service for code without `await`: scripts, notebooks, threads."""
        return SyncEmbeddingService(cls(**options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Free the model and the threads, for good. What is under way gets stand-ins."""
        with self._lock:
            self._running.refuse()
            catalogued, self._catalogued = self._catalogued, None
        if catalogued is not None:
            catalogued.close()
        self._running.close()

    @property
    def text_version(self) -> str:
        """The version of the text: vectors of traces compare only within one."""
        return self._renderer.text_version

    def cache_info(self) -> CacheInfo:
        """Give the cache's hits, misses, maxsize and currsize."""
        return self._running.cache_info() or CacheInfo(0, 0, self._cache_size, 0)

    async def preload(self) -> None:
        """Load the model now instead of with the first trace.

        Raises:
            ModelUnavailableError: it can't be loaded.
            EmbedderClosedError: the service is closed.

        """
        await self._on(lambda embedder: embedder.preload())

    async def embed_trace(self, trace: AnyTrace, cache_key: str | None = None) -> Vector:
        """Give a trace's vector: shape (dimension,), float32, unit length.

        Args:
            trace: the trace.
            cache_key: traces of one key share the vector of the first, whatever the others read.

        Raises:
            EmbedderClosedError: the service is closed.

        """
        return (await self.embed(trace, cache_key)).vector

    async def embed_traces(self, traces: Iterable[AnyTrace]) -> Vector:
        """Give the vectors of traces, in order: shape (traces, dimension); see `embed_trace`."""
        embeddings = [embedding for embedding, _ in await self._embeddings([*traces])]
        return await self._stacked(embeddings)

    async def embed(self, trace: AnyTrace, cache_key: str | None = None) -> Embedding:
        """Give a trace's vector with the model that really made it; see `embed_trace`."""
        [embedded] = await self._embeddings([trace], cache_key)
        return self._own(embedded)

    async def embed_all(self, traces: Iterable[AnyTrace]) -> list[Embedding]:
        """Give the vectors of traces, in order, each with the model that really made it."""
        return [self._own(embedded) for embedded in await self._embeddings([*traces])]

    async def embed_text(self, text: str) -> Vector:
        """Give a text's vector, to search with: shape (dimension,), float32, unit length.

        Raises:
            EmbeddingError: the model is not there, failed, or knows no word of it; or the service
                is closed. A question has no stand-in: it would find anything.

        """
        vector: Vector = (await self.embed_texts([text]))[0]
        return vector

    async def embed_texts(self, texts: Iterable[str]) -> Vector:
        """Give the vectors of texts, in order: shape (texts, dimension); see `embed_text`."""
        contents = [*texts]
        return await self._stacked(await self._on(lambda embedder: embedder.embed_texts(contents)))

    async def render(self, trace: AnyTrace) -> str:
        """Give the text that is embedded for a trace.

        Raises:
            MalformedTraceError: it has none.
            EmbedderClosedError: the service is closed.

        """
        return await self._on(lambda embedder: embedder.render(trace))

    async def store_trace(self, trace: AnyTrace) -> None:
        """Keep a trace in the catalogue: at once, for its text is embedded behind.

        Raises:
            MalformedTraceError: it can't be read as a span.
            QueueFullError: so many wait to be written that this one is not taken.
            StoreError: the catalogue can't be opened.
            EmbedderClosedError: the service is closed.
            ValueError: the service has no catalogue.

        """
        catalogued = await asyncio.to_thread(self._opened)
        catalogued.store(*encoded(trace, self._names, now=time.time_ns()))

    async def settle(self) -> None:
        """Wait until all that was stored can be found.

        Raises:
            StoreError: the catalogue can't be written.
            EmbeddingError: the model is not there or failed, or the service is closed.
            ValueError: the service has no catalogue.

        """
        await asyncio.to_thread(lambda: self._opened().settle())

    async def find_similar(
        self,
        like: AnyTrace | str,
        k: int = DEFAULT_COUNT,
        *,
        threshold: float | None = None,
        **filters: Unpack[FilterOptions],
    ) -> Answer:
        """Find what the catalogue has that answers words, or is like a trace.

        Args:
            like: a question in words, or a trace.
            k: how many texts to give at most.
            threshold: the least cosine; None is any.
            **filters: which texts to look at.

        Raises:
            MalformedTraceError: the trace can't be read as a span.
            EmbeddingError: the model is not there or failed, or the service is closed.
            StoreError: the catalogue can't be read.
            ValueError: a filter can't be, or the service has no catalogue.

        """
        options = {"count": k, "threshold": threshold, **filters}
        if isinstance(like, str):
            return await asyncio.to_thread(lambda: self._opened().answer(like, **options))
        text = await self.render(like)
        _, span = encoded(like, self._names, now=time.time_ns())
        return await asyncio.to_thread(lambda: self._opened().like(text, span, **options))

    async def groups(self, **options: Unpack[GroupOptions]) -> GroupsAnswer:
        """Tell which failures the catalogue has: new and regressed ones first.

        Args:
            **options: which of them to look at, and how many to give.

        Raises:
            StoreError: the catalogue can't be read.
            EmbedderClosedError: the service is closed.
            ValueError: an option can't be, or the service has no catalogue.

        """
        return await asyncio.to_thread(lambda: self._opened().groups(**options))

    async def changes(self, **times: Unpack[ChangesOptions]) -> Changes:
        """Tell what is different now from what the catalogue counted, the likeliest cause first.

        Args:
            **times: what is compared with what.

        Raises:
            StoreError: the catalogue can't be read.
            ValueError: a time can't be, or the service has no catalogue.

        """
        return await asyncio.to_thread(lambda: self._opened().changes(**times))

    def _opened(self) -> CataloguedTraces:
        """Give the catalogue, opened by the first who needs it."""
        with self._lock:
            self._running.check()
            if self._catalogue_url is None:
                raise ValueError("there is no catalogue: EmbeddingService(catalogue=...) names one")
            if self._catalogued is None:
                self._catalogued = CataloguedTraces(
                    self._catalogue_url,
                    new_renderer(self._text),
                    _Behind(self),
                    model=self._model_name_of_vectors,
                    link=trace_link(self._trace_link),
                )
            return self._catalogued

    def _model_name_of_vectors(self) -> str:
        """Give the name of the model: a program's own has none before it has embedded something."""
        if self._known_model_name is None:
            [embedding] = _Behind(self).embed(["a"])
            self._known_model_name = embedding.model
        return self._known_model_name

    async def _embeddings(
        self, traces: Sequence[AnyTrace], cache_key: str | None = None
    ) -> list[EmbeddedText]:
        timeout = self._embed_timeout
        return await self._on(
            lambda embedder: embedder.embed_traces(traces, cache_key, timeout=timeout)
        )

    def _own(self, embedded: EmbeddedText) -> Embedding:
        """Give a copy: what the caller does to it must not change what is remembered."""
        embedding, text = embedded
        model = embedding.model if embedding.source == "model" else self._known_model_name
        id_ = None
        if text is not None and model is not None:
            id_ = text_id(Origin(model, self._renderer.text_version), text)
        return Embedding(embedding.vector.copy(), embedding.model, embedding.source, id_)

    async def _stacked(self, embeddings: list[Embedding]) -> Vector:
        if not embeddings:
            dimension = await self._on(lambda embedder: embedder.dimension())
            return np.empty((0, dimension), np.float32)
        return np.stack([embedding.vector for embedding in embeddings])

    async def _on(
        self, use: Callable[[TraceEmbedder], Coroutine[object, object, Result]]
    ) -> Result:
        """Use the embedder on its own loop."""
        return await asyncio.wrap_future(self._running.use(use))

    def embeddings_of(self, contents: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order, from a thread without a loop; as `embed_texts`.

        What the model knows no word of gets a stand-in.
        """
        return self._running.use(
            lambda embedder: embedder.embeddings_of(contents, urgent=False)
        ).result()

    def background(self) -> BackgroundLoop:
        """Give the event loop that the work is done on, started if need be.

        Raises:
            EmbedderClosedError: the service is closed.

        """
        return self._running.loop()

    def _embedder(self) -> AbstractAsyncContextManager[TraceEmbedder]:
        threads = thread_count(self._threads)
        return embedding_traces(
            self._renderer,
            self._names,
            self._model(threads),
            threads=threads,
            cache_size=self._cache_size,
        )

    def _model(self, threads: int) -> RevivingModel:
        own = self._own_model
        if own is not None:
            return RevivingModel(lambda: own, dimension=own.dimension, retry_after=0)
        cache = self._model_cache or default_cache()
        return reviving_model(ModelChoice(self._engine, self._model_name, cache, threads))


class _Behind:
    """Embeds texts for the catalogue, on the service's own loop."""

    def __init__(self, service: EmbeddingService) -> None:
        self._service = service

    def embed(self, contents: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order; from any thread but the loop's."""
        return self._service.embeddings_of(contents)


def _check_link(link: str | None) -> None:
    if link is not None:
        check_trace_link(link)


def _check(option: str, value: Option, check: Callable[[Option], object]) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"{option} {error}; it is {value!r}") from error
