"""Questions asked through a catalogue, as a user asks them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.embedder.embedding import Embedding
from otel_embedder.search.asking.queries import MAX_COUNT, SearchQuery
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.entries import Embedded, Example, Examples, RowKey, SeenText
from otel_embedder.search.links import trace_link
from otel_embedder.search.store import Batch
from otel_embedder.search.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.ranking import Floats

MODEL = TEXT_VERSION = "evaluated"
NOT_FOUND = -2.0  # below every score


class AskedCatalogue:
    """A catalogue of texts to be judged by."""

    def __init__(self, texts: Sequence[str], vectors: Mapping[str, Vector]) -> None:
        """Fill it.

        Args:
            texts: what is in it.
            vectors: of these, and of questions.

        """
        self._places = {text: place for place, text in enumerate(texts)}
        self._vectors = vectors
        store = MemoryStore()
        store.write(_batch(texts, vectors))
        self._catalogue = Catalogue(
            store, self, model=MODEL, text_version=TEXT_VERSION, link=trace_link(None)
        )

    def embed(self, contents: Sequence[str]) -> list[Embedding]:
        """Give what is known already."""
        return [Embedding(self._vectors[content], MODEL, "model") for content in contents]

    def scores(self, question: str) -> Floats:
        """Give each text's score, as far as it is among those that are given; shape (texts,)."""
        answer = self._catalogue.search(SearchQuery(question=question, count=MAX_COUNT))
        scores = np.full(len(self._places), NOT_FOUND, np.float32)
        for hit in answer.hits:
            scores[self._places[hit.text]] = hit.score
        return scores


def _batch(texts: Sequence[str], vectors: Mapping[str, Vector]) -> Batch:
    example = Examples.of(Example(b"", b"", 0, None))
    return Batch(
        writer="evaluation",
        number=1,
        rows=[RowKey("", "", "", "")],
        services=[],
        texts=[
            SeenText(text, TEXT_VERSION, 0, "UNSET", example, Embedded(MODEL, vectors[text]))
            for text in texts
        ],
        counts={},
    )
