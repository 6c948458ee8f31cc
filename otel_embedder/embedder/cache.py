"""Remembers the vectors of recent texts.

It keeps the finished futures themselves: a hit is one look-up, and the one who
asked for a text that is on its way sees no difference. What comes late, after
whoever wanted it has gone on with a stand-in, is remembered all the same.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cachetools import LRUCache

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from otel_embedder.embedder.embedding import Embedder, Embedding, WantedText


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
        self._known: LRUCache[str, asyncio.Future[Embedding]] = LRUCache(max_texts)

    def size(self) -> int:
        """How many texts are known."""
        return len(self._known)

    def embed(self, texts: Sequence[WantedText]) -> list[asyncio.Future[Embedding]]:
        """Give the known embeddings at once, and ask the next embedder for the others."""
        answers = {text.content: self._known.get(text.content) for text in texts}
        missing = [text for text in texts if answers[text.content] is None]
        self._metrics.looked_up(hits=len(texts) - len(missing), misses=len(missing))
        fresh = iter(self._ask(missing))
        return [answers[text.content] or next(fresh) for text in texts]

    def _ask(self, missing: Sequence[WantedText]) -> list[asyncio.Future[Embedding]]:
        futures = self._next.embed(missing) if missing else []
        for text, future in zip(missing, futures, strict=True):
            remember = partial(self._remember, text.content)
            # A callback runs a turn of the event loop later, even if all is done.
            remember(future) if future.done() else future.add_done_callback(remember)
        return futures

    def _remember(self, content: str, done: asyncio.Future[Embedding]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._known[content] = done


class CacheInfo(NamedTuple):
    """How a cache does.

    Attributes:
        hits: texts asked for whose vectors were known.
        misses: texts asked for whose vectors were not.
        maxsize: how many vectors are remembered at most.
        currsize: how many are now.

    """

    hits: int
    misses: int
    maxsize: int
    currsize: int
