"""Texts embedded by a sidecar's own embedders, for who asks, and for what waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from otel_embedder.embedder.embedding import WantedText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.embedder.nest import Nest


class NestTextEmbedder:
    """Embeds texts by a sidecar's embedders, for another thread; whatever is urgent goes first."""

    def __init__(self, nest: Nest, loop: asyncio.AbstractEventLoop) -> None:
        self._nest = nest
        self._loop = loop

    def embed(self, contents: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order.

        Raises:
            EmbeddingError: the model is not there, or failed.

        """
        return asyncio.run_coroutine_threadsafe(self.embed_async(contents), self._loop).result()

    async def embed_async(self, contents: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order, on the loop itself.

        Raises:
            EmbeddingError: the model is not there, or failed.

        """
        wanted = [WantedText(content, urgent=False) for content in contents]
        # Behind the cache: these are to push nobody out of it.
        return [*await asyncio.gather(*self._nest.batcher.embed(wanted))]
