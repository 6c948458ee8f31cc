"""Trees by columns are those of a plain walk, whatever the spans look like."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.search.recording.trees import (
    MAX_DEPTH,
    NO_SPAN,
    NOT_JOINED,
    UNKNOWN,
    Spans,
    Trees,
    cells,
    depths,
    failed_at,
    join,
    may_be_of,
    millidecades,
)

if TYPE_CHECKING:
    from otel_embedder.search.recording.trees import Ids

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Made:
    """A span that a test made."""

    trace: tuple[int, int]
    id: int
    parent: int
    start: int
    end: int
    is_error: bool


def columns(made: list[Made]) -> Spans:
    return Spans(
        np.array([each.trace for each in made], np.uint64).reshape(-1, 2),
        np.array([each.id for each in made], np.uint64),
        np.array([each.parent for each in made], np.uint64),
        np.array([each.start for each in made], np.int64),
        np.array([each.end for each in made], np.int64),
        np.zeros(len(made), np.int64),
        np.array([each.is_error for each in made], bool),
    )


def under_way(children: list[Made], parent: Made) -> int:
    """Give how long some child was, a piece of time after the other."""
    clipped = [(max(each.start, parent.start), min(each.end, parent.end)) for each in children]
    edges = sorted({edge for piece in clipped for edge in piece})
    return sum(
        right - left
        for left, right in pairwise(edges)
        if any(start <= left and right <= end for start, end in clipped)
    )


def walked(made: list[Made]) -> Trees:
    """Give the trees as a plain walk finds them."""
    first: dict[tuple[tuple[int, int], int], int] = {}
    for position, each in enumerate(made):
        first.setdefault((each.trace, each.id), position)
    parents = [
        NO_SPAN if each.parent in {0, each.id} else first.get((each.trace, each.parent), NO_SPAN)
        for each in made
    ]
    children: defaultdict[int, list[int]] = defaultdict(list)
    for position, parent in enumerate(parents):
        children[parent].append(position)
    times: list[int] = []
    own: list[bool] = []
    last: list[int] = []
    for each in made:
        below = children[first[each.trace, each.id]]
        spans = [made[child] for child in below]
        duration = each.end - each.start
        covered = under_way(spans, made[first[each.trace, each.id]])
        times.append(UNKNOWN if duration < 0 else max(0, duration - covered))
        own.append(each.is_error and not any(span.is_error for span in spans))
        last.append(max(below, key=lambda child: (made[child].start, child), default=NO_SPAN))
    return Trees(np.array(parents), np.array(times), np.array(own), np.array(last))


# Few ids, so that spans have parents, the same id, or are each other's; times beside each other
# and apart, so that clocks are wrong, and some before they began.
spans_of_few_traces = st.lists(
    st.builds(
        Made,
        trace=st.sampled_from([(1, 2), (2, 1), (0, 0)]),
        id=st.integers(0, 12),
        parent=st.integers(0, 12),
        start=st.integers(0, 40),
        end=st.integers(0, 60),
        is_error=st.booleans(),
    ),
    max_size=40,
)


@given(spans_of_few_traces)
def test_trees_are_those_of_a_plain_walk(made: list[Made]) -> None:
    found = join(columns(made))

    for column, expected in zip(found, walked(made), strict=True):
        assert column.tolist() == expected.tolist()


def test_children_that_are_years_apart_are_told_the_same_as_by_a_plain_walk() -> None:
    ages = 2**62
    made = [
        Made((1, 2), 1, 0, 0, ages, is_error=False),
        *(Made((1, 2), 2 + n, 1, 10 * n, 10 * n + 15, is_error=False) for n in range(4)),
        Made((2, 1), 7, 0, 0, ages, is_error=False),
        Made((2, 1), 8, 7, 5, ages - 5, is_error=False),
        Made((2, 1), 9, 7, 7, 9, is_error=False),
    ]

    assert join(columns(made)).self_times.tolist() == walked(made).self_times.tolist()


@pytest.mark.parametrize("step", [1 << 10, 1 << 42])
def test_spans_are_found_whatever_bits_their_ids_have_in_common(step: int) -> None:
    made = [
        Made((1, 2), 1 + n * step, 1 + n // 2 * step if n else 0, n, n + 9, is_error=False)
        for n in range(200)
    ]
    # Of some the parent is missing, and of some another came with the same id.
    made = made[:30] + made[40:] + made[50:60]

    for column, expected in zip(join(columns(made)), walked(made), strict=True):
        assert column.tolist() == expected.tolist()


def some_traces(count: int, size: int, random: np.random.Generator) -> list[Made]:
    """Give traces whose spans are each under one of those before it, or whose parent is missing."""
    return [
        Made(
            trace=(trace, trace * 7),
            id=place + 1,
            parent=int(random.integers(0, place + 1)) if random.random() < 0.95 else size + 1,
            start=int(random.integers(0, 1_000)),
            end=int(random.integers(0, 1_500)),
            is_error=bool(random.random() < 0.02),
        )
        for trace in range(count)
        for place in range(size)
    ]


def test_a_million_spans_in_any_order_are_told_the_same_as_by_a_plain_walk() -> None:
    random = np.random.default_rng(1)
    made = some_traces(500, 40, random)
    copies = MILLION // len(made)
    expected = walked(made)
    # As many traces more as a million takes, each like one that was walked.
    spans = Spans._make(np.concatenate([column] * copies) for column in columns(made))
    spans.traces[:, 1] += np.repeat(np.arange(copies, dtype=np.uint64), len(made)) * 10_000
    order = random.permutation(MILLION)

    found = join(Spans._make(column[order] for column in spans))

    assert (found.self_times == np.tile(expected.self_times, copies)[order]).all()
    assert (found.own_errors == np.tile(expected.own_errors, copies)[order]).all()


def test_what_overlaps_is_taken_off_once() -> None:
    made = [
        Made((1, 1), 1, 0, 0, 100, is_error=False),
        Made((1, 1), 2, 1, 10, 50, is_error=False),
        Made((1, 1), 3, 1, 40, 60, is_error=False),
        Made((1, 1), 4, 1, 90, 250, is_error=False),
    ]

    assert join(columns(made)).self_times[0] == 100 - 50 - 10


def test_a_span_that_came_twice_is_told_the_same_twice() -> None:
    parent = Made((1, 1), 1, 0, 0, 100, is_error=True)
    child = Made((1, 1), 2, 1, 10, 50, is_error=True)

    found = join(columns([parent, child, parent]))

    assert found.self_times.tolist() == [60, 40, 60]
    assert found.own_errors.tolist() == [False, True, False]


def test_the_same_id_in_another_trace_is_another_span() -> None:
    made = [
        Made((1, 1), 1, 0, 0, 100, is_error=False),
        Made((1, 2), 2, 1, 10, 50, is_error=False),
    ]

    assert join(columns(made)).parents.tolist() == [NO_SPAN, NO_SPAN]


def test_nothing_makes_no_trees() -> None:
    assert [len(column) for column in join(columns([]))] == [0, 0, 0, 0]


def test_of_spans_that_nobody_joined_nothing_is_known() -> None:
    trees = join(columns([Made((1, 1), 1, 0, 0, 100, is_error=True)])).with_others(1)

    assert trees.self_times.tolist() == [100, UNKNOWN]
    assert trees.own_errors.tolist() == [True, False]
    assert trees.last_children.tolist() == [NO_SPAN, NOT_JOINED]


def test_a_trace_failed_at_its_deepest_error_and_of_several_at_the_first_to_end() -> None:
    made = [
        Made((1, 1), 1, 0, 0, 100, is_error=True),
        Made((1, 1), 2, 1, 0, 90, is_error=True),
        Made((1, 1), 3, 2, 0, 80, is_error=True),
        Made((1, 1), 4, 2, 0, 70, is_error=True),
        Made((1, 1), 5, 1, 0, 10, is_error=True),
        Made((2, 1), 1, 0, 0, 10, is_error=True),
        Made((3, 1), 1, 0, 0, 10, is_error=False),
    ]
    spans = columns(made)

    assert failed_at(spans, join(spans)).tolist() == [3, 5]


def test_a_ring_of_parents_has_a_depth() -> None:
    made = [
        Made((1, 1), 1, 2, 0, 100, is_error=True),
        Made((1, 1), 2, 1, 0, 100, is_error=False),
    ]
    parents = join(columns(made)).parents

    assert depths(parents, np.array([0])).tolist() == [MAX_DEPTH]


@pytest.mark.parametrize(
    ("nanoseconds", "cell"),
    [(0, -15), (1, -15), (1_000, -15), (MILLION, 0), (1_584_893, 1), (10 * MILLION, 5)],
)
def test_a_cell_is_a_fifth_of_a_decade(nanoseconds: int, cell: int) -> None:
    assert cells(np.array([nanoseconds])).tolist() == [cell]


def test_a_millidecade_is_a_thousandth_of_a_decade() -> None:
    times = np.array([1_000, MILLION, 2 * MILLION, 1_000 * MILLION])

    assert millidecades(times).tolist() == [-3_000, 0, 301, 3_000]


traces = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12).map(
    lambda ids: np.array(ids, np.uint64).reshape(-1, 2)
)


@given(traces, traces)
def test_no_trace_that_is_among_others_is_missed(some: Ids, others: Ids) -> None:
    among = {*map(tuple, others.tolist())}

    found = may_be_of(some, others)

    assert found.shape == (len(some),)
    assert all(found[[tuple(trace) in among for trace in some.tolist()]])


def test_few_traces_are_taken_for_others() -> None:
    some, others = np.random.default_rng(7).integers(0, 2**64, (2, 10_000, 2), np.uint64)

    assert may_be_of(some, others).mean() < 1 / 16
