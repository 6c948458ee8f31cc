"""What every store keeps to about groups of failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.errors import GroupError, UnknownGroupError
from otel_embedder.search.groups.kept import Decision
from otel_embedder.search.merging import merge
from otel_embedder.search.stores.group_writing import MOST_MEMBERS
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.search.times import DAY, NANOSECONDS
from tests.support.catalogues import KEPT
from tests.support.failing import BEGIN, SECOND, failed, failures

if TYPE_CHECKING:
    from otel_embedder.search.groups.kept import KeptGroup
    from otel_embedder.search.store import Store

HOUR = 3_600
AFTER = BEGIN + 30 * DAY


def counted(store: Store) -> dict[str, int]:
    """Give how many traces each group counts, by its title."""
    titles = {each.number: each.group.title for each in store.groups.all()}
    total: dict[str, int] = {}
    for bucket in store.buckets(since=0, until=AFTER):
        table = bucket.counts.table("groups")
        for [number], [traces] in zip(table.keys.tolist(), table.values.tolist(), strict=True):
            if traces:
                title = titles[number]
                total[title] = total.get(title, 0) + traces
    return total


def members(store: Store) -> dict[str, set[int]]:
    """Give which traces each group has, by its title."""
    return {
        each.group.title: {
            int.from_bytes(member.trace_id)
            for member in store.groups.members([each.number], most=MOST_MEMBERS)
        }
        for each in store.groups.all()
    }


def the_group(store: Store) -> KeptGroup:
    [group] = store.groups.all()
    return group


def test_traces_that_fail_alike_are_a_group_and_are_counted(store: Store) -> None:
    first = failed("user ann has no card in the bank", trace=1, reached=("bank", "front"))
    second = failed("user bob has no card in the bank", trace=2, at=70, operation="Refund")
    store.write(failures(1, first, second, failed("the bank is away now", trace=3)))

    assert counted(store) == {"user <*> has no card in the bank": 2, "the bank is away now": 1}
    assert members(store) == {
        "user <*> has no card in the bank": {1, 2},
        "the bank is away now": {3},
    }
    group = store.groups.find(store.groups.all()[0].group.id[:6])
    assert (group.seen.first, group.seen.last) == (first.ended, second.ended)
    assert group.seen.services == ("bank", "front")
    assert group.seen.operations == ("Charge", "Refund")


def test_what_is_new_or_comes_again_is_given_once(store: Store) -> None:
    [new] = store.write(failures(1, failed(trace=1), failed(trace=2, at=1)))
    soon = store.write(failures(2, failed(trace=3, at=60)))
    [later] = store.write(failures(3, failed(trace=4, at=60 + 3 * HOUR)))

    assert (new.title, new.silence, new.trace_id) == ("the bank is away", 0, (2).to_bytes(16))
    assert soon == []
    assert (later.id, later.silence) == (new.id, 3 * HOUR * NANOSECONDS)
    seen = the_group(store).seen
    assert (seen.silence, seen.came_again) == (later.silence, later.time)


def test_a_trace_that_comes_twice_counts_once(store: Store) -> None:
    store.write(failures(1, failed(trace=1)))
    store.write(failures(2, failed(trace=1)))
    store.write(failures(1, failed(trace=1), writer="other"))

    assert counted(store) == {"the bank is away": 1}


def test_a_trace_moves_to_what_failed_first_in_it_whoever_tells_of_it(store: Store) -> None:
    wrapper = failed("could not charge the card", trace=1, at=2, service="shop")
    store.write(failures(1, wrapper, failed("could not charge the card", trace=2, service="shop")))
    store.write(failures(1, failed(trace=1, at=1), writer="other"))
    store.write(failures(2, wrapper))

    assert counted(store) == {"could not charge the card": 1, "the bank is away": 1}
    assert members(store) == {"could not charge the card": {2}, "the bank is away": {1}}


def test_a_group_all_of_whose_traces_failed_for_another_reason_is_none(store: Store) -> None:
    store.write(failures(1, failed("could not charge the card", trace=1, at=2, service="shop")))
    store.write(failures(2, failed(trace=1, at=1)))

    assert [each.group.title for each in store.groups.all()] == ["the bank is away"]


def test_what_a_writer_counted_goes_and_comes_again_with_the_same_id(store: Store) -> None:
    store.write(failures(1, failed(trace=1), failed(trace=2), writer="file"))
    before = the_group(store)
    store.groups.note(before.group.id, "see INC-7")
    store.forget("file")
    assert counted(store) == {}
    store.write(failures(1, failed(trace=1), failed(trace=2), writer="file"))

    assert counted(store) == {"the bank is away": 2}
    assert the_group(store).group.id == before.group.id
    assert the_group(store).decision.note == "see INC-7"


def test_of_a_group_the_latest_traces_are_known(store: Store) -> None:
    traces = [failed(trace=number + 1, at=number / 100) for number in range(MOST_MEMBERS + 50)]
    store.write(failures(1, *traces))

    [known] = members(store).values()
    assert known == {*range(51, MOST_MEMBERS + 51)}
    assert counted(store) == {"the bank is away": MOST_MEMBERS + 50}


def test_half_a_surrogate_is_kept_as_a_mark(store: Store) -> None:
    store.write(failures(1, failed("the bank \udc80 is away", service="b\ud800")))

    assert the_group(store).group.title == "the bank ? is away"
    assert the_group(store).group.key.service == "b?"


def test_what_is_resolved_and_comes_again_is_regressed(store: Store) -> None:
    [new] = store.write(failures(1, failed(trace=1)))
    store.groups.decide(new.id[:8], "resolved", now=(BEGIN + 60) * SECOND)
    late = store.write(failures(2, failed(trace=2, at=59)))
    state_then = the_group(store).decision.state
    [again] = store.write(failures(3, failed(trace=3, at=61)))
    quiet = store.write(failures(4, failed(trace=4, at=62)))

    assert (late, state_then, quiet) == ([], "resolved", [])
    assert again.was_resolved
    assert the_group(store).decision[:2] == ("regressed", (BEGIN + 61) * SECOND)


def test_a_muted_group_says_so_until_it_is_over(store: Store) -> None:
    [new] = store.write(failures(1, failed(trace=1)))
    store.groups.decide(new.id, "muted", now=0, until=(BEGIN + 5 * HOUR) * SECOND)
    [muted] = store.write(failures(2, failed(trace=2, at=2 * HOUR)))
    [over] = store.write(failures(3, failed(trace=3, at=6 * HOUR)))

    assert (muted.is_muted, over.is_muted) == (True, False)
    store.groups.decide(new.id, "", now=0)
    assert the_group(store).decision.state == ""


def test_a_group_that_is_merged_counts_as_the_other_until_it_is_split(store: Store) -> None:
    one, other = store.write(
        failures(1, failed(trace=1), failed("no route to the bank", trace=2, at=HOUR))
    )
    store.groups.merge(one.id, other.id)
    came = store.write(failures(2, failed(trace=3, at=HOUR + 60)))

    assert came == []
    assert store.groups.find(one.id).decision.into == other.id
    with pytest.raises(GroupError, match="merged into itself"):
        store.groups.merge(other.id, one.id)
    assert store.groups.split(one.id) == [one.id]
    assert store.groups.find(one.id).decision == Decision()
    assert store.groups.find(other.id).seen.last == (BEGIN + HOUR) * SECOND
    with pytest.raises(GroupError, match="was not merged"):
        store.groups.split(one.id)


def test_a_place_is_split_into_a_group_for_each_word(store: Store) -> None:
    names = ["ann", "bob", "bob", "eve", "ann"]
    words = "user {} has no card in the bank"
    store.write(
        failures(
            1, *(failed(words.format(name), trace=i + 1, at=i) for i, name in enumerate(names))
        )
    )
    before = the_group(store).group.id
    ids = store.groups.split(before, 1)
    store.write(
        failures(
            2,
            *(
                failed(words.format(name), trace=9 + i, at=9)
                for i, name in enumerate(("bob", "joe"))
            ),
        )
    )

    assert ids[0] == before
    assert {title: len(traces) for title, traces in members(store).items()} == {
        words.format("ann"): 2,
        words.format("bob"): 3,
        words.format("eve"): 1,
        words.format("joe"): 1,
    }
    assert counted(store) == {title: len(each) for title, each in members(store).items()}
    with pytest.raises(GroupError, match=r"has no <\*> number 1: it has none"):
        store.groups.split(before, 1)


def test_a_name_of_no_group_or_of_several_is_refused(store: Store) -> None:
    store.write(
        failures(
            1,
            *(
                failed(f"failure {a} {b}", trace=ord(a) * 99 + ord(b))
                for a in "abcdefg"
                for b in "hijk"
            ),
        )
    )
    groups = store.groups.all()
    assert len(groups) > 16
    with pytest.raises(UnknownGroupError, match="no group of failures 'x'"):
        store.groups.note("x", "")
    firsts = [each.group.id[0] for each in groups]
    twice = next(first for first in firsts if firsts.count(first) > 1)
    with pytest.raises(UnknownGroupError, match="several"):
        store.groups.find(twice)
    for name in ("", "\udcff"):
        with pytest.raises(UnknownGroupError):
            store.groups.find(name)


def test_what_was_not_seen_for_long_goes_but_for_what_somebody_decided_about(store: Store) -> None:
    old, noted = store.write(failures(1, failed(trace=1), failed("no route at all", trace=2)))
    store.groups.note(noted.id, "see INC-7")
    store.tidy(KEPT, now=BEGIN + KEPT.all + 60, most_texts=9)

    assert [each.group.id for each in store.groups.all()] == [noted.id]
    [again] = store.write(failures(2, failed(trace=3, at=KEPT.all)))
    assert again.id == old.id


def test_a_service_that_is_taken_out_leaves_no_word_of_its_failures(store: Store) -> None:
    store.write(
        failures(
            1,
            failed(trace=1, reached=("bank", "front")),
            failed("cart is away now", trace=2, service="cart", reached=("cart", "bank")),
        )
    )
    store.delete_service("bank")

    assert [each.group.key.service for each in store.groups.all()] == ["cart"]
    assert the_group(store).seen.services == ("cart",)
    assert counted(store) == {"cart is away now": 1}


def test_a_merge_of_catalogues_brings_groups_with_what_was_decided(store: Store) -> None:
    source = MemoryStore()
    words = "user {} has no card in the bank"
    source.write(
        failures(
            1, failed(words.format("ann"), trace=1), failed("no route now", trace=2), writer="a"
        )
    )
    [ours] = store.write(failures(1, failed(words.format("bob"), trace=3), writer="b"))
    theirs = source.groups.all()[0].group.id
    other = source.groups.all()[1].group.id
    source.groups.decide(other, "resolved", now=AFTER * SECOND)
    store.groups.note(ours.id, "see INC-7")
    for _ in range(2):
        merge(source, store, advance=lambda _: None)

    assert store.groups.find(theirs).decision.into == ours.id
    assert store.groups.find(other).decision.state == "resolved"
    assert store.groups.find(ours.id).decision.note == "see INC-7"
    assert sorted(counted(store).values()) == [1, 1, 1]
    assert sum(map(len, members(store).values())) == 3
    source.close()


def test_what_was_told_apart_in_one_of_two_catalogues_stays_apart(store: Store) -> None:
    source = MemoryStore()
    words = "user {} has no card in the bank"
    for each, names in ((store, ("ann", "bob")), (source, ("joe", "eve"))):
        writer = names[0]
        failing = (
            failed(words.format(name), trace=ord(name[0]), at=at) for at, name in enumerate(names)
        )
        each.write(failures(1, *failing, writer=writer))
    store.groups.split(the_group(store).group.id, 1)
    merge(source, store, advance=lambda _: None)

    assert counted(store) == {
        words.format("ann"): 1,
        words.format("bob"): 1,
        words.format("<*>"): 2,
    }
    assert {each.decision.into for each in store.groups.all()} == {""}
    source.close()


def test_catalogues_that_merged_two_groups_both_ways_make_no_ring(store: Store) -> None:
    source = MemoryStore()
    for each in (source, store):
        each.write(failures(1, failed(trace=1), failed("no route now", trace=2), writer="w"))
    one, other = (each.group.id for each in store.groups.all())
    source.groups.merge(one, other)
    store.groups.merge(other, one)
    merge(source, store, advance=lambda _: None)

    assert [each.decision.into for each in store.groups.all()] == ["", one]
    source.close()
