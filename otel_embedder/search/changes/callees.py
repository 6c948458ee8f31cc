"""Whom rows call.

A caller that waits for another service is as slow as that one is: a table of changes that does not
say whom a row calls names the wrong service half as often again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_embedder.search.counts import Counts

PAIR_BITS = 32
PAIR_MASK = 2**PAIR_BITS - 1


def most_called(all_counts: Iterable[Counts]) -> dict[int, int]:
    """Give by row the number of the other service that it called most often, if it called one."""
    tables = [counts.table("calls") for counts in all_counts]
    none = np.zeros(0, np.int64)
    pairs = np.concatenate(
        [none, *((each.keys[:, 0] << PAIR_BITS) | each.keys[:, 1] for each in tables)]
    )
    times = np.concatenate([none, *(each.values[:, 0] for each in tables)])
    known, places = np.unique(pairs, return_inverse=True)
    # By how often; of one row what comes last stays.
    order = np.argsort(np.bincount(places, times, len(known)), kind="stable")
    rows, services = known[order] >> PAIR_BITS, known[order] & PAIR_MASK
    return dict(zip(rows.tolist(), services.tolist(), strict=True))
