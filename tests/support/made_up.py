"""Catalogues for tests: texts with vectors, written into a store."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.embedder.embedding import Embedding
from otel_embedder.search.counts import Counts, Table
from otel_embedder.search.entries import Embedded, Example, Examples, RowKey, SeenText
from otel_embedder.search.store import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.store import Store

MODEL = "tests/some-model"
TEXT_VERSION = "words-9"
DIMENSION = 8
SECONDS = 1_000_000_000
MILLISECONDS = 1_000_000
# 2026-03-01T12:00:00Z
NOON = 1_772_366_400


def vector_of(text: str, dimension: int = DIMENSION) -> Vector:
    """Give a text a vector of its own."""
    random = np.random.default_rng(zlib.crc32(text.encode()))
    vector = random.standard_normal(dimension).astype(np.float32)
    unit: Vector = vector / np.linalg.norm(vector)
    return unit


class FakeEmbedder:
    """Embeds a text as `vector_of`; of words of unknown letters alone it knows nothing."""

    def __init__(self, model: str = MODEL) -> None:
        self.model = model
        self.embedded: list[str] = []

    def embed(self, contents: Sequence[str]) -> list[Embedding]:
        self.embedded += contents
        return [
            Embedding(vector_of(each), self.model, "model" if each.isascii() else "fallback")
            for each in contents
        ]


@dataclass(frozen=True, slots=True)
class Seen:
    """A text that was seen.

    Attributes:
        words: the text.
        service: of its spans.
        operation: of its spans.
        kind: of its spans.
        status: of its spans.
        milliseconds: how long each of its spans took.
        at: when the first of them began, in seconds; a second lies between each and the next.
        spans: how many there were, in the minute of the first.
        number: of the first span: traces and spans have their ids of it.
        model: whose vector it has, None if it has none.
        text_version: of the renderer.

    """

    words: str
    service: str = "shop"
    operation: str = "GET /"
    kind: str = "SERVER"
    status: str = "UNSET"
    milliseconds: Sequence[float | None] = (10.0,)
    at: int = NOON
    spans: int = 1
    number: int = 1
    model: str | None = MODEL
    text_version: str = TEXT_VERSION

    def text(self, row: int) -> SeenText:
        """Give it as a writer would."""
        examples = [
            Example(
                (self.number + place).to_bytes(16),
                (self.number + place).to_bytes(8),
                (self.at + place) * SECONDS,
                None if each is None else round(each * MILLISECONDS),
            )
            for place, each in enumerate(self.milliseconds)
        ]
        embedded = None if self.model is None else Embedded(self.model, vector_of(self.words))
        return SeenText(
            self.words, self.text_version, row, self.status, Examples.of(*examples), embedded
        )

    @property
    def row(self) -> RowKey:
        """What it is counted as."""
        return RowKey(self.service, self.operation, self.kind, self.operation)


def batch_of(seen: Iterable[Seen], *, writer: str = "test", number: int = 1) -> Batch:
    """Give what a writer writes of texts."""
    every = [*seen]
    rows = [*dict.fromkeys(each.row for each in every)]
    minutes: dict[int, list[tuple[int, Seen]]] = {}
    for place, each in enumerate(every):
        minutes.setdefault(each.at - each.at % 60, []).append((place, each))
    return Batch(
        writer=writer,
        number=number,
        rows=rows,
        services=[],
        texts=[each.text(rows.index(each.row)) for each in every],
        counts={minute: _counts(texts, rows) for minute, texts in minutes.items()},
    )


def _counts(texts: Sequence[tuple[int, Seen]], rows: Sequence[RowKey]) -> Counts:
    keys = np.array([[place + 1] for place, _ in texts], np.int64)
    values = np.array([_values(each) for _, each in texts], np.int64)
    of_rows = np.array([[rows.index(each.row) + 1] for _, each in texts], np.int64)
    spans = np.array([(each.spans, (each.status == "ERROR") * each.spans) for _, each in texts])
    return Counts(0, {"texts": Table.of(keys, values), "rows": Table.of(of_rows, spans)})


def _values(seen: Seen) -> tuple[int, int, int]:
    known = [each for each in seen.milliseconds if each is not None]
    return seen.spans, len(known), sum(round(1_000 * np.log10(each)) for each in known)


def write(store: Store, *seen: Seen, writer: str = "test") -> None:
    """Write texts as one more batch."""
    store.write(batch_of(seen, writer=writer, number=store.last_number(writer) + 1))
