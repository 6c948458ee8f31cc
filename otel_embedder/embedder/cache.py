"""Remembers the vectors of recent texts.

It keeps the finished futures themselves: a hit is one look-up, and the one who
asked for a text that is on its way sees no difference. What comes late, after
whoever wanted it has gone on with a stand-in, is remembered all the same.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol

from otel_embedder.embedder.known import Known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.embedder.embedding import Embedder, Embedding, WantedText
    from otel_embedder.embedder.known import CacheInfo
    from otel_embedder.embedder.waiting import Party


class CacheMetrics(Protocol):
    """What the cache tells of its work."""

    def looked_up(self, *, hits: int, misses: int) -> None:
        """Count the texts that were known and those that were not."""
        ...


class CachingEmbedder:
    """An LRU cache in front of another embedder, keyed by the text."""

    def __init__(self, next_: Embedder, *, max_texts: int, metrics: CacheMetrics) -> None:
        self._next = next_
        self._metrics = metrics
        self._known: Known[asyncio.Future[Embedding]] = Known(max_texts=max_texts)

    def cache_info(self) -> CacheInfo:
        """Tell how it does."""
        return self._known.info()

    def embed(
        self, texts: Sequence[WantedText], *, party: Party | None = None
    ) -> list[asyncio.Future[Embedding]]:
        """Give the known embeddings at once, and ask the next embedder for the others."""
        answers = self._known.look_up([text.content for text in texts])
        missing = [text for text, known in zip(texts, answers, strict=True) if known is None]
        self._metrics.looked_up(hits=len(texts) - len(missing), misses=len(missing))
        fresh = iter(self._ask(missing, party))
        return [known or next(fresh) for known in answers]

    def recall(self, content: str, embedding: Embedding) -> bool:
        """Know a text's embedding of before all others; tell whether there is room for it."""
        done: asyncio.Future[Embedding] = asyncio.get_running_loop().create_future()
        done.set_result(embedding)
        return self._known.recall(content, done)

    def _ask(
        self, missing: Sequence[WantedText], party: Party | None
    ) -> list[asyncio.Future[Embedding]]:
        futures = self._next.embed(missing, party=party) if missing else []
        for text, future in zip(missing, futures, strict=True):
            remember = partial(self._remember, text.content)
            # A callback runs a turn of the event loop later, even if all is done.
            remember(future) if future.done() else future.add_done_callback(remember)
        return futures

    def _remember(self, content: str, done: asyncio.Future[Embedding]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._known.remember(content, done)
