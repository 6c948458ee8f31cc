"""Spans that say what one before has said: known by their bytes, but for their ids and times.

What is left of a span without these (`otlp.spans.occurrences`) is all that its text depends on,
besides what the text says of its times; however its sender writes it. A Collector begins with the
last field, an SDK with the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from otel_embedder.annotation.looking import Looking
from otel_embedder.otlp.remembered import Bounded
from otel_embedder.otlp.spans import has_events, occurrences

if TYPE_CHECKING:
    from collections.abc import Sequence

    # Its text, and whether its status is ERROR.
    Rendered = tuple[str, bool]
    # The name of its service, what its text says of its times, its bytes but for what is its own.
    Key = tuple[str, str, bytes]

# What is larger hardly recurs, and may be cut where it is read, by the size of all of it.
MAX_SPAN_BYTES = 4 * 1024


class Durations(Protocol):
    """Says what texts say of when a span was."""

    @property
    def silent_below(self) -> float:
        """Nanoseconds; of a span that took less a text says nothing of that."""
        ...

    def duration(self, started: int, ended: int, /) -> str:
        """Give all that a text says of a start and an end, in nanoseconds."""
        ...


class KnownSpans:
    """Texts of spans, by all that these depend on."""

    def __init__(self, durations: Durations) -> None:
        """Begin with none, and a renderer of what texts say of durations."""
        self._hits = 0
        self._durations = durations
        self._texts: Bounded[Key | None, Rendered] = Bounded(_size)
        self._looking = Looking()

    def hits(self) -> int:
        """Give how many spans were known."""
        return self._hits

    def memory(self) -> int:
        """Give what they take in memory, in bytes."""
        return self._texts.memory()

    def keys(self, spans: Sequence[bytes], service: str) -> list[Key | None]:
        """Give what encoded Spans of a service are known by, None for what is not to be."""
        if self._looking.rests(len(spans)):
            return [None] * len(spans)
        silent_below, duration = self._durations.silent_below, self._durations.duration
        keys: list[Key | None] = []
        for occurrence in occurrences(spans, max_bytes=MAX_SPAN_BYTES):
            if occurrence is None:  # where it is malformed, whoever reads all of it tells so
                keys.append(None)
                continue
            started, ended, kind = occurrence
            said = "" if ended - started < silent_below else duration(started, ended)
            keys.append((service, said, kind))
        return keys

    def look_up(self, keys: Sequence[Key | None]) -> list[Rendered | None]:
        """Give the texts that are known, in order, None where none is."""
        found = [*map(self._texts.get, keys)]
        hits = len(found) - found.count(None)
        self._hits += hits
        if any(keys):  # or it rests
            self._looking.note(len(keys), hits)
        return found

    def remember(self, key: Key | None, rendered: Rendered) -> None:
        """Know what was made of a span."""
        # An event has a time of its own: that span won't come again.
        if key is not None and not has_events(key[-1]):
            self._texts.remember(key, rendered)


def _size(key: Key | None) -> int:
    return sum(map(len, key or ()))
