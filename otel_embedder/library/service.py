"""Vectors for whoever has traces: the renderer and the embedder, without the sidecar.

The work is done on an event loop in the background. So a service may be used
from any event loop, or from several threads, or where there is no loop at all,
and never holds up the caller's own.
"""

from __future__ import annotations

import asyncio
import math
import threading
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Self, TypedDict, TypeVar, Unpack

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
from otel_embedder.errors import EmbedderClosedError
from otel_embedder.library.background import BackgroundLoop
from otel_embedder.library.trace_embedder import embedding_traces
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from types import TracebackType

    from otel_embedder.embedder.embedding import Model, Vector
    from otel_embedder.embedder.models.choice import Engine
    from otel_embedder.library.trace_embedder import AnyTrace, EmbeddedText, TraceEmbedder

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
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
        self._cache_size = cache_size
        self._embed_timeout = embed_timeout
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._is_closed = False

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
            running, self._running, self._is_closed = self._running, None, True
        if running is not None and running.loop.is_alive():
            running.close()

    @property
    def text_version(self) -> str:
        """The version of the text: vectors of traces compare only within one."""
        return self._renderer.text_version

    def cache_info(self) -> CacheInfo:
        """Give the cache's hits, misses, maxsize and currsize."""
        running = self._running
        if running is None or running.embedder is None:
            return CacheInfo(0, 0, self._cache_size, 0)
        return running.embedder.cache_info()

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
        self, use: Callable[[TraceEmbedder], Coroutine[object, object, Answer]]
    ) -> Answer:
        """Use the embedder on its own loop."""
        running = self._started()

        async def used() -> Answer:
            return await use(await running.started(self._embedder))

        return await asyncio.wrap_future(running.loop.submit(used()))

    def background(self) -> BackgroundLoop:
        """Give the event loop that the work is done on, started if need be.

        Raises:
            EmbedderClosedError: the service is closed.

        """
        return self._started().loop

    def _started(self) -> _Running:
        with self._lock:
            if self._is_closed:
                raise EmbedderClosedError("the service is closed")
            if self._running is None:
                self._running = _Running()
            if not self._running.loop.is_alive():
                raise EmbedderClosedError("the process was forked; use a service only after that")
            return self._running

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


def _check(option: str, value: Option, check: Callable[[Option], None]) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"{option} {error}; it is {value!r}") from error


class _Running:
    """What there is of a service once it is used."""

    def __init__(self) -> None:
        self.loop = BackgroundLoop()
        self.embedder: TraceEmbedder | None = None
        self._starting = asyncio.Lock()
        self._parts = AsyncExitStack()

    async def started(
        self, start: Callable[[], AbstractAsyncContextManager[TraceEmbedder]]
    ) -> TraceEmbedder:
        """Give the embedder, made by the first who asks: on the loop, since it reads files."""
        async with self._starting:
            if self.embedder is None:
                self.embedder = await self._parts.enter_async_context(start())
            return self.embedder

    def close(self) -> None:
        self.loop.submit(self._parts.aclose()).result()
        self.loop.close()


class SyncEmbeddingService:
    """`EmbeddingService` for code without `await`; see there for what each method does.

    ::

        with EmbeddingService.sync() as service:
            vector = service.embed_trace({"service": "cart", "name": "GET /cart"})
    """

    def __init__(self, service: EmbeddingService) -> None:
        self._service = service

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the model and the threads, for good."""
        self._service.close()

    @property
    def text_version(self) -> str:
        """The version of the text: vectors of traces compare only within one."""
        return self._service.text_version

    def cache_info(self) -> CacheInfo:
        """Give the cache's hits, misses, maxsize and currsize."""
        return self._service.cache_info()

    def preload(self) -> None:
        """Load the model now; raises ModelUnavailableError."""
        self._run(self._service.preload)

    def embed_trace(self, trace: AnyTrace, cache_key: str | None = None) -> Vector:
        """Give a trace's vector: shape (dimension,), float32, unit length."""
        return self._run(self._service.embed_trace, trace, cache_key)

    def embed_traces(self, traces: Iterable[AnyTrace]) -> Vector:
        """Give the vectors of traces, in order: shape (traces, dimension)."""
        return self._run(self._service.embed_traces, [*traces])

    def embed(self, trace: AnyTrace, cache_key: str | None = None) -> Embedding:
        """Give a trace's vector with the model that really made it."""
        return self._run(self._service.embed, trace, cache_key)

    def embed_all(self, traces: Iterable[AnyTrace]) -> list[Embedding]:
        """Give the vectors of traces, in order, each with the model that really made it."""
        return self._run(self._service.embed_all, [*traces])

    def embed_text(self, text: str) -> Vector:
        """Give a text's vector: shape (dimension,); raises EmbeddingError."""
        return self._run(self._service.embed_text, text)

    def embed_texts(self, texts: Iterable[str]) -> Vector:
        """Give the vectors of texts, in order: shape (texts, dimension); raises EmbeddingError."""
        return self._run(self._service.embed_texts, [*texts])

    def render(self, trace: AnyTrace) -> str:
        """Give the text that is embedded for a trace; raises MalformedTraceError."""
        return self._run(self._service.render, trace)

    def _run(
        self,
        method: Callable[Arguments, Coroutine[object, object, Answer]],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Answer:
        # On the background's own loop: the caller's thread may run one, as a notebook's does.
        loop = self._service.background()
        return loop.submit(method(*arguments, **options)).result()
