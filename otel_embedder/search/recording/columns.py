"""Spans as columns: what is counted of them, 53 bytes a span."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.otlp.layouts import ENDED, PARENT_SPAN, SPAN, STARTED, TRACE
from otel_embedder.otlp.spans import SpanIds
from otel_embedder.search.times import DAY, NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from otel_embedder.otlp.layouts import Numbers
    from otel_embedder.search.counts import Integers
    from otel_embedder.search.recording.trees import Flags, Ids

SPAN_BYTES = 53  # a row of these columns

# No span is older than tracing, nor younger than a clock that is wrong by a time zone.
EARLIEST = 946_684_800 * NANOSECONDS  # the year 2000
AHEAD = DAY * NANOSECONDS


class Recorded(NamedTuple):
    """Spans that were recorded, by columns, each of shape (n,) but the first.

    Attributes:
        traces: their traces' ids, shape (n, 2): 16 bytes, cut or filled up where they are not.
        ids: their own, 8 bytes.
        parents: their parents', 0 where there is none.
        starts: nanoseconds, never impossible.
        ends: nanoseconds; before the start where their times don't tell how long they took.
        statuses: 0 UNSET, 1 OK, 2 ERROR.
        sayings: numbers in a `Vocabulary`.

    """

    traces: Ids
    ids: Ids
    parents: Ids
    starts: Integers
    ends: Integers
    statuses: npt.NDArray[np.int8]
    sayings: npt.NDArray[np.int32]

    @classmethod
    def joined(cls, columns: Iterable[Recorded]) -> Recorded:
        """Give some behind each other."""
        some = [each for each in columns if len(each.ids)]
        if len(some) <= 1:
            return some[0] if some else NO_SPANS
        return cls(*map(np.concatenate, zip(*some, strict=True)))

    def at(self, which: slice | Flags | Integers) -> Recorded:
        """Give some of the spans."""
        return Recorded._make(column[which] for column in self)

    def span_ids(self, position: int) -> SpanIds:
        """Give the ids of a span."""
        return span_ids(self.traces[position], self.ids[position])

    def all_ids(self) -> list[SpanIds]:
        """Give the ids of all spans; those of nothing but zeros are none."""
        traces, ids = self.traces.tobytes(), self.ids.tobytes()
        are_traced = (self.traces[:, 0] | self.traces[:, 1]) != 0
        return [
            SpanIds(
                traces[16 * place : 16 * place + 16] if is_traced else b"",
                ids[8 * place : 8 * place + 8] if is_named else b"",
            )
            for place, (is_traced, is_named) in enumerate(
                zip(are_traced.tolist(), self.ids.astype(bool).tolist(), strict=True)
            )
        ]


NO_SPANS = Recorded(
    np.zeros((0, 2), np.uint64),
    np.zeros(0, np.uint64),
    np.zeros(0, np.uint64),
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.int8),
    np.zeros(0, np.int32),
)


def recorded(
    own: Numbers, statuses: Integers, sayings: Integers, *, now: int, before: int | None
) -> Recorded:
    """Give what is recorded of some spans.

    Args:
        own: what is each one's own, shape (n, `layouts.NUMBERS`).
        statuses: of each, shape (n,).
        sayings: what each says, by its number in a `Vocabulary`, shape (n,).
        now: nanoseconds since 1970; more than a day ahead of that no span can be.
        before: when a span started that was before these; so do those of impossible times then, or
            when the one before them did. None: they start now.

    """
    starts, is_possible = _times(own[:, STARTED], now)
    ends, does_end = _times(own[:, ENDED], now)
    if before is None:
        starts[~is_possible] = now
    else:
        filled = np.append(before, starts)
        last = np.where(is_possible, np.arange(1, len(filled)), 0)
        starts = filled[np.maximum.accumulate(last)]
    return Recorded(
        own[:, TRACE],
        own[:, SPAN],
        own[:, PARENT_SPAN],
        starts,
        np.where(is_possible & does_end, ends, starts - 1),
        statuses.astype(np.int8),
        sayings.astype(np.int32),
    )


def span_ids(trace: Ids, span: np.uint64) -> SpanIds:
    """Give ids as bytes: of a trace in two numbers, and of a span."""
    return SpanIds(trace.tobytes() if trace.any() else b"", span.tobytes() if span else b"")


def _times(numbers: npt.NDArray[np.uint64], now: int) -> tuple[Integers, Flags]:
    """Give times as signed numbers, and which of them are possible; the others are 0."""
    is_possible = (numbers >= EARLIEST) & (numbers <= now + AHEAD)
    return np.where(is_possible, numbers, np.uint64(0)).astype(np.int64), is_possible
