"""Texts of any number in, their embeddings out in order, and only a window of them in memory."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Protocol

from otel_embedder.embedder.embedding import MAX_BATCH_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_embedder.embedder.embedding import Embedding

# So many that a worker hardly waits for the others at a window's end.
BATCHES_A_WORKER = 4


class TextEmbedder(Protocol):
    """Embeds what it is given, or raises."""

    def embed(self, contents: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order."""
        ...


def window_for(threads: int) -> int:
    """Give how many texts to embed at once, where so many batches are computed at the same time."""
    return MAX_BATCH_SIZE * BATCHES_A_WORKER * threads


def embedded(
    contents: Iterable[str], embedder: TextEmbedder, *, window: int
) -> Iterator[tuple[str, Embedding]]:
    """Give each text with its embedding, in order.

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
