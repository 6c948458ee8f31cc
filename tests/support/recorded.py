"""Spans for a recorder, and what its batches say in names instead of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.search.counts import KEYS, NOTHING
from otel_embedder.search.recording.recorder import Bounds, Recorder
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.otlp_samples import resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.search.store import Batch

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
MINUTE = 1_700_000_040  # seconds since 1970: one begins
NOW = (MINUTE + 120) * SECOND
ROOMY = Bounds(spans=1_000, bytes=10_000_000, sayings=1_000)
Said = dict[tuple[object, ...], list[int]]


def made(
    name: str,
    number: int,
    parent: int = 0,
    *,
    trace: int = 1,
    start: float = 0,
    took: float = 1,
    status: Status.StatusCode.ValueType = Status.STATUS_CODE_UNSET,
    message: str = "",
) -> Span:
    """Give a span that starts so many seconds into the minute, and takes so many milliseconds."""
    started = MINUTE * SECOND + round(start * SECOND)
    return Span(
        trace_id=trace.to_bytes(16),
        span_id=number.to_bytes(8),
        parent_span_id=parent.to_bytes(8) if parent else b"",
        name=name,
        start_time_unix_nano=started,
        end_time_unix_nano=started + round(took * MILLISECOND),
        status=Status(code=status, message=message) if status else None,
    )


def recorder(
    bounds: Bounds = ROOMY,
    *,
    number: int = 0,
    is_file: bool = False,
) -> Recorder:
    """Give one of which texts are names of spans."""
    renderer = new_renderer(RenderOptions(template="{operation}"))
    return Recorder("writer", renderer, bounds=bounds, number=number, is_file=is_file)


def take(
    recorder: Recorder,
    *spans: Span,
    service: str = "shop",
    embeddings: Sequence[Embedding | None] | None = None,
    now: int = NOW,
) -> int:
    """Let spans of a service be recorded."""
    return recorder.take(
        resource(service).SerializeToString(),
        [span.SerializeToString() for span in spans],
        [span.name for span in spans],
        embeddings or [None] * len(spans),
        now=now,
    )


class Told(NamedTuple):
    """What a batch, or some, say in names.

    Attributes:
        roots: by the minute.
        tables: by the minute and the name, values by keys in words.

    """

    roots: dict[int, int]
    tables: dict[tuple[int, str], Said]


def told(batch: Batch) -> Told:
    """Give what a batch says in names."""
    words: dict[str, list[object]] = {
        "row": [NOTHING, *(f"{row.service} {row.operation}" for row in batch.rows)],
        "service": [NOTHING, *batch.services],
        "text": [NOTHING, *(text.words for text in batch.texts)],
    }
    tables: dict[tuple[int, str], Said] = {}
    for minute, counts in batch.counts.items():
        for name, table in counts.tables.items():
            said = tables.setdefault((minute - MINUTE, name), {})
            for keys, values in zip(table.keys.tolist(), table.values.tolist(), strict=True):
                named = (
                    words[kind][key] if kind in words else key
                    for kind, key in zip(KEYS[name], keys, strict=True)
                )
                said[tuple(named)] = values
    roots = {minute - MINUTE: counts.roots for minute, counts in batch.counts.items()}
    return Told(roots, tables)


def summed(batches: Iterable[Batch | None]) -> dict[tuple[object, ...], list[int]]:
    """Give what batches say together: values by minute, table and keys in words."""
    sums: dict[tuple[object, ...], list[int]] = {}
    for batch in batches:
        if batch is None:
            continue
        roots, tables = told(batch)
        each: list[tuple[tuple[object, ...], list[int]]] = [
            ((minute, "roots"), [count]) for minute, count in roots.items()
        ]
        each += [
            ((*at, *keys), value) for at, said in tables.items() for keys, value in said.items()
        ]
        for key, values in each:
            known = sums.setdefault(key, [0] * len(values))
            sums[key] = [one + other for one, other in zip(known, values, strict=True)]
    return sums
