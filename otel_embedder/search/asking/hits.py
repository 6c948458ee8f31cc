"""What is found, with all that is told of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.asking.answers import FoundExample, Hit
from otel_embedder.search.asking.examples import found_example, milliseconds_of
from otel_embedder.search.asking.trends import TrendReader
from otel_embedder.search.ranking import decades, duration_likeness

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_embedder.search.asking.held import Held, Seen
    from otel_embedder.search.asking.targets import Targets
    from otel_embedder.search.asking.trends import Span
    from otel_embedder.search.entries import Entry, Example
    from otel_embedder.search.links import TraceLink
    from otel_embedder.search.ranking import Ranked
    from otel_embedder.search.store import Store


class Hits:
    """Reads of texts that were found how often they came, when, and in which traces."""

    def __init__(self, store: Store, held: Held, targets: Targets, link: TraceLink) -> None:
        """Prepare to read.

        Args:
            store: what keeps them.
            held: what is in memory of it.
            targets: remembers by which ids texts can be asked for.
            link: makes the links of examples.

        """
        self._store = store
        self._held = held
        self._targets = targets
        self._link = link
        self._trends = TrendReader(store)

    def of(
        self, best: Ranked, span: Span, seen: Seen, *, duration: float = math.nan
    ) -> Iterator[Hit]:
        """Give the hit of each text, the first first; none of what went since.

        Args:
            best: the texts.
            span: the time that is asked for.
            seen: what was held as they were found.
            duration: how long what they are like took, as `decades` has it: examples that took as
                long go first. NaN if that says nothing.

        Raises:
            StoreError: the catalogue can't be read.

        """
        counted = self._trends.read(best.keys, span, seen.state)
        rows = self._held.rows
        entries = {entry.key: entry for entry in self._store.entries(best.keys.tolist())}
        for place, key in enumerate(best.keys.tolist()):
            entry = entries.get(key)
            if entry is None or entry.row not in rows:
                continue  # it went since, or is another's now
            row = rows[entry.row]
            milliseconds = float(counted.milliseconds[place])
            yield Hit(
                score=float(best.scores[place]),
                cosine=float(best.cosines[place]),
                text=entry.words,
                text_id=self._targets.remember(entry),
                service=row.service,
                operation=row.operation,
                kind=row.kind,
                status=entry.status,
                spans=int(counted.spans[place].sum()),
                trend=tuple(counted.spans[place].tolist()),
                first_seen=entry.examples.first.time,
                last_seen=entry.examples.last[0].time,
                milliseconds=None if math.isnan(milliseconds) else milliseconds,
                examples=self._examples(entry, duration),
            )

    def _examples(self, entry: Entry, duration: float) -> tuple[FoundExample, ...]:
        examples = entry.examples
        every: Sequence[Example] = [*examples.last, examples.slowest, examples.first]
        distinct = [*dict.fromkeys(every)]
        if not math.isnan(duration):
            likeness = dict(zip(distinct, likenesses(distinct, duration), strict=True))
            distinct.sort(key=lambda example: -likeness[example])
        return tuple(found_example(example, self._link) for example in distinct)


def likenesses(examples: Iterable[Example], duration: float) -> list[float]:
    """Give how alike the durations of examples are to one, as `ranking.duration_likeness` does."""
    lasting = np.array([decades(milliseconds_of(example)) for example in examples])
    likeness: list[float] = duration_likeness(lasting, duration).tolist()
    return likeness
