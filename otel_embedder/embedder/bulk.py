"""Embeds many texts for whoever can wait: a file, a command, never a Collector.

Nothing is queued and nothing replaced by a stand-in: it answers when all is
done, or raises. Texts of any number go by in windows.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol, Self

from otel_embedder.embedder.embedding import MAX_BATCH_SIZE
from otel_embedder.embedder.known import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from otel_embedder.embedder.embedding import Embedding, Model
    from otel_embedder.embedder.known import CacheInfo


# So many that a worker hardly waits for the others at a window's end.
BATCHES_A_WORKER = 4


class TextEmbedder(Protocol):
    """Embeds what it is given, or raises."""

    def embed(self, contents: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order."""
        ...


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
        self._known: Known[Embedding] = Known(max_texts=max_texts)

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

    @property
    def dimension(self) -> int:
        """How many numbers its vectors have."""
        return self._model.dimension

    @property
    def window(self) -> int:
        """How many texts to embed at once, so that no thread waits long for the others."""
        return MAX_BATCH_SIZE * BATCHES_A_WORKER * self._workers

    def cache_info(self) -> CacheInfo:
        """Tell how its cache does: its misses are the texts that the model was given."""
        return self._known.info()

    def embed(self, contents: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order; equal texts are computed once.

        Raises:
            EmbeddingError: the model is not there, or failed.

        """
        distinct = dict.fromkeys(contents)
        found = dict(zip(distinct, self._known.look_up(distinct), strict=True))
        missing = [content for content, embedding in found.items() if embedding is None]
        fresh = dict(zip(missing, self._compute(missing), strict=True))
        for content, embedding in fresh.items():
            self._known.remember(content, embedding)
        return [found[content] or fresh[content] for content in contents]

    def _compute(self, contents: Sequence[str]) -> list[Embedding]:
        # No larger than what gives every worker a share.
        size = max(1, min(MAX_BATCH_SIZE, -(-len(contents) // self._workers)))
        batches = [contents[start : start + size] for start in range(0, len(contents), size)]
        return list(chain.from_iterable(self._threads.map(self._model.encode, batches)))


def embedded(
    contents: Iterable[str], embedder: TextEmbedder, *, window: int
) -> Iterator[tuple[str, Embedding]]:
    """Give each text with its embedding, in order; only a window of them is in memory.

    Args:
        contents: the texts.
        embedder: what embeds them.
        window: how many are read and embedded at once.

    Raises:
        EmbeddingError: the model is not there, or failed.

    """
    remaining = iter(contents)
    while texts := list(islice(remaining, window)):
        yield from zip(texts, embedder.embed(texts), strict=True)
