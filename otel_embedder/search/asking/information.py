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
    from otel_embedder.search.store import Columns, Store


def information(store: Store) -> Info:
    """Tell what a catalogue holds.

    Raises:
        StoreError: it can't be read.

    """
    columns, rows = store.columns(), store.rows()
    models = _by_name(columns.models, columns.names)
    return Info(
        texts=len(columns.keys),
        waiting=models.pop("", 0),
        bytes=store.size(),
        models=models,
        text_versions=_by_name(columns.text_versions, columns.names),
        services=tuple(_services(columns, rows)),
    )


def _by_name(numbers: Integers, names: Mapping[int, str]) -> dict[str, int]:
    return {
        names[number]: count
        for number, count in sorted(Counter(numbers.tolist()).items(), key=lambda each: -each[1])
    }


def _services(columns: Columns, rows: Mapping[int, RowKey]) -> Iterator[ServiceInfo]:
    services = np.array([rows[number].service for number in columns.rows.tolist()], np.object_)
    is_failing = np.array([columns.names[each] == "ERROR" for each in columns.statuses.tolist()])
    operations = Counter(row.service for row in rows.values())
    for service in sorted({*services.tolist()}):
        here = services == service
        yield ServiceInfo(
            service=service,
            operations=operations[service],
            texts=int(here.sum()),
            failing=int(is_failing[here].sum()),
            first_seen=int(columns.first_seen[here].min()),
            last_seen=int(columns.last_seen[here].max()),
        )
