"""Embeds many texts for whoever can wait: a file, a command, never a Collector.

Nothing is queued and nothing replaced by a stand-in: it answers when all is
done, or raises.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, Self

from cachetools import LRUCache

from otel_embedder.embedder.embedding import MAX_BATCH_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from otel_embedder.embedder.embedding import Embedding, Model


class BulkEmbedder:
    """Runs a model on all cores, and remembers the vectors of recent texts."""

    def __init__(self, model: Model, *, threads: int, max_texts: int) -> None:
        """Wrap a model.

        Args:
            model: what embeds.
            threads: how many batches are computed at the same time.
            max_texts: how many texts are remembered.

        """
        self._model = model
        self._workers = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="embedder")
        self._known: LRUCache[str, Embedding] = LRUCache(max_texts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # After an interruption nobody wants the batches that have not begun.
        self._threads.shutdown(cancel_futures=True)

    def embed(self, contents: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order; equal texts are computed once.

        Raises:
            EmbeddingError: the model is not there, or failed.

        """
        found = {content: self._known.get(content) for content in contents}
        missing = [content for content, embedding in found.items() if embedding is None]
        fresh = dict(zip(missing, self._compute(missing), strict=True))
        self._known.update(fresh)
        return [found[content] or fresh[content] for content in contents]

    def _compute(self, contents: Sequence[str]) -> list[Embedding]:
        # No larger than what gives every worker a share.
        size = max(1, min(MAX_BATCH_SIZE, -(-len(contents) // self._workers)))
        batches = [contents[start : start + size] for start in range(0, len(contents), size)]
        return list(chain.from_iterable(self._threads.map(self._model.encode, batches)))
