"""Writes batches to a catalogue in a thread, whatever becomes of the catalogue.

Whoever fills it never waits: a store that is slow, full or broken costs counts, which are
counted, and a line in the log when it begins and when it ends.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from otel_embedder.errors import EmbeddingError, StoreError
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_embedder.search.groups.kept import Came
    from otel_embedder.search.re_embedding import ReEmbedding
    from otel_embedder.search.store import Batch, Store
    from otel_embedder.search.times import Kept

CATALOGUE_FAILING = "catalogue.failing"
CATALOGUE_RECOVERED = "catalogue.recovered"
CATALOGUE_LEFT = "catalogue.left_unwritten"
NOT_EMBEDDED = "catalogue.not_embedded"

# Of so many intervals what was seen waits for a store that can't be written.
MAX_BATCHES = 6
RETRY_SECONDS = 5.0
TIDY_SECONDS = 60.0
# So often some texts are embedded while there are any, and so often it is looked for them.
IDLE_SECONDS, LOOK_SECONDS = 1.0, 30.0

log = get_logger()


class WriterMetrics(Protocol):
    """What the writer tells of its work."""

    def catalogue_written(self, *, spans: int, seconds: float) -> None:
        """Record a batch that was written, of so many spans, in so long."""
        ...

    def catalogue_dropped(self, reason: str, *, spans: int) -> None:
        """Count spans that passed and are not in the catalogue."""
        ...


class Idle(NamedTuple):
    """Embedding what waits in the catalogue, while nothing else is to be done.

    Attributes:
        is_idle: tells whether nobody needs the model.
        re_embedding: gives what embeds the texts of a store, a few at a time.

    """

    is_idle: Callable[[], bool]
    re_embedding: Callable[[Store], ReEmbedding]


class CatalogueWriter:
    """Writes what it is offered, one batch after the other, and tidies up in between."""

    def __init__(  # noqa: PLR0913 - each is one choice
        self,
        opened: Callable[[], Store],
        kept: Kept,
        *,
        most_texts: int,
        metrics: WriterMetrics,
        idle: Idle | None = None,
        came: Callable[[Sequence[Came]], None],
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """Start.

        Args:
            opened: opens the store to write to; tried again when it failed.
            kept: how long what is kept.
            most_texts: how many texts are.
            metrics: gets told.
            idle: what to do while nothing else is to be done.
            came: gets the groups of failures that are new, or have come again; must not fail.
            retry_seconds: after which a store that failed is tried again.

        """
        self._retry_seconds = retry_seconds
        self._idle = idle
        self._re_embedding: ReEmbedding | None = None
        self._embed_at = 0.0
        self._opened = opened
        self._store: Store | None = None
        self._kept = kept
        self._most_texts = most_texts
        self._metrics = metrics
        self._came = came
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
            except Exception as error:  # noqa: BLE001 - a fault of ours is not to end the writing
                self._failed(error, exc_info=error)
                self._give_up_first()
            else:
                self._recovered()
            is_there_more = self._wait()
        self._close()

    def _close(self) -> None:
        store, self._store = self._store, None
        self._re_embedding = None
        if store is not None:
            with suppress(StoreError):  # it failed before, and was told of
                store.close()

    def _wait(self) -> bool:
        """Wait for something to do; tell whether there is."""
        with self._changed:
            if self._is_failing:
                self._changed.wait_for(lambda: self._is_closing, self._retry_seconds)
                # Once more at the end, for it may have recovered; then it is given up.
                return not self._is_closing
            seconds = TIDY_SECONDS if self._idle is None else IDLE_SECONDS
            self._changed.wait_for(lambda: self._batches or self._is_closing, seconds)
            return bool(self._batches) or not self._is_closing

    def _work(self) -> None:
        if self._store is None:
            self._store = self._opened()
        while self._batches:
            batch, spans = self._batches[0]
            began = time.monotonic()
            came = self._store.write(batch)
            with self._changed:
                self._batches.popleft()
            self._metrics.catalogue_written(spans=spans, seconds=time.monotonic() - began)
            self._came(came)
        if time.monotonic() >= self._tidy_at and not self._is_closing:
            self._tidy_at = time.monotonic() + TIDY_SECONDS
            self._store.tidy(self._kept, now=int(time.time()), most_texts=self._most_texts)
        if self._idle is not None and not self._is_closing:
            self._embed_some(self._store, self._idle)

    def _embed_some(self, store: Store, idle: Idle) -> None:
        """Embed some texts that have no vector that is compared today, if nobody minds."""
        if self._batches or time.monotonic() < self._embed_at or not idle.is_idle():
            return
        if self._re_embedding is None:
            self._re_embedding = idle.re_embedding(store)
        try:
            done = self._re_embedding.step()
        except EmbeddingError as error:
            # Whoever serves the model tells why, and again when it works.
            log.debug(NOT_EMBEDDED, error=error.loggable())
            done = 0
        # To look for more costs something where there are many.
        self._embed_at = time.monotonic() + (0 if done else LOOK_SECONDS)

    def _give_up_first(self) -> None:
        """Drop the batch whose turn it was: it would fail again, and keep all others from it."""
        with self._changed:
            if self._batches:
                _, spans = self._batches.popleft()
                self._metrics.catalogue_dropped("fault", spans=spans)

    def _failed(self, error: Exception, **told: Exception) -> None:
        # It is opened anew: its file may have gone, or was opened when it could only be read.
        self._close()
        if not self._is_failing:
            log.error(
                CATALOGUE_FAILING,
                error=str(error),
                doing="what passes is held while there is room for it, then counted as dropped;"
                " no span minds",
                **told,
            )
        self._is_failing = True

    def _recovered(self) -> None:
        if self._is_failing:
            log.info(CATALOGUE_RECOVERED)
        self._is_failing = False
