"""The service for code without `await`: each method waits for the one of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar, Unpack

from otel_embedder.search.asking.queries import DEFAULT_COUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from types import TracebackType

    from otel_embedder.embedder.embedding import Embedding, Vector
    from otel_embedder.embedder.known import CacheInfo
    from otel_embedder.library.catalogued import ChangesOptions, FilterOptions, GroupOptions
    from otel_embedder.library.service import EmbeddingService
    from otel_embedder.library.trace_embedder import AnyTrace
    from otel_embedder.search.asking.answers import Answer
    from otel_embedder.search.changes.answers import Changes
    from otel_embedder.search.groups.found import GroupsAnswer

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


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

    def store_trace(self, trace: AnyTrace) -> None:
        """Keep a trace in the catalogue, to be embedded behind; see there for what it raises."""
        self._run(self._service.store_trace, trace)

    def settle(self) -> None:
        """Wait until all that was stored can be found; raises StoreError and EmbeddingError."""
        self._run(self._service.settle)

    def find_similar(
        self,
        like: AnyTrace | str,
        k: int = DEFAULT_COUNT,
        *,
        threshold: float | None = None,
        **filters: Unpack[FilterOptions],
    ) -> Answer:
        """Find what the catalogue has that answers words, or is like a trace; see there."""
        return self._run(self._service.find_similar, like, k, threshold=threshold, **filters)

    def groups(self, **options: Unpack[GroupOptions]) -> GroupsAnswer:
        """Tell which failures the catalogue has; see there."""
        return self._run(self._service.groups, **options)

    def changes(self, **times: Unpack[ChangesOptions]) -> Changes:
        """Tell what is different now, the likeliest cause first; see there."""
        return self._run(self._service.changes, **times)

    def render(self, trace: AnyTrace) -> str:
        """Give the text that is embedded for a trace; raises MalformedTraceError."""
        return self._run(self._service.render, trace)

    def _run(
        self,
        method: Callable[Arguments, Coroutine[object, object, Result]],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Result:
        # On the background's own loop: the caller's thread may run one, as a notebook's does.
        loop = self._service.background()
        return loop.submit(method(*arguments, **options)).result()
