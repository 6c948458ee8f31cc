from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.search.entries import Example, Examples
from tests.support.catalogues import an_example

# Few of each, so that they are often alike.
some_examples = st.lists(
    st.builds(
        Example,
        st.sampled_from([b"a", b"b"]),
        st.sampled_from([b"1", b"2"]),
        st.integers(0, 5),
        st.none() | st.integers(0, 3),
    ),
    min_size=1,
    max_size=8,
)


def test_the_first_the_last_three_and_the_slowest_are_chosen() -> None:
    by_time = [an_example(second, milliseconds=9 - second) for second in range(6)]

    chosen = Examples.of(*by_time)

    assert chosen.first == chosen.slowest == by_time[0]
    assert chosen.last == (by_time[5], by_time[4], by_time[3])


def test_one_whose_duration_is_known_is_slower_than_one_whose_is_not() -> None:
    known, unknown = an_example(1, milliseconds=1), an_example(2, milliseconds=None)

    assert Examples.of(known, unknown).slowest == known


@given(some_examples, st.randoms(use_true_random=False))
def test_they_are_the_same_in_whatever_order_and_however_often_they_come(
    some: list[Example], random: object
) -> None:
    shuffled = [*some, some[0]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert Examples.of(*shuffled) == Examples.of(*some)


@given(some_examples, some_examples, some_examples)
def test_they_may_be_joined_in_any_order(
    one: list[Example], other: list[Example], third: list[Example]
) -> None:
    ones, others, thirds = Examples.of(*one), Examples.of(*other), Examples.of(*third)

    together = Examples.of(*one, *other, *third)

    assert ones.with_(others).with_(thirds) == together
    assert thirds.with_(ones).with_(others).with_(ones) == together
