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
    from collections.abc import Callable, Iterable

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

    def look_up(self, spans: Iterable[bytes], service: str) -> list[Rendered | None]:
        """Give the texts of encoded Spans of a service, None for each that is not known."""
        if self._resting > 0:
            found: list[Rendered | None] = [None for _ in spans]
            self._resting -= len(found)
            return found
        key, known = self._keys(service), self._texts.get
        found = [known(key(span)) for span in spans]
        self._note(len(found), len(found) - found.count(None))
        return found

    def remember(self, span: bytes, service: str, rendered: Rendered) -> None:
        """Know an encoded Span of a service from now on by what was made of it."""
        if self._resting > 0:
            return
        key = self._keys(service)(span)
        # An event has a time of its own: that span won't come again.
        if key is not None and not has_events(key[-1]):
            self._texts.remember(key, rendered)

    def _keys(self, service: str) -> Callable[[bytes], Key | None]:
        """Give what gives the keys of some encoded Spans of a service; None of what has none."""
        read, duration = Occurrences().read, self._duration

        def key(span: bytes) -> Key | None:
            if len(span) > MAX_SPAN_BYTES:
                return None
            try:
                started, ended, kind = read(span)
            except DecodeError:  # whoever reads all of it tells so
                return None
            return service, duration(started, ended), kind

        return key

    def _note(self, looked_at: int, found: int) -> None:
        self._hits += found
        self._looked_at += looked_at
        self._found += found
        if self._looked_at >= LOOKED_AT:
            self._resting = 0 if self._found >= FEW else RESTING
            self._looked_at = self._found = 0


def _size(key: Key | None) -> int:
    return sum(map(len, key or ()))
