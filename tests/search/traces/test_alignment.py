from __future__ import annotations

from random import Random

import pytest

from otel_embedder.search.entries import RowKey
from otel_embedder.search.traces.alignment import Pair, align
from otel_embedder.search.traces.trees import Node, roots

MILLISECOND = 1_000_000


def span(
    name: str,
    parent: str = "",
    *,
    begin: float = 0,
    end: float = 10,
    is_error: bool = False,
    id_: str = "",
) -> Node:
    start, stop = (round(each * MILLISECOND) for each in (begin, end))
    row = RowKey("shop", name, "SERVER", name)
    return Node((id_ or name).encode(), parent.encode(), row, start, stop, is_error)


def told(first: list[Node], second: list[Node]) -> list[tuple[int, str, tuple[str, ...]]]:
    pairs = align(roots(first), roots(second))
    return [(pair.depth, pair.row.operation, pair.marks) for pair in pairs]


def test_the_same_trace_has_no_marks() -> None:
    def trace() -> list[Node]:
        return [span("get"), span("ask", "get", begin=1), span("read", "ask", begin=2)]

    assert told(trace(), trace()) == [(0, "get", ()), (1, "ask", ()), (2, "read", ())]


def test_what_is_missing_added_or_fails_is_told_with_all_under_it() -> None:
    first = [span("get"), span("ask", "get"), span("read", "ask")]
    second = [span("get"), span("retry", "get", is_error=True), span("read", "retry")]

    assert told(first, second) == [
        (0, "get", ()),
        (1, "ask", ("missing",)),
        (2, "read", ("missing",)),
        (1, "retry", ("added", "fails")),
        (2, "read", ("added",)),
    ]


def test_what_took_longer_by_itself_is_slower_and_not_who_waited_for_it() -> None:
    first = [span("get", end=20), span("ask", "get", begin=1, end=11)]
    second = [span("get", end=110), span("ask", "get", begin=1, end=101, is_error=True)]

    assert told(first, second) == [(0, "get", ()), (1, "ask", ("fails", "slower"))]
    assert told(second, first) == [(0, "get", ()), (1, "ask", ("fails no more", "faster"))]


def test_calls_in_another_order_stand_beside_each_other() -> None:
    first = [span("get"), span("ask", "get", begin=0.1), span("read", "get", begin=0.2)]
    second = [span("get"), span("ask", "get", begin=0.3), span("read", "get", begin=0.2)]

    assert sorted(told(first, second)) == [(0, "get", ()), (1, "ask", ()), (1, "read", ())]


def test_of_calls_that_repeat_those_that_are_more_are_added() -> None:
    first = [span("get"), span("ask", "get", id_="1")]
    second = [span("get"), *(span("ask", "get", begin=n, id_=str(n)) for n in (1, 2, 3))]

    marks = [mark for _, name, mark in told(first, second) if name == "ask"]
    assert sorted(marks) == [(), ("added",), ("added",)]


def test_children_that_overlap_are_taken_off_once() -> None:
    [root] = roots(
        [
            span("get", end=100),
            span("a", "get", begin=10, end=40),
            span("b", "get", begin=20, end=50),
            span("c", "get", begin=90, end=150),
        ]
    )

    assert root.self_milliseconds == 50


def test_spans_in_a_ring_are_told_once_each() -> None:
    ring = [span("a", "c", begin=1), span("b", "a", begin=2), span("c", "b", begin=3)]

    [root] = roots([*ring, span("itself", "itself", id_="itself")])[-1:]

    assert root.row.operation == "a"
    assert [each.row.operation for each in root.children] == ["b"]


@pytest.mark.parametrize("seed", range(20))
def test_every_span_of_both_stands_in_one_pair(seed: int) -> None:
    random = Random(seed)

    def trace() -> list[Node]:
        return [
            span(
                random.choice("abc"),
                str(random.randrange(number)) if number else "",
                begin=random.random(),
                id_=str(number),
            )
            for number in range(random.randrange(1, 30))
        ]

    first, second = trace(), trace()
    pairs = [*align(roots(first), roots(second))]

    assert sides(pairs, 2) == sorted(map(id, first))
    assert sides(pairs, 3) == sorted(map(id, second))
    assert all(pair.row == side.row for pair in pairs for side in pair[2:] if side)


def sides(pairs: list[Pair], which: int) -> list[int]:
    return sorted(id(pair[which]) for pair in pairs if pair[which] is not None)
