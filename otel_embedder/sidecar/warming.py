"""A warm start: the cache filled with what the catalogue has of the texts that were used last.

Some at a time and behind whoever waits for the model. Of each time one text is embedded, and only
if that gives the same bits are the others taken: a vector's name does not tell whether another
engine made it, or other files of a directory.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import numpy as np

from otel_embedder.annotation.vectors import packed, whole_vector
from otel_embedder.embedder.embedding import Embedding, WantedText
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.errors import EmbeddingError, StoreError
from otel_embedder.sidecar.background import beside
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from otel_embedder.embedder.cache import CachingEmbedder
    from otel_embedder.embedder.embedding import Embedder
    from otel_embedder.embedder.nest import Nest
    from otel_embedder.search.store import Store, WithVector
    from otel_embedder.settings import Settings

CACHE_WARMED = "cache.warmed"
CACHE_COLD = "cache.cold"

PIECE = 64  # texts are read at a time, some milliseconds
MODEL_SECONDS = 5.0  # after which a model that could not be had is asked again
OTHER_VECTORS = (
    "the model does not make the vectors that the catalogue has: name them anew, or begin a new one"
)

log = get_logger()


class WarmingMetrics(Protocol):
    """What is told of a warm start."""

    def warmed(self, *, texts: int) -> None:
        """Count texts whose vectors were taken from the catalogue."""
        ...


class Warming:
    """Fills a sidecar's cache from a catalogue."""

    def __init__(  # noqa: PLR0913 - each is one choice
        self,
        cache: CachingEmbedder,
        embedder: Embedder,
        *,
        model: str,
        text_version: str,
        most: int,
        metrics: WarmingMetrics,
    ) -> None:
        """Prepare to fill.

        Args:
            cache: what is filled.
            embedder: what stands behind it, and embeds one text of each piece.
            model: the name of the model.
            text_version: of the texts that are wanted.
            most: how many texts have room.
            metrics: who counts.

        """
        self._cache = cache
        self._embedder = embedder
        self._model = model
        self._text_version = text_version
        self._most = most
        self._metrics = metrics

    async def warm(self, store: Store) -> None:
        """Fill the cache, as far as the catalogue goes, and tell how far that was."""
        began, texts = time.monotonic(), 0
        try:
            for keys in _pieces(await asyncio.to_thread(self._latest, store)):
                found = await asyncio.to_thread(store.with_vectors, keys)
                texts += await self._take([each for each in found if self._is_ours(each)])
        except (StoreError, _OtherVectorsError) as error:
            log.warning(CACHE_COLD, error=str(error) or OTHER_VECTORS, texts=texts)
            return
        if texts:
            log.info(CACHE_WARMED, texts=texts, seconds=round(time.monotonic() - began, 3))

    def _latest(self, store: Store) -> Sequence[int]:
        """Give the keys of the texts that were used last, the last first."""
        columns = store.columns()
        numbers = {name: number for number, name in columns.names.items()}
        ours = (columns.models == numbers.get(self._model, -1)) & (
            columns.text_versions == numbers.get(self._text_version, -1)
        )
        keys, seen = columns.keys[ours], columns.last_seen[ours]
        latest: list[int] = keys[np.argsort(-seen, kind="stable")][: self._most].tolist()
        return latest

    def _is_ours(self, each: WithVector) -> bool:
        """Tell whether a text is still what its key was chosen for."""
        return (each.embedded.model, each.text_version) == (self._model, self._text_version)

    async def _take(self, found: Sequence[WithVector]) -> int:
        """Take some texts into the cache; give how many had room.

        Raises:
            _OtherVectorsError: the model gives other vectors, or one is damaged.

        """
        if not found:
            return 0
        vectors = [packed(each.embedded.vector) for each in found]
        one = await self._embedded(found[0].words)
        are_whole = all(whole_vector(vector, len(one.vector)) is not None for vector in vectors)
        if packed(one.vector) != vectors[0] or not are_whole:
            raise _OtherVectorsError
        texts = 0
        for each in found:
            # In memory of its own, as the model's are.
            embedding = Embedding(each.embedded.vector.copy(), self._model, "model")
            texts += self._cache.recall(each.words, embedding)
        self._metrics.warmed(texts=texts)
        return texts

    async def _embedded(self, words: str) -> Embedding:
        """Embed a text in its turn; wait for a model that can't be had."""
        while True:
            try:
                [done] = self._embedder.embed([WantedText(words, urgent=False)])
                return await done
            except EmbeddingError:  # whoever serves the model tells why
                await asyncio.sleep(MODEL_SECONDS)


class _OtherVectorsError(Exception):
    """Raised when the model does not make the vectors that the catalogue has."""


def _pieces(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(keys), PIECE):
        yield keys[start : start + PIECE]


class Opened:
    """A catalogue that a thread opens, for whoever waits for it in the event loop.

    Attributes:
        store: what was opened, once it was.

    """

    def __init__(self, opened: Callable[[], Store], loop: asyncio.AbstractEventLoop) -> None:
        self.store: asyncio.Future[Store] = loop.create_future()
        self._opened = opened
        self._loop = loop

    def open(self) -> Store:
        """Open it.

        Raises:
            StoreError: it can't be opened.

        """
        store = self._opened()
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._tell, store)
        return store

    def _tell(self, store: Store) -> None:
        if not self.store.done():
            self.store.set_result(store)


@asynccontextmanager
async def warming(
    opened: Opened, settings: Settings, nest: Nest, text_version: str, metrics: WarmingMetrics
) -> AsyncIterator[None]:
    """Fill the cache in the background, once the catalogue has been opened."""
    work = Warming(
        nest.cache,
        nest.batcher,
        model=model_name(settings.model),
        text_version=text_version,
        most=settings.cache_size,
        metrics=metrics,
    )
    async with beside(_warm(work, opened)):
        yield


async def _warm(work: Warming, opened: Opened) -> None:
    await work.warm(await opened.store)
