"""Gathers texts from concurrent requests into batches for the model.

There is no timer. While every worker is busy the next texts pile up, so
batches grow with load and a lone text never waits for company. The texts of
ERROR spans have a queue of their own, which goes first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from otel_embedder.errors import (
    EmbedderClosedError,
    EmbeddingError,
    EmbeddingFailedError,
    QueueFullError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from otel_embedder.embedder import Embedding, Model, Text


class BatchMetrics(Protocol):
    """What the batcher tells of its work."""

    def left_queue(self, *, seconds: float) -> None:
        """Record how long a text has waited for its turn."""
        ...

    def batch_embedded(self, *, texts: int, seconds: float) -> None:
        """Record one batch that the model has finished."""
        ...


@dataclass(slots=True, eq=False)
class _Entry:
    """A wanted text, and everybody who waits for it."""

    content: str
    queued_at: float
    waiters: list[asyncio.Future[Embedding]] = field(default_factory=list)
    outcome: Embedding | EmbeddingError | None = None

    def is_wanted(self) -> bool:
        return any(not waiter.done() for waiter in self.waiters)

    def add(self, waiter: asyncio.Future[Embedding]) -> None:
        self.waiters.append(waiter)
        if self.outcome is not None:
            _settle(waiter, self.outcome)

    def settle(self, outcome: Embedding | EmbeddingError) -> None:
        self.outcome = outcome
        for waiter in self.waiters:
            if not waiter.done():
                _settle(waiter, outcome)


def _settle(waiter: asyncio.Future[Embedding], outcome: Embedding | EmbeddingError) -> None:
    if isinstance(outcome, EmbeddingError):
        waiter.set_exception(outcome)
    else:
        waiter.set_result(outcome)


class BatchingEmbedder:
    """Runs a model in worker threads, on batches of whatever waits.

    A text that several requests want is computed once, one that nobody wants
    any more not at all. When a batch fails, its own callers fail; the next
    batch runs.
    """

    def __init__(
        self,
        model: Model,
        *,
        workers: int,
        max_batch_size: int,
        max_queue_size: int,
        metrics: BatchMetrics,
    ) -> None:
        self._model = model
        self._max_batch_size = max_batch_size
        self._max_queue_size = max_queue_size
        self._metrics = metrics
        self._idle_workers = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="embedder")
        self._entries: dict[str, _Entry] = {}
        self._urgent: deque[_Entry] = deque()
        self._waiting: deque[_Entry] = deque()
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
        for entry in (*self._urgent, *self._waiting):
            entry.settle(EmbedderClosedError("the embedder has closed"))
        self._urgent.clear()
        self._waiting.clear()
        await asyncio.gather(*self._batches)
        self._threads.shutdown()

    def queue_size(self) -> int:
        """How many texts wait for a worker."""
        return len(self._urgent) + len(self._waiting)

    def embed(self, texts: Sequence[Text]) -> list[asyncio.Future[Embedding]]:
        """Queue the texts, unless the model is at them already; give one future each."""
        if self.queue_size() + len(texts) > self._max_queue_size:
            self._forget_unwanted()
        futures = [self._enqueue(text) for text in texts]
        self._start_batches()
        return futures

    def _enqueue(self, text: Text) -> asyncio.Future[Embedding]:
        future: asyncio.Future[Embedding] = asyncio.get_running_loop().create_future()
        refusal = self._refusal(text)
        if refusal is not None:
            future.set_exception(refusal)
            return future
        self._entry(text).add(future)
        return future

    def _refusal(self, text: Text) -> EmbeddingError | None:
        if self._closed:
            return EmbedderClosedError("the embedder has closed")
        if text.content not in self._entries and self.queue_size() >= self._max_queue_size:
            return QueueFullError(f"{self._max_queue_size} texts wait for the model already")
        return None

    def _forget_unwanted(self) -> None:
        for queue in (self._urgent, self._waiting):
            for entry in [entry for entry in queue if not entry.is_wanted()]:
                queue.remove(entry)
                del self._entries[entry.content]

    def _entry(self, text: Text) -> _Entry:
        entry = self._entries.get(text.content)
        if entry is None:
            entry = self._entries[text.content] = _Entry(
                text.content, asyncio.get_running_loop().time()
            )
            (self._urgent if text.urgent else self._waiting).append(entry)
        return entry

    def _start_batches(self) -> None:
        while self._idle_workers and (batch := self._next_batch()):
            self._idle_workers -= 1
            task = asyncio.create_task(self._run(batch))
            self._batches.add(task)
            task.add_done_callback(self._batches.discard)

    def _next_batch(self) -> list[_Entry]:
        # An equal share for each idle worker: two cores finish twenty texts in
        # the time that one takes for ten.
        share = -(-self.queue_size() // self._idle_workers)
        batch: list[_Entry] = []
        while self.queue_size() and len(batch) < min(share, self._max_batch_size):
            entry = (self._urgent or self._waiting).popleft()
            if entry.is_wanted():
                batch.append(entry)
            else:
                del self._entries[entry.content]
        return batch

    async def _run(self, batch: list[_Entry]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        contents = [entry.content for entry in batch]
        for entry in batch:
            self._metrics.left_queue(seconds=started - entry.queued_at)
        try:
            embeddings = await loop.run_in_executor(self._threads, self._model.encode, contents)
            for entry, embedding in zip(batch, embeddings, strict=True):
                entry.settle(embedding)
        except EmbeddingError as error:
            self._fail(batch, error)
        except BaseException as error:  # noqa: BLE001 - one bad batch must not end the batcher
            # A panic of the tokenizer's Rust is not even an Exception.
            self._fail(batch, EmbeddingFailedError(f"{type(error).__name__}: {error}"))
        finally:
            self._metrics.batch_embedded(texts=len(batch), seconds=loop.time() - started)
            self._finish(batch)

    def _fail(self, batch: list[_Entry], error: EmbeddingError) -> None:
        for entry in batch:
            entry.settle(error)

    def _finish(self, batch: list[_Entry]) -> None:
        # A cache hears of the vectors in the loop's next turn. Whoever asks before
        # that gets them from here: a text is computed once.
        asyncio.get_running_loop().call_soon(self._forget, batch)
        self._idle_workers += 1
        self._start_batches()

    def _forget(self, batch: list[_Entry]) -> None:
        for entry in batch:
            del self._entries[entry.content]
