"""Gathers texts from concurrent requests into batches for the model.

There is no timer. While every worker is busy the next texts pile up, so
batches grow with load and a lone text never waits for company. Whose turn it is
`waiting` says: parties take turns, urgent texts before others.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Protocol, Self

from otel_embedder.embedder.waiting import Party, Waiting, refusal
from otel_embedder.embedder.worker import Worker
from otel_embedder.errors import (
    EmbedderClosedError,
    EmbeddingError,
    EmbeddingTimeoutError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from otel_embedder.embedder.embedding import Embedding, Model, WantedText
    from otel_embedder.embedder.waiting import Entry

# Whoever closes it waits for the batches under way, but not for one that hangs.
CLOSING_SECONDS = 1.5


class BatchMetrics(Protocol):
    """What the batcher tells of its work."""

    def left_queue(self, *, seconds: float) -> None:
        """Record how long a text has waited for its turn."""
        ...

    def batch_embedded(self, *, texts: int, seconds: float) -> None:
        """Record one batch that the model has finished."""
        ...


class BatchingEmbedder:
    """Runs a model in worker threads, on batches of whatever waits.

    A text that several requests want is computed once, one that nobody wants
    any more not at all. When a batch fails, its own callers fail; the next
    batch runs. A batch that hangs fails as well: its thread is left behind, and
    another takes its place.
    """

    def __init__(  # noqa: PLR0913 - each is one choice
        self,
        model: Model,
        *,
        workers: int,
        max_batch_size: int,
        max_queue_size: int,
        metrics: BatchMetrics,
        batch_timeout: float = math.inf,
        on_hang: Callable[[int], None] = lambda _: None,
        closing_seconds: float = CLOSING_SECONDS,
    ) -> None:
        """Prepare to run a model.

        Args:
            model: what embeds.
            workers: how many batches it is given at the same time.
            max_batch_size: how many texts a batch has at most.
            max_queue_size: how many texts may wait; where more do, who has asked for most gives
                some up.
            metrics: who counts.
            batch_timeout: seconds after which a batch is taken to hang.
            on_hang: is told the ident of the thread that hangs.
            closing_seconds: for how long it waits for the batches under way when it closes.

        """
        self._model = model
        self._max_batch_size = max_batch_size
        self._max_queue_size = max_queue_size
        self._metrics = metrics
        self._batch_timeout = None if batch_timeout == math.inf else batch_timeout
        self._on_hang = on_hang
        self._closing_seconds = closing_seconds
        self._idle_workers = [Worker(model) for _ in range(workers)]
        # What the model is at, or was in this turn of the event loop.
        self._running: dict[str, Entry] = {}
        self._waiting = Waiting(max_texts=max_queue_size)
        self._batches: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True
        # Nobody is left to serve these; an error beats waiting for ever.
        self._fail(self._waiting.take_all(), EmbedderClosedError("the embedder has closed"))
        await self._finish_batches()
        for worker in self._idle_workers:
            worker.dismiss()

    async def _finish_batches(self) -> None:
        if self._batches:
            _, hanging = await asyncio.wait(self._batches, timeout=self._closing_seconds)
            for batch in hanging:
                batch.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)

    def queue_size(self) -> int:
        """How many texts wait for a worker."""
        return len(self._waiting)

    def embed(
        self, texts: Sequence[WantedText], *, party: Party | None = None
    ) -> list[asyncio.Future[Embedding]]:
        """Queue the texts, unless the model is at them already; give one future each."""
        party = party or Party()
        now = asyncio.get_running_loop().time()
        futures = [self._enqueue(text, party, now) for text in texts]
        self._start_batches()
        return futures

    def _enqueue(self, text: WantedText, party: Party, now: float) -> asyncio.Future[Embedding]:
        future: asyncio.Future[Embedding] = asyncio.get_running_loop().create_future()
        running = self._running.get(text.content)
        if self._closed:
            future.set_exception(EmbedderClosedError("the embedder has closed"))
        elif running is not None:
            running.add(future)
        elif not self._waiting.add(text, future, party, now):
            return self._refused(party)
        return future

    def _refused(self, party: Party) -> asyncio.Future[Embedding]:
        # One for all of them: there may be a million.
        if party.refusal is None:
            party.refusal = asyncio.get_running_loop().create_future()
            party.refusal.set_exception(refusal(self._max_queue_size))
        return party.refusal

    def _start_batches(self) -> None:
        while self._idle_workers and (batch := self._next_batch()):
            task = asyncio.create_task(self._run(batch, self._idle_workers.pop()))
            self._batches.add(task)
            task.add_done_callback(self._batches.discard)

    def _next_batch(self) -> list[Entry]:
        # An equal share for each idle worker: two cores finish twenty texts in
        # the time that one takes for ten.
        share = -(-self.queue_size() // len(self._idle_workers))
        now = asyncio.get_running_loop().time()
        batch: list[Entry] = []
        while len(batch) < min(share, self._max_batch_size) and (entry := self._waiting.take(now)):
            batch.append(entry)
        self._running.update((entry.content, entry) for entry in batch)
        return batch

    async def _run(self, batch: list[Entry], worker: Worker) -> None:
        started = asyncio.get_running_loop().time()
        for entry in batch:
            self._metrics.left_queue(seconds=started - entry.queued_at)
        try:
            await self._embed(batch, worker)
        except EmbeddingError as error:
            self._fail(batch, error)
        except TimeoutError:
            self._on_hang(worker.thread)
            worker = self._replace(worker)
            self._fail(batch, EmbeddingTimeoutError(f"the model hung {self._batch_timeout:g} s"))
        except asyncio.CancelledError:
            worker = self._replace(worker)
            self._fail(batch, EmbedderClosedError("the embedder has closed"))
            raise
        finally:
            seconds = asyncio.get_running_loop().time() - started
            self._metrics.batch_embedded(texts=len(batch), seconds=seconds)
            self._finish(batch, worker)

    async def _embed(self, batch: list[Entry], worker: Worker) -> None:
        contents = [entry.content for entry in batch]
        embeddings = await asyncio.wait_for(worker.encode(contents), self._batch_timeout)
        for entry, embedding in zip(batch, embeddings, strict=True):
            entry.settle(embedding)

    def _replace(self, lost: Worker) -> Worker:
        lost.dismiss()
        return Worker(self._model)

    def _fail(self, batch: list[Entry], error: EmbeddingError) -> None:
        for entry in batch:
            entry.settle(error)

    def _finish(self, batch: list[Entry], worker: Worker) -> None:
        # A cache hears of the vectors in the loop's next turn. Whoever asks before
        # that gets them from here: a text is computed once.
        asyncio.get_running_loop().call_soon(self._forget, batch)
        self._idle_workers.append(worker)
        self._start_batches()

    def _forget(self, batch: list[Entry]) -> None:
        for entry in batch:
            del self._running[entry.content]
