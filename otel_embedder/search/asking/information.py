"""What a catalogue holds, by service and by time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.asking.answers import Info, ServiceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_embedder.search.entries import RowKey
    from otel_embedder.search.ranking import Integers
    from otel_embedder.search.store import Columns


def information(columns: Columns, rows: Mapping[int, RowKey], *, size: int) -> Info:
    """Tell what a catalogue holds.

    Args:
        columns: of all its texts.
        rows: of these, by their numbers.
        size: how many bytes it takes.

    """
    models = _by_name(columns.models, columns.names)
    return Info(
        texts=len(columns.keys),
        waiting=models.pop("", 0),
        bytes=size,
        models=models,
        text_versions=_by_name(columns.text_versions, columns.names),
        services=tuple(_services(columns, rows)),
    )


def _by_name(numbers: Integers, names: Mapping[int, str]) -> dict[str, int]:
    found, counts = np.unique(numbers, return_counts=True)
    most_first = np.argsort(-counts, kind="stable")
    return {names[int(found[place])]: int(counts[place]) for place in most_first}


def _services(columns: Columns, rows: Mapping[int, RowKey]) -> Iterator[ServiceInfo]:
    numbers, row_of = np.unique(columns.rows, return_inverse=True)
    # A row that went since the columns were read has no name any more.
    of_rows = [rows[number].service if number in rows else None for number in numbers.tolist()]
    names = sorted({service for service in of_rows if service is not None})
    places: dict[str | None, int] = {service: place for place, service in enumerate(names)}
    services = np.array([places.get(service, -1) for service in of_rows], np.int64)[row_of]
    failing = [number for number, name in columns.names.items() if name == "ERROR"]
    is_failing = np.isin(columns.statuses, failing)
    operations = Counter(row.service for row in rows.values())
    for place, service in enumerate(names):
        here = services == place
        yield ServiceInfo(
            service=service,
            operations=operations[service],
            texts=int(here.sum()),
            failing=int(is_failing[here].sum()),
            first_seen=int(columns.first_seen[here].min()),
            last_seen=int(columns.last_seen[here].max()),
        )
