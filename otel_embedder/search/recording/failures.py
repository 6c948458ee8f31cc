"""Where traces failed: their deepest errors, with what those spans say.

Whoever puts failures into groups reads the words of an error before they are made into text. So the
bytes of ERROR spans are kept until they are counted, as far as there is room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.search.trees import depths, failed_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_embedder.otlp.spans import SpanIds
    from otel_embedder.search.entries import RowKey
    from otel_embedder.search.recording.columns import Recorded
    from otel_embedder.search.recording.vocabulary import Vocabulary
    from otel_embedder.search.trees import Flags, Spans, Trees

ENTRY_BYTES = 300  # of a span's bytes, besides themselves
MAX_ANCESTORS = 16


class Failure(NamedTuple):
    """Where a trace failed, as far as its spans were at hand.

    Attributes:
        trace_id: as in OTLP.
        span_id: of the deepest error span that has no error child.
        row: its row.
        ended: when it ended, in nanoseconds since 1970.
        depth: how many spans it is under.
        errors: its encoded span, and those of its ancestors that are errors, the nearest first;
            those for which there was no room are missing.

    """

    trace_id: bytes
    span_id: bytes
    row: RowKey
    ended: int
    depth: int
    errors: tuple[bytes, ...]


class Failures:
    """Keeps ERROR spans until they are counted, and tells where traces failed."""

    def __init__(self, told: Callable[[Sequence[Failure]], None], *, max_bytes: int) -> None:
        """Begin with nothing.

        Args:
            told: is called once an interval with the traces that failed at spans counted in it.
            max_bytes: about how many bytes of spans are kept.

        """
        self._told = told
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
    ) -> None:
        """Tell where traces failed, of spans that are counted, and keep those that came since.

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
        deep = depths(trees.parents, positions)
        found = [
            Failure(
                *recorded.span_ids(position),
                vocabulary.rows[row],
                int(spans.ends[position]),
                depth,
                tuple(self._errors(position, recorded, trees)),
            )
            for position, row, depth in zip(
                positions.tolist(), rows.tolist(), deep.tolist(), strict=True
            )
        ]
        self._waiting, self._new = self._new, {}
        self._waiting_bytes, self._new_bytes = self._new_bytes, 0
        if found:
            self._told(found)

    def _errors(self, position: int, recorded: Recorded, trees: Trees) -> Iterator[bytes]:
        """Give what is kept of a span and of those above it."""
        for _ in range(MAX_ANCESTORS):
            ids = recorded.span_ids(position)
            encoded = self._waiting.get(ids) or self._new.get(ids)
            if encoded:
                yield encoded
            position = int(trees.parents[position])
            if position < 0:
                return
