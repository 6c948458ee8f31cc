from __future__ import annotations

import numpy as np
import pytest

from otel_embedder.search.counts import KEYS, SHAPES, Counts, Table
from tests.support.catalogues import counts, plain


def test_values_of_the_same_key_add_up() -> None:
    table = Table.of(np.array([[2, 1], [1, 9], [2, 1]]), np.array([[1], [2], [4]]))

    assert table.keys.tolist() == [[1, 9], [2, 1]]
    assert table.values.tolist() == [[2], [5]]


def test_a_table_without_anything_has_its_shape() -> None:
    assert Counts().table("texts").values.shape == (0, 3)
    assert len(Table.of(*(np.zeros((0, 1), np.int64),) * 2)) == 0


def test_each_column_of_a_key_is_a_number_of_something() -> None:
    assert {name: len(kinds) for name, kinds in KEYS.items()} == {
        name: keys for name, (keys, _) in SHAPES.items()
    }


def test_counts_add_up_table_by_table() -> None:
    total = Counts.sum(
        [counts(1, rows={(1,): (1, 0)}), counts(2, rows={(1,): (2, 1)}, texts={(3,): (1, 0, 0)})]
    )

    assert total.roots == 3
    assert plain(total) == {"rows": {(1,): (3, 1)}, "texts": {(3,): (1, 0, 0)}}
    assert plain(Counts.sum([])) == {}


def test_positions_become_numbers_and_nothing_stays_nothing() -> None:
    counted = counts(nexts={(1, 0): (1,), (2, 1): (2,)}, times={(2, 1): (3,)})

    numbered = counted.numbered({"row": np.array([0, 50, 40])})

    assert plain(numbered) == {"nexts": {(50, 0): (1,), (40, 50): (2,)}, "times": {(40, 1): (3,)}}


def test_two_positions_of_one_number_are_one() -> None:
    counted = counts(rows={(1,): (1, 0), (2,): (2, 1)})

    assert plain(counted.numbered({"row": np.array([0, 7, 7])})) == {"rows": {(7,): (3, 1)}}


def test_what_speaks_of_something_gone_goes() -> None:
    counted = counts(3, rows={(1,): (1, 0), (2,): (1, 0)}, nexts={(2, 1): (1,), (2, 0): (1,)})

    rest = counted.without({"row": np.array([1])})

    assert rest.roots == 3
    assert plain(rest) == {"rows": {(2,): (1, 0)}, "nexts": {(2, 0): (1,)}}
    assert counted.without({"row": np.array([9])}) is counted


@pytest.mark.parametrize("key", [-1, 2])
def test_a_key_of_nothing_there_is_refused(key: int) -> None:
    with pytest.raises(ValueError, match="the table calls speaks of a service"):
        counts(calls={(1, key): (1,)}).check({"row": 1, "service": 1})
