"""Incidents as a catalogue counts them: windows of time with a fault, and ordinary ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.otlp.spans import span_ids
from otel_embedder.search.counts import Counts
from otel_embedder.search.recording.recorder import Bounds, Recorder
from otel_embedder.search.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.otlp.spans import SpanIds
    from otel_embedder.otlp.wire import ResourceSpans, TraceRequest
    from otel_embedder.search.entries import RowKey
    from otel_embedder.search.evaluation.labels import Window
    from otel_embedder.text.rendering import TextRenderer

# Of a window: more are counted without their trees.
BOUNDS = Bounds(spans=1_000_000, bytes=1024 * 1024 * 1024)
FIRST, LAST = 0, 2**33  # seconds since 1970: all time


class CountedWindow(NamedTuple):
    """A window, and what a catalogue counted in it.

    Attributes:
        window: which.
        start: seconds since 1970 of its first minute.
        counts: of all its minutes.

    """

    window: Window
    start: int
    counts: Counts


class Incidents(NamedTuple):
    """What was counted of files.

    Attributes:
        windows: those that were labelled, by time.
        rows: what rows are, by their numbers.
        services: names of services that are called, by their numbers.

    """

    windows: list[CountedWindow]
    rows: Mapping[int, RowKey]
    services: Mapping[int, str]


class IncidentReader:
    """Counts the spans of each window by itself, as the sidecar counts those that pass."""

    def __init__(
        self, windows: Mapping[SpanIds, Window], renderer: TextRenderer, annotator: Annotator
    ) -> None:
        """Prepare to read.

        Args:
            windows: of each span that is labelled, the window that it belongs to.
            renderer: makes the rows.
            annotator: what knows our attributes, which are no part of a row.

        """
        self._windows = windows
        self._renderer = renderer
        self._annotator = annotator
        self._recorders: dict[Window, Recorder] = {}

    def passing(self, requests: Iterable[TraceRequest], *, now: int) -> Iterator[TraceRequest]:
        """Give requests as they are, when their spans were taken.

        Args:
            requests: what files hold.
            now: nanoseconds since 1970.

        Raises:
            google.protobuf.message.DecodeError: something is not a Span.

        """
        for request in requests:
            for resource in request.resources:
                self._take(resource, now)
            yield request

    def _take(self, resource: ResourceSpans, now: int) -> None:
        by_window: dict[Window, list[bytes]] = {}
        for scope in resource.scopes:
            for span in scope.spans:
                window = self._windows.get(span_ids(span.encoded))
                if window is not None:
                    bare = self._annotator.stripped(span.encoded)
                    by_window.setdefault(window, []).append(bare)
        for window, spans in by_window.items():
            nothing = [None] * len(spans)
            self._recorder(window).take(resource.resource, spans, nothing, nothing, now=now)

    def _recorder(self, window: Window) -> Recorder:
        recorder = self._recorders.get(window)
        if recorder is None:
            recorder = Recorder(str(window), self._renderer, bounds=BOUNDS, is_file=True)
            self._recorders[window] = recorder
        return recorder

    def incidents(self, *, now: int) -> Incidents:
        """Give what was counted; nothing is taken after that."""
        store = MemoryStore()
        windows = [*self._counted(store, now)]
        windows.sort(key=lambda each: each.start)
        return Incidents(windows, store.rows(), store.services())

    def _counted(self, store: MemoryStore, now: int) -> Iterator[CountedWindow]:
        for window, recorder in self._recorders.items():
            batch = recorder.flush(now)
            if batch is not None:
                store.write(batch)
                buckets = [*store.buckets(since=FIRST, until=LAST, writer=batch.writer)]
                counts = Counts.sum(bucket.counts for bucket in buckets)
                yield CountedWindow(window, buckets[0].start, counts)
