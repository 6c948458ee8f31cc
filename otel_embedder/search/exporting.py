"""What a catalogue holds, text by text, for whatever else is to read it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_embedder.annotation.standing import Origin
from otel_embedder.annotation.text_id import text_id
from otel_embedder.search.asking.examples import milliseconds_of
from otel_embedder.search.asking.json_form import rfc3339
from otel_embedder.search.times import DAY, END_OF_TIME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.search.entries import Entry, RowKey
    from otel_embedder.search.store import Store

AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class ExportedText:
    """A text as it is written out.

    Attributes:
        text_id: what its spans share as `embedding.text_id`; empty if it has no vector yet.
        text: the text.
        service: of its spans.
        operation: of its spans.
        kind: of its spans.
        status: UNSET, OK or ERROR.
        model: whose vector it has; empty if it has none yet.
        text_version: of the text.
        spans: how many had it, as far as that is kept.
        first_seen: RFC 3339.
        last_seen: RFC 3339.
        slowest_milliseconds: how long the slowest of its spans took; None if unknown.
        trace_ids: of some of its spans, in hex.

    """

    text_id: str
    text: str
    service: str
    operation: str
    kind: str
    status: str
    model: str
    text_version: str
    spans: int
    first_seen: str
    last_seen: str
    slowest_milliseconds: float | None
    trace_ids: tuple[str, ...]


def exported(store: Store) -> Iterator[ExportedText]:
    """Give all texts, in the order in which they came; few are in memory at once.

    Raises:
        StoreError: the catalogue can't be read.

    """
    spans = _spans(store)
    rows = store.rows()
    keys = sorted(store.columns().keys.tolist())
    for start in range(0, len(keys), AT_ONCE):
        for entry in store.entries(keys[start : start + AT_ONCE]):
            if entry.row not in rows:
                rows = store.rows()  # it has come since
            yield _exported(entry, rows[entry.row], spans[entry.key])


def _spans(store: Store) -> Counter[int]:
    spans: Counter[int] = Counter()
    for bucket in store.buckets(since=0, until=END_OF_TIME, finest=DAY):
        table = bucket.counts.table("texts")
        spans.update(dict(zip(table.keys[:, 0].tolist(), table.values[:, 0].tolist(), strict=True)))
    return spans


def _exported(entry: Entry, row: RowKey, spans: int) -> ExportedText:
    origin = Origin(entry.model, entry.text_version)
    return ExportedText(
        text_id=text_id(origin, entry.words) if entry.model else "",
        text=entry.words,
        service=row.service,
        operation=row.operation,
        kind=row.kind,
        status=entry.status,
        model=entry.model,
        text_version=entry.text_version,
        spans=spans,
        first_seen=rfc3339(entry.first_seen),
        last_seen=rfc3339(entry.last_seen),
        slowest_milliseconds=milliseconds_of(entry.examples.slowest),
        trace_ids=tuple(dict.fromkeys(each.trace_id.hex() for each in entry.examples.all())),
    )
