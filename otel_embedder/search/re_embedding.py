"""Vectors for texts that have none, another model's, or are of another text version.

A step at a time, so that a sidecar takes one when it is idle, and a command all.
What was done stays done: whoever begins again goes on.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.entries import Embedded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.search.entries import Entry
    from otel_embedder.search.store import Store

DEFAULT_BATCH = 64


class ReEmbedding:
    """Embeds what a catalogue has no vector of yet. Not safe to use from several threads at once.

    Attributes:
        unknown: how many texts stay without a vector, for the model knows no word of them.

    """

    def __init__(
        self,
        store: Store,
        embedder: TextEmbedder,
        *,
        model: str,
        text_version: str,
        batch_size: int = DEFAULT_BATCH,
    ) -> None:
        """Prepare to embed; nothing is read yet.

        Args:
            store: what keeps the catalogue.
            embedder: embeds texts.
            model: the name of its model.
            text_version: that entries are brought over to.
            batch_size: texts of a step.

        """
        self._store = store
        self._embedder = embedder
        self._model = model
        self._text_version = text_version
        self._batch_size = batch_size
        self._changed = 0
        self._waiting: deque[int] = deque()
        # The model would be asked for them for ever.
        self._unknown: set[int] = set()

    @property
    def unknown(self) -> int:
        """How many texts stay without a vector, for the model knows no word of them."""
        return len(self._unknown)

    def remaining(self) -> int:
        """Give how many texts wait.

        Raises:
            StoreError: the catalogue can't be read.

        """
        columns = self._store.columns(after=self._changed)
        self._changed = columns.changed
        numbers = {name: number for number, name in columns.names.items()}
        is_current = (columns.models == numbers.get(self._model, -1)) & (
            columns.text_versions == numbers.get(self._text_version, -1)
        )
        waiting = dict.fromkeys(self._waiting)
        waiting |= dict.fromkeys(np.sort(columns.keys[~is_current]).tolist())
        self._waiting = deque(key for key in waiting if key not in self._unknown)
        return len(self._waiting)

    def step(self) -> int:
        """Embed some of the texts that wait; give how many were looked at, 0 if none waits.

        Raises:
            EmbeddingError: the model is not there, or failed.
            StoreError: the catalogue can't be read or written.

        """
        if not self._waiting and not self.remaining():
            return 0
        keys = [self._waiting[place] for place in range(min(self._batch_size, len(self._waiting)))]
        entries = [entry for entry in self._store.entries(keys) if self._is_waiting(entry)]
        vectors = [*self._kept(entries), *self._embedded(entries)]
        self._store.put_vectors(vectors, text_version=self._text_version)
        for _ in keys:
            self._waiting.popleft()
        return len(keys)

    def _is_waiting(self, entry: Entry) -> bool:
        return (entry.model, entry.text_version) != (self._model, self._text_version)

    def _kept(self, entries: Sequence[Entry]) -> Iterator[tuple[int, Embedded]]:
        """Give the vectors of those that are but brought over: a vector is of words alone."""
        keys = {entry.words: entry.key for entry in entries if entry.model == self._model}
        for kept in self._store.with_vectors(keys.values()):
            if kept.embedded.model == self._model:
                yield keys[kept.words], kept.embedded

    def _embedded(self, entries: Sequence[Entry]) -> Iterator[tuple[int, Embedded]]:
        wanted = [entry for entry in entries if entry.model != self._model]
        embeddings = self._embedder.embed([entry.words for entry in wanted])
        for entry, embedding in zip(wanted, embeddings, strict=True):
            if embedding.source == "model":
                yield entry.key, Embedded(embedding.model, embedding.vector)
            else:
                self._unknown.add(entry.key)
