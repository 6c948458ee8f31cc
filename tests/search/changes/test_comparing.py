from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.search.asking.queries import Minutes
from otel_embedder.search.changes.answers import Period
from otel_embedder.search.changes.callees import most_called
from otel_embedder.search.changes.comparing import of_one_store, of_two_stores
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.search.times import HOUR, MINUTE, Kept
from tests.support.catalogues import a_batch, a_row, counts, plain
from tests.support.made_up import NOON

if TYPE_CHECKING:
    from otel_embedder.search.changes.comparing import Compared

CART, BANK = a_row("cart"), a_row("bank")


def store(*minutes: int, rows: tuple[tuple[str, str], ...] = ()) -> MemoryStore:
    """Give a store in which a row has a span in each of these minutes from noon."""
    made = MemoryStore()
    counted = {NOON + MINUTE * minute: counts(1, rows={(1,): (1, 0)}) for minute in minutes}
    made.write(a_batch(rows=[a_row(*each) for each in rows] or [CART], minutes=counted))
    return made


def starts(compared: Compared) -> tuple[list[int], list[int]]:
    """Give the minutes from noon that are compared."""
    before, after = (
        [(bucket.start - NOON) // MINUTE for bucket in buckets]
        for buckets in (compared.baseline, compared.window)
    )
    return before, after


def minutes(since: int, until: int) -> Minutes:
    return Minutes(NOON + MINUTE * since, NOON + MINUTE * until)


def test_a_window_is_compared_with_the_time_before_it() -> None:
    compared = of_one_store(store(*range(10)), minutes(7, 9), minutes(3, 7))

    assert starts(compared) == ([3, 4, 5, 6], [7, 8])
    assert (compared.before.spans, compared.after.spans) == (4, 2)
    assert (compared.after.since, compared.after.until) == minutes(7, 9)
    assert compared.after.finest == MINUTE


def test_what_is_in_both_times_counts_for_the_window_alone() -> None:
    compared = of_one_store(store(*range(10)), minutes(5, 8), minutes(0, 10))

    assert starts(compared) == ([0, 1, 2, 3, 4, 8, 9], [5, 6, 7])


def test_where_minutes_have_become_hours_the_window_is_a_whole_one() -> None:
    kept = store(*range(180))
    month = 30 * 86_400
    kept.tidy(Kept(minutes=0, hours=month, all=month), now=NOON + 3 * HOUR, most_texts=9)

    compared = of_one_store(kept, minutes(125, 130), minutes(65, 125))

    assert starts(compared) == ([60], [120])
    assert (compared.after.since, compared.after.until) == minutes(120, 180)
    assert (compared.after.finest, compared.after.spans) == (HOUR, 60)


def test_of_two_stores_each_row_has_one_number() -> None:
    before = store(0, rows=(("cart", "get"), ("bank", "charge")))
    after = store(5, rows=(("bank", "charge"), ("mail", "send")))

    compared = of_two_stores(before, after)

    [window] = compared.window
    [(row,)] = plain(window.counts)["rows"]
    assert compared.rows[row] == a_row("bank", "charge")
    assert {key.service for key in compared.rows.values()} == {"cart", "bank", "mail"}
    assert starts(compared) == ([0], [5])


def test_of_nothing_there_is_no_period() -> None:
    compared = of_two_stores(MemoryStore(), MemoryStore())

    assert compared.after == compared.before == Period(0, 0, 0, 0)
    assert compared.find().ranked == ()
    assert compared.called() == {}


def test_a_row_calls_whom_it_called_most_often() -> None:
    minute = counts(calls={(1, 1): (3,), (1, 2): (4,), (2, 1): (1,)})
    other = counts(calls={(1, 1): (2,)})

    assert most_called([minute]) == {1: 2, 2: 1}
    assert most_called([minute, other]) == {1: 1, 2: 1}
    assert most_called([]) == {}
