"""A warm start: what the catalogue has of the texts that were used last is in the cache."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from otel_embedder.embedder.cache import CachingEmbedder
from otel_embedder.embedder.embedding import WantedText
from otel_embedder.search.entries import Embedded
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.search.stores.sqlite import SqliteStore
from otel_embedder.sidecar.warming import CACHE_COLD, CACHE_WARMED, PIECE, Warming
from tests.support.catalogues import a_batch, an_example, seen
from tests.support.fakes import (
    FAKE_MODEL,
    PATIENCE,
    FakeEmbedder,
    FakeMetrics,
    embedding_of,
)
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.otlp_samples import new_span, request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_embedder.search.entries import SeenText
    from otel_embedder.search.store import Store
    from tests.support.in_process import InProcess
    from tests.support.peers import FakeNextHop

pytestmark = pytest.mark.timeout(120)


def used(words: str, second: float = 0, *, model: str = FAKE_MODEL, version: str = "1") -> SeenText:
    """Give a text that was used then, with the vector that the fakes have for it."""
    vector = Embedded(model, embedding_of(words).vector)
    return seen(words, an_example(second), version=version, vector=vector)


class Warmed:
    """A cache that a catalogue was to fill."""

    def __init__(self, max_texts: int = 1_000) -> None:
        self.behind = FakeEmbedder(at_once=True)
        self.metrics = FakeMetrics()
        self.cache = CachingEmbedder(self.behind, max_texts=max_texts, metrics=FakeMetrics())
        self._max_texts = max_texts

    async def warm(self, store: Store) -> list[str]:
        """Fill it; give what was told."""
        warming = Warming(
            self.cache,
            FakeEmbedder(at_once=True),
            model=FAKE_MODEL,
            text_version="1",
            most=self._max_texts,
            metrics=self.metrics,
        )
        with capture_logs() as lines:
            await warming.warm(store)
        return [line["event"] for line in lines]

    async def unknown(self, *contents: str) -> list[str]:
        """Give those of some texts that it has to ask for; the others have their own vectors."""
        futures = self.cache.embed([WantedText(content, urgent=False) for content in contents])
        for content, embedding in zip(contents, await asyncio.gather(*futures), strict=True):
            assert embedding.vector.tobytes() == embedding_of(content).vector.tobytes()
            assert (embedding.model, embedding.source) == (FAKE_MODEL, "model")
        asked = [content for call in self.behind.contents() for content in call]
        self.behind.calls.clear()
        return asked


async def store_of(*texts: SeenText) -> MemoryStore:
    return await asyncio.to_thread(_store_of, texts)


def _store_of(texts: Sequence[SeenText]) -> MemoryStore:
    store = MemoryStore()
    store.write(a_batch(texts=texts))
    return store


async def test_the_texts_that_were_used_last_are_known() -> None:
    names = [f"text {number}" for number in range(2 * PIECE + 2)]
    warmed = Warmed(max_texts=2 * PIECE)
    told = await warmed.warm(await store_of(*(used(name, at) for at, name in enumerate(names))))

    assert told == [CACHE_WARMED]
    assert warmed.metrics.counts["warmed"] == 2 * PIECE
    assert await warmed.unknown(*names[2:]) == []
    assert await warmed.unknown(*names[:2]) == names[:2]


async def test_what_is_asked_for_meanwhile_stays_and_is_the_newest() -> None:
    warmed = Warmed(max_texts=2)
    await warmed.unknown("new")
    await warmed.warm(await store_of(used("old", 1), used("older", 0)))

    assert await warmed.unknown("new", "old") == []
    assert await warmed.unknown("older") == ["older"]


async def test_of_another_model_or_text_version_or_without_a_vector_none_is_taken() -> None:
    warmed = Warmed()
    texts = [used("a", model="another"), used("b", version="0"), seen("c"), used("d")]
    await warmed.warm(await store_of(*texts))

    assert await warmed.unknown("a", "b", "c", "d") == ["a", "b", "c"]


async def test_where_the_catalogue_is_new_nothing_is_told() -> None:
    assert await Warmed().warm(await store_of()) == []


async def test_where_the_model_makes_other_bits_under_the_same_name_the_start_is_cold() -> None:
    warmed = Warmed()
    other = np.nextafter(embedding_of("pay").vector, np.float32(1))
    told = await warmed.warm(
        await store_of(seen("pay", version="1", vector=Embedded(FAKE_MODEL, other)))
    )

    assert told == [CACHE_COLD]
    assert await warmed.unknown("pay") == ["pay"]


@pytest.mark.parametrize("damaged", [np.zeros(384, np.float32), np.ones(2, np.float32)], ids=len)
async def test_a_damaged_vector_is_not_taken_nor_what_is_beside_it(
    damaged: np.ndarray[tuple[int], np.dtype[np.float32]],
) -> None:
    warmed = Warmed()
    vector = Embedded(FAKE_MODEL, damaged)
    bad = seen("ship", an_example(0), version="1", vector=vector)
    told = await warmed.warm(await store_of(used("pay", 1), bad))

    assert told == [CACHE_COLD]
    assert await warmed.unknown("pay", "ship") == ["pay", "ship"]


async def test_a_damaged_catalogue_is_a_cold_start_and_one_line(tmp_path: Path) -> None:
    store = await asyncio.to_thread(damaged_store, tmp_path / "catalogue.db")
    warmed = Warmed()

    assert await warmed.warm(store) == [CACHE_COLD]
    assert await warmed.unknown("pay") == ["pay"]
    await asyncio.to_thread(store.close)


def damaged_store(path: Path) -> SqliteStore:
    store = SqliteStore(path)
    store.write(a_batch(texts=[used("pay")]))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE vectors")
    return store


@pytest.mark.integration
async def test_a_sidecar_that_starts_again_knows_what_it_knew(
    tmp_path: Path, tiny_bert: Path, next_hop: FakeNextHop
) -> None:
    flags = {**tiny_model(tiny_bert), "catalogue": f"sqlite:///{tmp_path}/catalogue.db"}
    sent = request(*(new_span(f"{verb} a bill") for verb in ("pay", "ship", "lose", "find")))
    async with sidecar_in_process(next_hop.url, **flags) as first:
        await first.client.export(sent)
    async with sidecar_in_process(next_hop.url, **flags) as second:
        await until_warm(second, texts=4)
        await second.client.export(sent)

    assert next_hop.requests[0] == next_hop.requests[1]
    assert second.metrics.value("embedded_texts_total", source="cache") == 4
    assert second.metrics.value("embedded_texts_total", source="model") == 0


async def until_warm(sidecar: InProcess, *, texts: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while sidecar.metrics.value("warmed_texts_total") < texts:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
