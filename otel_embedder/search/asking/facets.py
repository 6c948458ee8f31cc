"""What a filter would leave: how many texts pass with each of its values."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.asking.answers import Facet, Facets

if TYPE_CHECKING:
    from otel_embedder.search.asking.held import Held
    from otel_embedder.search.asking.queries import Narrowing
    from otel_embedder.search.ranking import Integers

# Of operations there may be tens of thousands; nobody chooses from a longer list.
MOST_VALUES = 50


def facets(held: Held, query: Narrowing, since: int | None, until: int | None) -> Facets:
    """Count, for each field, the texts that pass all filters but its own."""

    def passing(field: str) -> Integers:
        without = query.model_copy(update={field: ()})
        return np.flatnonzero(held.matching(without, since, until))

    def of_rows(field: str) -> tuple[Facet, ...]:
        rows = Counter(held.column("rows", passing(field)).tolist())
        values: Counter[str] = Counter()
        for row, texts in rows.items():
            values[getattr(held.rows[row], field)] += texts
        return _most(values)

    statuses = Counter(held.column("statuses", passing("status")).tolist())
    return Facets(
        texts=int(np.count_nonzero(held.matching(query, since, until))),
        service=of_rows("service"),
        operation=of_rows("operation"),
        kind=of_rows("kind"),
        status=_most(Counter({held.names[number]: texts for number, texts in statuses.items()})),
    )


def _most(values: Counter[str]) -> tuple[Facet, ...]:
    return tuple(Facet(value, texts) for value, texts in values.most_common(MOST_VALUES))
