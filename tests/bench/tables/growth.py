"""How the cost of a request grows, in this process: from its bytes to those that are sent on."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from typing import TYPE_CHECKING

from otel_embedder.sidecar.memory import trimming
from tests.bench.fit import line_through
from tests.bench.requests import SPANS, same, sized
from tests.bench.results import Column, Curves, Table
from tests.support.generated import requests_of_texts
from tests.support.way import Way

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.extent import Extent

MICROSECONDS = 1e6
SPANS_A_REQUEST = (1, 4, 16, 64, 256, 1_024, 4_096, 8_192)
ATTRIBUTES = (1, 5, 10, 20, 40, 80)
DISTINCT = (1, 8, 32, 128, 256, 512)


def spans(extent: Extent) -> Table:
    """Measure by spans a request."""
    requests = {count: [same(count)[0]] for count in SPANS_A_REQUEST}
    return _grown("spans", "a span", requests, extent, is_known=True)


def attributes(extent: Extent) -> Table:
    """Measure by attributes of each span, of spans that are known."""
    [usual] = same(SPANS)
    requests = {count: [sized(usual, count)] for count in ATTRIBUTES}
    return _grown("attributes a span", "an attribute of all spans", requests, extent, is_known=True)


def unseen(extent: Extent) -> Table:
    """Measure by attributes of each span, of which none was seen before."""
    requests = {
        count: [sized(each, count) for each in _all_different(extent)] for count in ATTRIBUTES
    }
    what = "attributes a span, none of them seen before"
    return _grown(what, "an attribute of all spans", requests, extent, is_known=False)


def texts(extent: Extent) -> Table:
    """Measure by how many texts a request's spans have."""
    requests = {
        count: requests_of_texts(SPANS, texts=count, spans_a_request=SPANS) for count in DISTINCT
    }
    return _grown("texts", "a text", requests, extent, is_known=True)


def turns(extent: Extent) -> int:
    """Give how many of each to take: an odd number, so that one of them is the median."""
    return 2 * extent.rounds + 1


def _all_different(extent: Extent) -> list[bytes]:
    """Make requests of which no two spans have an attribute in common."""
    number = SPANS * (1 + turns(extent))
    return requests_of_texts(number, texts=number, spans_a_request=SPANS)


def _grown(
    what: str,
    each: str,
    requests: Mapping[int, Sequence[bytes]],
    extent: Extent,
    *,
    is_known: bool,
) -> Table:
    title = f"A request by {what}, in process"
    table = Table(
        title, (Column(what, ",.0f"), Column("CPU, us/request"), Column("us/span", ".2f"))
    )
    costs = asyncio.run(_measured(requests, turns(extent), is_known=is_known))
    for size, cost in costs.items():
        count = size if what == "spans" else SPANS
        table.add(size, cost, cost / count)
    table.notes.append(line_through([*costs], [*costs.values()]).said("us", each))
    table.curves = Curves(what, along=0, up=1)
    return table


async def _measured(
    requests: Mapping[int, Sequence[bytes]], rounds: int, *, is_known: bool
) -> dict[int, float]:
    gc.collect()
    gc.disable()  # as it would walk over all that the fakes keep
    try:
        async with trimming():  # which has memory kept, as a sidecar does
            return await _costs(requests, rounds, is_known=is_known)
    finally:
        gc.enable()


async def _costs(
    requests: Mapping[int, Sequence[bytes]], rounds: int, *, is_known: bool
) -> dict[int, float]:
    """Give what a request of each size costs, in microseconds, medians of turns."""
    ways = {size: Way(max_texts=SPANS) for size in requests}
    took: dict[int, list[float]] = {size: [] for size in requests}
    for turn in range(1 + rounds):
        for size, way in ways.items():
            repeated = max(1, SPANS // size) if is_known else 1
            request = requests[size][turn % len(requests[size])]
            started = time.thread_time()
            for _ in range(repeated):
                await way.go(request)
            if turn:  # in the first one nothing is known yet
                took[size].append((time.thread_time() - started) / repeated * MICROSECONDS)
    return {size: statistics.median(each) for size, each in took.items()}
