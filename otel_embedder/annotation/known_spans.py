"""Spans that say what one before has said: known by their bytes, but for their ids and times.

What is left of a span without these (`otlp.spans.Occurrences`) is all that its text depends on,
besides what the text says of its times; however its sender writes it. A Collector begins with the
last field, an SDK with the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from otel_embedder.otlp.remembered import Bounded
from otel_embedder.otlp.spans import Occurrences, has_events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # Its text, and whether its status is ERROR.
    Rendered = tuple[str, bool]
    # The name of its service, what its text says of its times, its bytes but for what is its own.
    Key = tuple[str, str, bytes]

# What is larger hardly recurs, and may be cut where it is read, by the size of all of it.
MAX_SPAN_BYTES = 4 * 1024

# Of spans whose attributes are all their own none is known, and to look costs a fifth of reading
# one. So where few are found it rests for a while, before it tries again.
LOOKED_AT = 2_048
FEW = LOOKED_AT // 4
RESTING = 16 * LOOKED_AT


class KnownSpans:
    """Texts of spans, by all that these depend on."""

    def __init__(self, duration: Callable[[int, int], str]) -> None:
        """Begin with none.

        Args:
            duration: gives all that a text says of a start and an end, in nanoseconds.

        """
        self._hits = 0
        self._duration = duration
        self._texts: Bounded[Key | None, Rendered] = Bounded(_size)
        self._looked_at = self._found = self._resting = 0

    def hits(self) -> int:
        """Give how many spans were known."""
        return self._hits

    def memory(self) -> int:
        """Give what they take in memory, in bytes."""
        return self._texts.memory()

    def keys(self, spans: Sequence[bytes], service: str) -> list[Key | None]:
        """Give what encoded Spans of a service are known by, None for what is not to be."""
        if self._resting > 0:
            self._resting -= len(spans)
            return [None] * len(spans)
        read, duration = Occurrences().read, self._duration
        self._looked_at += len(spans)
        keys: list[Key | None] = []
        for span in spans:
            if len(span) > MAX_SPAN_BYTES:
                keys.append(None)
                continue
            try:
                started, ended, kind = read(span)
            except DecodeError:  # whoever reads all of it tells so
                keys.append(None)
            else:
                keys.append((service, duration(started, ended), kind))
        return keys

    def look_up(self, keys: Sequence[Key | None]) -> list[Rendered | None]:
        """Give the texts that are known, in order, None where none is."""
        found = [*map(self._texts.get, keys)]
        self._note(len(found) - found.count(None))
        return found

    def remember(self, key: Key | None, rendered: Rendered) -> None:
        """Know what was made of a span."""
        # An event has a time of its own: that span won't come again.
        if key is not None and not has_events(key[-1]):
            self._texts.remember(key, rendered)

    def _note(self, found: int) -> None:
        self._hits += found
        self._found += found
        if self._looked_at >= LOOKED_AT:
            self._resting = 0 if self._found >= FEW else RESTING
            self._looked_at = self._found = 0


def _size(key: Key | None) -> int:
    return sum(map(len, key or ()))
