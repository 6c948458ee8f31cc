from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.search.groups.failed import Failure
from otel_embedder.search.groups.templates import ANYTHING, Group, Templates


def failure(
    words: str, *, service: str = "cart", operation: str = "GET", type_: str = ""
) -> Failure:
    return Failure(service, operation, type_, words)


def groups_of(*failures: Failure) -> list[str]:
    templates = Templates()
    return [templates.group_of(each)[0].id for each in failures]


def test_what_differs_in_few_words_is_one_group_and_its_template_grows() -> None:
    templates = Templates()
    first, is_new = templates.group_of(failure("user ann has no card in the bank"))
    id_ = first.id
    assert is_new
    again, is_wider = templates.group_of(failure("user bob has no card in the bank"))
    assert (again.id, is_wider) == (id_, True)
    assert again.title == f"user {ANYTHING} has no card in the bank"
    assert templates.group_of(failure("user eve has no card in the bank")) == (again, False)


def test_other_numbers_are_the_same_failure_but_other_ports_and_codes_are_another() -> None:
    same = groups_of(failure("gave up after 3 tries"), failure("gave up after 12 tries"))
    ports = groups_of(
        failure("connection refused cart:7070"), failure("connection refused cart:9555")
    )
    codes = groups_of(failure("the bank said status 503"), failure("the bank said status 429"))
    assert [len({*ids}) for ids in (same, ports, codes)] == [1, 2, 2]


def test_another_service_type_or_length_is_another_group() -> None:
    words = "no route to host"
    others = (
        failure(words),
        failure(words, service="mail"),
        failure(words, type_="IOError"),
        failure(f"{words} again"),
    )
    assert len({*groups_of(*others)}) == 4


def test_what_says_too_little_is_told_apart_by_its_operation() -> None:
    failures = [failure("HTTP 500", operation=name) for name in ("GET /a", "GET /b", "GET /a")]
    first, second, third = groups_of(*failures)
    assert first == third != second
    silent, other = groups_of(failure("", operation="x"), failure("", operation="y"))
    assert silent != other


def test_what_is_known_from_before_keeps_its_id() -> None:
    before = Templates()
    before.group_of(failure("user ann has no card in the bank"))
    known, _ = before.group_of(failure("user bob has no card in the bank"))
    after = Templates([Group(known.id, known.key, [*known.template], known.first)])
    group, is_new = after.group_of(failure("user eve has no card in the bank"))
    assert (group.id, is_new) == (known.id, False)


@given(st.integers())
def test_in_whatever_order_they_come_the_same_failures_are_together(seed: int) -> None:
    words = [
        *(f"user {name} has no card in the bank" for name in ("ann", "bob", "eve")),
        *(f"connection to cart:{port} refused" for port in (7070, 9555, 7070)),
        *(f"no record of order {number} in table orders" for number in range(4)),
        *("deadline exceeded", "deadline exceeded"),
    ]
    order = [*range(len(words))]
    random.Random(seed).shuffle(order)
    ids = dict(zip(order, groups_of(*(failure(words[place]) for place in order)), strict=True))
    members = {frozenset(place for place in order if ids[place] == id_) for id_ in ids.values()}
    assert members == {
        *map(frozenset, ([0, 1, 2], [3, 5], [4], [6, 7, 8, 9], [10, 11])),
    }


def test_at_a_pinned_place_another_word_is_another_group_that_is_pinned_there_too() -> None:
    first, _ = Templates().group_of(failure("user ann has no card in the bank"))
    pinned = Group(first.id, first.key, [*first.template], first.first, frozenset((1,)))
    templates = Templates([pinned])
    words = ["ann has no card", "bob has no card", "eve has no card", "bob has no cash"]
    groups = [templates.group_of(failure(f"user {each} in the bank"))[0] for each in words]

    assert [each.title for each in groups] == [
        "user ann has no card in the bank",
        "user bob has no <*> in the bank",
        "user eve has no card in the bank",
        "user bob has no <*> in the bank",
    ]
    assert groups[0].id == first.id
