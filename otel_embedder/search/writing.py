"""Writes batches to a catalogue in a thread, whatever becomes of the catalogue.

Whoever fills it never waits: a store that is slow, full or broken costs counts, which are
counted, and a line in the log when it begins and when it ends.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from otel_embedder.errors import StoreError
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.search.store import Batch, Kept, Store

CATALOGUE_FAILING = "catalogue.failing"
CATALOGUE_RECOVERED = "catalogue.recovered"
CATALOGUE_LEFT = "catalogue.left_unwritten"

# Of so many intervals what was seen waits for a store that can't be written.
MAX_BATCHES = 6
RETRY_SECONDS = 5.0
TIDY_SECONDS = 60.0

log = get_logger()


class WriterMetrics(Protocol):
    """What the writer tells of its work."""

    def catalogue_written(self, *, spans: int, seconds: float) -> None:
        """Record a batch that was written, of so many spans, in so long."""
        ...

    def catalogue_dropped(self, reason: str, *, spans: int) -> None:
        """Count spans that passed and are not in the catalogue."""
        ...


class CatalogueWriter:
    """Writes what it is offered, one batch after the other, and tidies up in between."""

    def __init__(
        self,
        opened: Callable[[], Store],
        kept: Kept,
        *,
        most_texts: int,
        metrics: WriterMetrics,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """Start.

        Args:
            opened: opens the store to write to; tried again when it failed.
            kept: how long what is kept.
            most_texts: how many texts are.
            metrics: gets told.
            retry_seconds: after which a store that failed is tried again.

        """
        self._retry_seconds = retry_seconds
        self._opened = opened
        self._store: Store | None = None
        self._kept = kept
        self._most_texts = most_texts
        self._metrics = metrics
        self._batches: deque[tuple[Batch, int]] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._is_failing = False
        self._tidy_at = 0.0
        self._thread = threading.Thread(target=self._run, name="catalogue-writer", daemon=True)
        self._thread.start()

    def has_room(self) -> bool:
        """Tell whether another batch may wait."""
        return len(self._batches) < MAX_BATCHES

    def offer(self, batch: Batch, *, spans: int) -> None:
        """Write a batch of so many spans when its turn has come."""
        with self._changed:
            self._batches.append((batch, spans))
            self._changed.notify()

    def close(self, timeout: float) -> None:
        """Write what waits, for so many seconds at most; what is left then is lost, and told."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout)
        left = sum(spans for _, spans in self._batches)
        if left:
            self._metrics.catalogue_dropped("store", spans=left)
            log.warning(CATALOGUE_LEFT, spans=left)

    def _run(self) -> None:
        # Whether it can be opened is told at the start, not with the first span.
        is_there_more = True
        while is_there_more:
            try:
                self._work()
            except StoreError as error:
                self._failed(error)
            else:
                self._recovered()
            is_there_more = self._wait()
        if self._store is not None:
            self._store.close()

    def _wait(self) -> bool:
        """Wait for something to do; tell whether there is."""
        with self._changed:
            if self._is_failing:
                self._changed.wait_for(lambda: self._is_closing, self._retry_seconds)
                # Once more at the end, for it may have recovered; then it is given up.
                return not self._is_closing
            self._changed.wait_for(lambda: self._batches or self._is_closing, TIDY_SECONDS)
            return bool(self._batches) or not self._is_closing

    def _work(self) -> None:
        if self._store is None:
            self._store = self._opened()
        while self._batches:
            batch, spans = self._batches[0]
            began = time.monotonic()
            self._store.write(batch)
            with self._changed:
                self._batches.popleft()
            self._metrics.catalogue_written(spans=spans, seconds=time.monotonic() - began)
        if time.monotonic() >= self._tidy_at and not self._is_closing:
            self._tidy_at = time.monotonic() + TIDY_SECONDS
            self._store.tidy(self._kept, now=int(time.time()), most_texts=self._most_texts)

    def _failed(self, error: StoreError) -> None:
        if not self._is_failing:
            log.error(
                CATALOGUE_FAILING,
                error=str(error),
                doing="what passes is kept for a minute, then counted as dropped; no span minds",
            )
        self._is_failing = True

    def _recovered(self) -> None:
        if self._is_failing:
            log.info(CATALOGUE_RECOVERED)
        self._is_failing = False
