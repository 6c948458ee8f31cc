from __future__ import annotations

from otel_embedder.search.changes.answers import Period
from otel_embedder.search.changes.comparing import Compared
from otel_embedder.search.changes.failing import groups_by_place
from otel_embedder.search.groups.kept import Decision, KeptGroup, Seen
from otel_embedder.search.groups.templates import Group, Key
from otel_embedder.search.store import Bucket
from otel_embedder.search.times import MINUTE
from tests.support.catalogues import counts
from tests.support.made_up import NOON

AT = NOON * 1_000_000_000
TIMEOUT, DECLINED, MERGED = 1, 2, 3


def a_group(number: int, id_: str, *operations: str, into: str = "") -> KeptGroup:
    group = Group(id_, Key("payment", "", 1, "x"), ["x"], "x")
    seen = Seen(AT, AT, operations=operations)
    return KeptGroup(number, group, seen, Decision(into=into))


GROUPS = (
    a_group(TIMEOUT, "timeout", "charge"),
    a_group(DECLINED, "declined", "charge", "refund"),
    a_group(MERGED, "merged", "charge again", into="timeout"),
)


def compared(before: dict[int, int], after: dict[int, int]) -> Compared:
    """Compare an hour of 600 spans with some minutes of 100, in which traces of groups failed."""
    hour, minutes = (
        [Bucket(NOON, MINUTE, counts(groups={(n,): (traces,) for n, traces in failed.items()}))]
        for failed in (before, after)
    )
    baseline, window = Period(NOON - 3_600, NOON, 600, 60), Period(NOON, NOON + 600, 100, 60)
    return Compared(hour, minutes, {}, {}, baseline, window)


def test_an_operation_leads_to_the_group_that_its_failures_are_of() -> None:
    found = groups_by_place(GROUPS, compared({}, {DECLINED: 1}))

    assert found == {("payment", "charge"): "declined", ("payment", "refund"): "declined"}


def test_of_several_it_is_the_one_that_is_most_beyond_what_was_usual() -> None:
    found = groups_by_place(GROUPS, compared({DECLINED: 60}, {DECLINED: 12, TIMEOUT: 4}))

    assert found == {("payment", "charge"): "timeout", ("payment", "refund"): "declined"}


def test_what_was_merged_counts_as_the_other() -> None:
    found = groups_by_place(GROUPS, compared({}, {MERGED: 9, DECLINED: 8}))

    assert found[("payment", "charge again")] == "timeout"
    assert found[("payment", "refund")] == "declined"


def test_where_nothing_fails_there_is_no_group() -> None:
    assert groups_by_place(GROUPS, compared({TIMEOUT: 9}, {})) == {}
