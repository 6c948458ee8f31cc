"""Keeps the traces that a program hands over in a catalogue: stored first, embedded behind.

Whoever stores never waits for the model or the disk. What can't be written or
embedded now is tried again, with the next trace or when somebody waits for it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from uuid import uuid4

from otel_embedder.errors import EmbedderClosedError, EmbeddingError, QueueFullError, StoreError
from otel_embedder.search.re_embedding import ReEmbedding
from otel_embedder.search.recording.recorder import Bounds, Recorder
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.search.store import Batch, Store
    from otel_embedder.text.rendering import TextRenderer

STORING_FAILED = "catalogue.storing_failed"
MAX_WAITING = 100_000  # traces, some 500 bytes each
AT_ONCE = 10_000

Failure = TypeVar("Failure", EmbeddingError, StoreError)

log = get_logger()


class StoredTrace(NamedTuple):
    """A trace on its way into the catalogue: its resource and its span, encoded."""

    resource: bytes
    span: bytes


class TraceStorer:
    """Writes traces into a store and embeds their texts, in a thread of its own."""

    def __init__(
        self,
        store: Store,
        renderer: TextRenderer,
        embedder: TextEmbedder,
        *,
        model: Callable[[], str],
    ) -> None:
        """Start.

        Args:
            store: what keeps the catalogue.
            renderer: makes the texts. It is used by this thread alone.
            embedder: embeds them.
            model: gives the name of its model, which may have to be loaded for that.

        """
        self._store = store
        self._renderer = renderer
        self._embedder = embedder
        self._model = model
        self._recorder = Recorder(f"library {uuid4().hex}", renderer, bounds=Bounds())
        self._embedding: ReEmbedding | None = None
        self._waiting: deque[StoredTrace] = deque()
        self._unwritten: Batch | None = None
        self._changed = threading.Condition()
        # Rounds are numbered by what asked for them.
        self._asked = self._done = 0
        self._error: EmbeddingError | StoreError | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="trace-storer", daemon=True)
        self._thread.start()

    def store(self, trace: StoredTrace) -> None:
        """Take a trace.

        Raises:
            QueueFullError: so many wait that this one is not taken.
            EmbedderClosedError: it is closing.

        """
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                raise QueueFullError(f"{MAX_WAITING:,} traces wait to be stored already")
            self._ask()
            self._waiting.append(trace)

    def _ask(self) -> int:
        if self._is_closing:
            raise EmbedderClosedError("the service is closed")
        self._asked += 1
        self._changed.notify_all()
        return self._asked

    def settle(self) -> None:
        """Wait until all that was stored is in the catalogue, with vectors.

        Raises:
            StoreError: it can't be written.
            EmbeddingError: the model is not there or failed, or it is closing.

        """
        with self._changed:
            wanted = self._ask()
            self._changed.wait_for(lambda: self._done >= wanted)
            if self._error is not None:
                raise self._error

    def close(self) -> None:
        """Write what waits, without embedding it, and end the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._rounds()
        finally:
            with self._changed:
                self._is_closing = True
                if self._done < self._asked:  # a fault of ours, which Python tells of
                    self._error = EmbedderClosedError("what stores traces has ended by a fault")
                self._done = self._asked
                # Nobody is left to serve those who wait.
                self._changed.notify_all()

    def _rounds(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked > self._done or self._is_closing)
                asked, is_last = self._asked, self._is_closing
            error = self._round()
            with self._changed:
                self._error, self._done = error, asked
                self._changed.notify_all()
            if is_last:
                return

    def _round(self) -> EmbeddingError | StoreError | None:
        """Write all that waits, and embed all that has no vector; give what went wrong."""
        try:
            self._write()
            while not self._is_closing and self._embed():
                self._write()
        except EmbeddingError as error:
            return self._told(error, error.loggable())
        except StoreError as error:
            return self._told(error, str(error))
        return None

    def _told(self, error: Failure, reason: str) -> Failure:
        if not self._is_closing:
            log.warning(STORING_FAILED, error=reason)
        return error

    def _embed(self) -> int:
        if self._embedding is None:
            self._embedding = ReEmbedding(
                self._store,
                self._embedder,
                model=self._model(),
                text_version=self._renderer.text_version,
            )
        return self._embedding.step()

    def _write(self) -> None:
        while self._unwritten is not None or self._waiting:
            if self._unwritten is None:
                self._unwritten = self._recorded()
            if self._unwritten is not None:
                self._store.write(self._unwritten)
            self._unwritten = None

    def _recorded(self) -> Batch | None:
        now = time.time_ns()
        for _ in range(min(AT_ONCE, len(self._waiting))):
            resource, span = self._waiting.popleft()
            self._recorder.take(resource, [span], [None], [None], now=now)
        return self._recorder.flush(now)
