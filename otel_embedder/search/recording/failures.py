"""Where traces failed: their deepest errors, with what those spans say.

Whoever puts failures into groups reads the words of an error before they are made into text. So the
bytes of ERROR spans are kept until they are counted, as far as there is room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.search.recording.trees import failed_at, of_same_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.otlp.spans import SpanIds
    from otel_embedder.search.counts import Integers
    from otel_embedder.search.entries import RowKey
    from otel_embedder.search.recording.columns import Recorded
    from otel_embedder.search.recording.trees import Flags, Spans, Trees
    from otel_embedder.search.recording.vocabulary import Vocabulary

ENTRY_BYTES = 300  # of a span's bytes, besides themselves
MAX_ANCESTORS = 16


class Failure(NamedTuple):
    """Where a trace failed, as far as its spans were at hand.

    Attributes:
        trace_id: as in OTLP.
        span_id: of the deepest error span that has no error child.
        row: its row.
        ended: when it ended, in nanoseconds since 1970.
        errors: its encoded span, and those of its ancestors that are errors, the nearest first;
            ancestors for which there was no room are missing.
        reached: the services that have an ERROR span in the trace, sorted.

    """

    trace_id: bytes
    span_id: bytes
    row: RowKey
    ended: int
    errors: tuple[bytes, ...]
    reached: tuple[str, ...]


class Failures:
    """Keeps ERROR spans until they are counted, and tells where traces failed."""

    def __init__(self, *, max_bytes: int) -> None:
        """Begin with nothing.

        Args:
            max_bytes: about how many bytes of spans are kept.

        """
        self._max_bytes = max_bytes
        self._new: dict[SpanIds, bytes] = {}
        self._waiting: dict[SpanIds, bytes] = {}
        self._new_bytes = self._waiting_bytes = 0

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        return self._new_bytes + self._waiting_bytes

    def note(self, ids: SpanIds, encoded: bytes) -> None:
        """Keep an ERROR span, if there is room."""
        size = ENTRY_BYTES + len(encoded)
        if self.size + size <= self._max_bytes:
            self._new[ids] = encoded
            self._new_bytes += size

    def tell(
        self, recorded: Recorded, spans: Spans, trees: Trees, which: Flags, vocabulary: Vocabulary
    ) -> list[Failure]:
        """Tell where traces failed, of spans that are counted, and keep those that came since.

        A trace is left out if there was no room for the span at which it failed: what another one
        said of it would be taken for its cause.

        Args:
            recorded: all spans at hand.
            spans: the same.
            trees: theirs.
            which: those that are counted, shape (n,).
            vocabulary: what they say.

        """
        positions = failed_at(spans, trees)
        positions = positions[which[positions]]
        rows = vocabulary.columns().rows[recorded.sayings[positions]]
        reached = _reached(spans, positions)
        found = [
            Failure(
                *recorded.span_ids(position),
                vocabulary.rows[row],
                int(spans.ends[position]),
                tuple(self._errors(position, recorded, trees)),
                tuple(sorted(vocabulary.services[number] for number in services)),
            )
            for position, row, services in zip(
                positions.tolist(), rows.tolist(), reached, strict=True
            )
            if self._kept(recorded.span_ids(position))
        ]
        self._waiting, self._new = self._new, {}
        self._waiting_bytes, self._new_bytes = self._new_bytes, 0
        return found

    def _kept(self, ids: SpanIds) -> bytes | None:
        return self._waiting.get(ids) or self._new.get(ids)

    def _errors(self, position: int, recorded: Recorded, trees: Trees) -> Iterator[bytes]:
        """Give what is kept of a span and of those above it."""
        for _ in range(MAX_ANCESTORS):
            encoded = self._kept(recorded.span_ids(position))
            if encoded:
                yield encoded
            position = int(trees.parents[position])
            if position < 0:
                return


def _reached(spans: Spans, positions: Integers) -> list[set[int]]:
    """Give of the traces of some spans the numbers of the services that have an error in them."""
    errors, of = of_same_trace(spans, np.flatnonzero(spans.errors), positions)
    reached: list[set[int]] = [set() for _ in positions]
    for service, place in zip(spans.services[errors].tolist(), of.tolist(), strict=True):
        reached[place].add(service)
    return reached
