"""What a catalogue is asked for the like of: a span, one of its texts, or any text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

from otel_embedder.annotation.text_id import text_id
from otel_embedder.errors import UnknownEntryError
from otel_embedder.otlp.spans import NANOSECONDS_PER_MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.annotation.standing import Origin
    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.entries import Entry, Example
    from otel_embedder.search.store import Store

SPAN = re.compile(r"(?P<trace>[0-9a-fA-F]{32})(?::(?P<span>[0-9a-fA-F]{16}))?")
TEXT_ID = re.compile(r"[0-9a-fA-F]{16}")
NO_KEY = 0
MOST_IDS = 65_536
AT_ONCE = 10_000


class Target(NamedTuple):
    """What is to be compared with.

    Attributes:
        text: its words.
        key: of its entry, NO_KEY if it has none.
        vector: its vector, if the catalogue has it; None if it is yet to be made.
        milliseconds: how long it took; None if that is unknown, or says nothing.

    """

    text: str
    key: int = NO_KEY
    vector: Vector | None = None
    milliseconds: float | None = None


class Targets:
    """Finds them. Safe to use from several threads."""

    def __init__(self, store: Store, origin: Origin) -> None:
        """Prepare to find.

        Args:
            store: what keeps the catalogue.
            origin: what vectors that are compared say of themselves.

        """
        self._store = store
        self._origin = origin
        # Of texts that were given as an answer: they are asked for next.
        self._keys: LRUCache[str, int] = LRUCache(MOST_IDS)

    def remember(self, entry: Entry) -> str:
        """Give the id of an entry's text, to be found by it soon."""
        found = self._id(entry)
        self._keys[found] = entry.key
        return found

    def _id(self, entry: Entry) -> str:
        return text_id(self._origin, entry.words)

    def find(self, like: str) -> Target:
        """Find what is named by TRACE_ID, TRACE_ID:SPAN_ID or the id of a text; or take a text.

        Raises:
            UnknownEntryError: the catalogue has nothing of this id.
            StoreError: it can't be read.

        """
        like = like.strip()
        if span := SPAN.fullmatch(like):
            return self._span(span["trace"], span["span"])
        if TEXT_ID.fullmatch(like):
            return self._text(like.lower())
        return Target(like)

    def _span(self, trace_id: str, span_id: str | None) -> Target:
        trace, span = bytes.fromhex(trace_id), bytes.fromhex(span_id or "")
        keys = self._store.with_trace(trace)
        found = [
            (entry, example)
            for entry in self._store.entries(keys)
            for example in entry.examples.all()
            if example.trace_id == trace and span in {b"", example.span_id}
        ]
        if not found:
            what = f"span {span_id} of trace {trace_id}" if span_id else f"span of trace {trace_id}"
            raise UnknownEntryError(
                f"the catalogue has no {what} among its examples: of each text it keeps a few spans"
            )
        entry, example = max(found, key=_worth_asking)
        return self._of(entry, [example])

    def _text(self, id_: str) -> Target:
        key = self._keys.get(id_)
        entries = [] if key is None else self._store.entries([key])
        # A number is not given twice, but what is remembered may have gone.
        entry = next((each for each in entries or self._entries() if self._id(each) == id_), None)
        if entry is None:
            raise UnknownEntryError(
                f"the catalogue has no text with the id {id_}: ids are of {self._origin.model}, "
                f"text version {self._origin.text_version}"
            )
        return self._of(entry, entry.examples.all())

    def _entries(self) -> Iterator[Entry]:
        keys = self._store.columns().keys.tolist()
        for start in range(0, len(keys), AT_ONCE):
            yield from self._store.entries(keys[start : start + AT_ONCE])

    def _of(self, entry: Entry, examples: Sequence[Example]) -> Target:
        durations = [each.duration for each in examples if each.duration is not None]
        milliseconds = None
        if durations:
            milliseconds = sorted(durations)[len(durations) // 2] / NANOSECONDS_PER_MILLISECOND
        vector = self._store.vector(entry.key) if entry.model == self._origin.model else None
        return Target(entry.words, entry.key, vector, milliseconds)


def _worth_asking(found: tuple[Entry, Example]) -> tuple[bool, int]:
    """Rank the spans of a trace: those that failed, and those that took long."""
    entry, example = found
    return entry.status == "ERROR", example.duration or 0
