"""What a program stores, and finds again: store first, embed behind, find what is alike."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from otel_embedder import EmbeddingService
from otel_embedder.errors import (
    EmbedderClosedError,
    EmbeddingFailedError,
    MalformedTraceError,
    StoreError,
)
from otel_embedder.library.storing import STORING_FAILED, StoredTrace, TraceStorer
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.fakes import FakeModel
from tests.support.made_up import MODEL, FakeEmbedder
from tests.support.recorded import made

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.search.groups.kept import Came
    from otel_embedder.search.store import Batch

START = 1_772_366_400 * 10**9
CART = {
    "trace_id": f"{1:032x}",
    "span_id": f"{1:016x}",
    "service": "cart",
    "operation": "GET /cart",
    "kind": "SERVER",
    "status": "ERROR",
    "status_message": "store unreachable",
    "duration_ms": 12.0,
    "start_time_unix_nano": START,
}
BANK = {"trace_id": f"{2:032x}", "service": "bank", "operation": "charge", "duration_ms": 900}
MAIL = {"trace_id": "my own", "service": "mail", "operation": "send"}


class GatedModel(FakeModel):
    """Embeds nothing before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        self.may.wait()
        return super().encode(texts)


class MendedModel(FakeModel):
    """Fails until it is mended."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken = True

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        if self.is_broken:
            raise EmbeddingFailedError("broken")
        return super().encode(texts)


def test_what_is_stored_is_found_by_words_and_by_what_is_like_it() -> None:
    with EmbeddingService.sync(
        model=FakeModel(), catalogue="memory", trace_link="https://x/{trace_id}"
    ) as service:
        for trace in (CART, BANK, MAIL):
            service.store_trace(trace)
        service.settle()

        by_words = service.find_similar("store unreachable", k=2)
        by_trace = service.find_similar({**CART, "trace_id": "another"})

    assert len(by_words.hits) == 2
    assert by_words.compared == 3
    first = by_trace.hits[0]
    assert (first.service, first.operation, first.kind) == ("cart", "GET /cart", "SERVER")
    assert (first.status, first.spans, first.first_seen) == ("ERROR", 1, START)
    assert first.cosine == pytest.approx(1)
    assert first.milliseconds == pytest.approx(12, rel=0.01)
    assert first.examples[0].link == f"https://x/{1:032x}"


async def test_filters_say_which_texts_are_looked_at() -> None:
    async with EmbeddingService(model=FakeModel(), catalogue="memory") as service:
        for trace in (CART, BANK):
            await service.store_trace(trace)
        await service.settle()

        failed = await service.find_similar("anything", status=["ERROR"])
        slow = await service.find_similar("anything", min_duration="500ms")
        near = await service.find_similar(CART, threshold=0.99)

    assert [hit.service for hit in failed.hits] == ["cart"]
    assert [hit.service for hit in slow.hits] == ["bank"]
    assert [hit.service for hit in near.hits] == ["cart"]


def test_storing_does_not_wait_for_the_model() -> None:
    model = GatedModel()
    with EmbeddingService.sync(model=model, catalogue="memory") as service:
        service.store_trace(CART)

        model.may.set()
        service.settle()
        answer = service.find_similar(CART)

    assert len(answer.hits) == 1


def test_what_could_not_be_embedded_is_embedded_later() -> None:
    model = MendedModel()
    with capture_logs() as logs, EmbeddingService.sync(model=model, catalogue="memory") as service:
        service.store_trace(CART)
        with pytest.raises(EmbeddingFailedError):
            service.settle()
        model.is_broken = False

        service.settle()
        answer = service.find_similar(CART)

    assert len(answer.hits) == 1
    assert STORING_FAILED in {entry["event"] for entry in logs}


class FaultyStore(MemoryStore):
    """Fails as nothing of ours is to fail."""

    def write(self, batch: Batch) -> list[Came]:
        raise RuntimeError(f"a fault in batch {batch.number}")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_leaves_nobody_waiting() -> None:
    renderer = new_renderer(RenderOptions())
    storer = TraceStorer(FaultyStore(), renderer, FakeEmbedder(), model=lambda: MODEL)
    storer.store(StoredTrace(b"", made("a", 1).SerializeToString()))

    with pytest.raises(EmbedderClosedError):
        storer.settle()

    with pytest.raises(EmbedderClosedError):
        storer.store(StoredTrace(b"", b""))
    storer.close()


def test_a_file_is_there_for_the_next_program(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'traces.db'}"
    with EmbeddingService.sync(model=FakeModel(), catalogue=url) as service:
        service.store_trace(CART)
    with EmbeddingService.sync(model=FakeModel(), catalogue=url) as service:
        service.store_trace(CART)
        service.settle()
        answer = service.find_similar(CART)

    assert [hit.spans for hit in answer.hits] == [2]


def test_what_can_not_be_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="catalogue must be sqlite"):
        EmbeddingService(catalogue="postgres://x")
    with pytest.raises(ValueError, match="trace_link lacks"):
        EmbeddingService(catalogue="memory", trace_link="https://x/")
    without = EmbeddingService.sync(model=FakeModel())
    with without, pytest.raises(ValueError, match="there is no catalogue"):
        without.store_trace(CART)
    nowhere = f"sqlite:///{tmp_path}/none/traces.db"
    lost = EmbeddingService.sync(model=FakeModel(), catalogue=nowhere)
    with lost, pytest.raises(StoreError, match="make its folder"):
        lost.store_trace(CART)


def test_what_is_no_trace_is_not_stored() -> None:
    with EmbeddingService.sync(model=FakeModel(), catalogue="memory") as service:
        with pytest.raises(MalformedTraceError):
            service.store_trace("no trace")  # type: ignore[arg-type]  # the point of it
        with pytest.raises(ValidationError, match="15m, 1h or 2d"):
            service.find_similar("x", since="then")


def test_a_closed_service_stores_nothing() -> None:
    service = EmbeddingService.sync(model=FakeModel(), catalogue="memory")
    service.store_trace(CART)
    service.close()

    with pytest.raises(EmbedderClosedError):
        service.store_trace(CART)


def test_what_has_changed_is_told_of_what_was_stored() -> None:
    def taken(minute: int, number: int) -> dict[str, object]:
        start = START + (60 * minute + number) * 10**9
        status = "ERROR" if minute >= 20 and number % 2 else "OK"
        return {
            **BANK,
            "trace_id": f"{start:032x}",
            "start_time_unix_nano": start,
            "status": status,
        }

    with EmbeddingService.sync(model=FakeModel(), catalogue="memory") as service:
        for minute in range(30):
            for number in range(6):
                service.store_trace(taken(minute, number))
        service.settle()
        window = "2026-03-01T12:20:00Z/2026-03-01T12:30:00Z"
        changes = service.changes(window=window, against="1h")
        with pytest.raises(ValueError, match="FROM/TO"):
            service.changes(window="soon")

    [change] = changes.certain
    assert (change.operation.service, change.operation.operation) == ("bank", "charge")
    assert [reason.said for reason in change.reasons] == ["fails 0 % -> 50 %"]
