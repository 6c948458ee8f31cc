from __future__ import annotations

import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.errors import StoreError
from otel_embedder.search.counts import SHAPES, Counts, Table
from otel_embedder.search.entries import Example, Examples
from otel_embedder.search.stores.packing import pack, pack_examples, unpack, unpack_examples
from tests.support.catalogues import an_example, counts, plain

whole = st.integers(-(2**63), 2**63 - 1)
tables = {
    name: st.dictionaries(st.tuples(*[whole] * keys), st.tuples(*[whole] * values), max_size=5)
    for name, (keys, values) in SHAPES.items()
}
SOME = counts(3, rows={(1,): (300, 2), (9,): (70_000, 0)}, times={(1, -9): (3,)})
examples = st.builds(
    Example,
    st.binary(max_size=16),
    st.binary(max_size=8),
    st.integers(0, 2**63 - 1),
    st.none() | st.integers(0, 2**63 - 1),
)


@given(whole, st.fixed_dictionaries({}, optional=tables))
def test_counts_come_back_as_they_were(
    roots: int, said: dict[str, dict[tuple[int, ...], tuple[int, ...]]]
) -> None:
    counted = counts(roots, **said)

    back = unpack(pack(counted))

    assert back.roots == roots
    assert plain(back) == plain(counted)
    assert back.tables.keys() == counted.tables.keys()


@given(st.lists(examples, min_size=1, max_size=9))
def test_examples_come_back_as_they_were(some: list[Example]) -> None:
    chosen = Examples.of(*some)

    assert unpack_examples(pack_examples(chosen)) == chosen


def test_an_example_that_is_first_last_and_slowest_is_kept_once() -> None:
    assert len(pack_examples(Examples.of(an_example(1)))) < 50


def test_small_numbers_take_few_bytes() -> None:
    rng = np.random.default_rng(1)
    keys = np.stack([np.repeat(np.arange(1, 1_501), 4), np.tile(np.arange(4), 1_500)], axis=1)
    times = Table.of(keys, rng.poisson(3, (6_000, 1)))

    assert len(pack(Counts(0, {"times": times}))) < 5_000


def test_tables_of_a_newer_release_are_kept_and_added_up() -> None:
    unknown = Table.of(np.array([[1, 2, 3]]), np.array([[4]]))
    packed = pack(Counts(1, {"from the future": unknown}))

    both = Counts.sum([unpack(packed), unpack(packed)]).without({"row": np.array([1])})

    assert plain(unpack(pack(both))) == {"from the future": {(1, 2, 3): (8,)}}


def test_another_way_of_packing_is_refused() -> None:
    with pytest.raises(StoreError, match="newer release"):
        unpack(b"\x02" + pack(SOME)[1:])


@pytest.mark.parametrize("at", range(0, len(pack(SOME)), 3))
def test_damage_is_noticed(at: int) -> None:
    packed = bytearray(pack(SOME))
    packed[at] ^= 0xFF

    with pytest.raises(StoreError, match=r"damaged|newer"):
        unpack(bytes(packed))


@pytest.mark.parametrize("length", range(len(pack(SOME))))
def test_what_is_cut_off_is_noticed(length: int) -> None:
    with pytest.raises(StoreError, match="damaged"):
        unpack(pack(SOME)[:length])


@given(st.binary())
def test_whatever_else_is_deflated_is_damage_or_counts(content: bytes) -> None:
    packed = b"\x01" + zlib.compress(content)

    with suppress(StoreError):
        unpack(packed)


@pytest.mark.parametrize(
    "packed", [b"", b"\x00" * 3, pack_examples(Examples.of(an_example(1)))[:-1]]
)
def test_damaged_examples_are_noticed(packed: bytes) -> None:
    with pytest.raises(StoreError, match="damaged"):
        unpack_examples(packed)
