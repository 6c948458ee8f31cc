"""What every store keeps to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from otel_embedder.search.entries import Embedded, Examples
from otel_embedder.search.ranking import stem_hashes
from otel_embedder.search.times import DAY, HOUR, MINUTE, Kept
from tests.support.catalogues import (
    KEPT,
    MODEL,
    a_batch,
    a_row,
    an_example,
    counts,
    embedded,
    plain,
    seen,
)

if TYPE_CHECKING:
    from otel_embedder.search.entries import Entry
    from otel_embedder.search.store import Bucket, Store


def entries_of(store: Store) -> list[Entry]:
    return store.entries(sorted(store.columns().keys))


def buckets_of(store: Store, *, finest: int = MINUTE) -> list[Bucket]:
    return list(store.buckets(since=0, until=100 * DAY, finest=finest))


def test_a_new_store_has_nothing(store: Store) -> None:
    columns = store.columns()

    assert (columns.changed, len(columns.keys), columns.names[0]) == (0, 0, "")
    assert store.entries([1]) == []
    assert list(store.vectors(MODEL)) == []
    assert store.vector(1) is None
    assert store.with_vectors([1]) == []
    assert (store.rows(), store.services()) == ({}, {})
    assert list(store.stems()) == []
    assert buckets_of(store) == []
    assert store.last_number("writer") == 0


def test_what_was_seen_is_told_again(store: Store) -> None:
    examples = an_example(1, trace="a"), an_example(2, trace="b", milliseconds=None)
    text = seen("pay", *examples, row=1, version="7", status="ERROR", vector=embedded(1, 0))
    store.write(a_batch(rows=[a_row("bank"), a_row("shop")], texts=[text]))

    [entry] = entries_of(store)
    assert (entry.words, entry.text_version, entry.brought_from) == ("pay", "7", "")
    assert (entry.status, entry.model, entry.examples) == ("ERROR", MODEL, Examples.of(*examples))
    assert store.rows()[entry.row] == a_row("shop")


def test_columns_say_what_entries_do(store: Store) -> None:
    texts = [
        seen("pay", an_example(1), an_example(9), status="ERROR", vector=embedded(1)),
        seen("ship", an_example(5, milliseconds=None), version="2"),
    ]
    store.write(a_batch(texts=texts))

    columns = store.columns()
    found = store.entries(columns.keys)

    assert columns.rows.tolist() == [entry.row for entry in found]
    assert columns.first_seen.tolist() == [entry.first_seen for entry in found]
    assert columns.last_seen.tolist() == [entry.last_seen for entry in found]
    assert columns.slowest.tolist() == [entry.slowest for entry in found]
    assert sorted(columns.slowest.tolist()) == [-1, 5_000_000]
    for numbers, words in (
        (columns.statuses, [entry.status for entry in found]),
        (columns.text_versions, [entry.text_version for entry in found]),
        (columns.models, [entry.model for entry in found]),
    ):
        assert [columns.names[number] for number in numbers.tolist()] == words
    assert columns.changed == max(entry.changed for entry in found)


def test_only_what_changed_since_is_told_of(store: Store) -> None:
    store.write(a_batch(1, texts=[seen("old"), seen("again")]))
    before = store.columns().changed
    store.write(a_batch(2, texts=[seen("again"), seen("new")]))

    changed = store.columns(after=before)

    assert {entry.words for entry in store.entries(changed.keys)} == {"again", "new"}
    assert len(store.columns(after=changed.changed).keys) == 0
    assert store.columns(after=changed.changed).changed == changed.changed


def test_a_batch_that_was_taken_changes_nothing(store: Store) -> None:
    batch = a_batch(texts=[seen("pay")], minutes={0: counts(1, rows={(1,): (3, 1)})})
    store.write(batch)
    before = store.columns().changed
    store.write(batch)

    assert store.columns().changed == before
    [bucket] = buckets_of(store)
    assert (bucket.counts.roots, plain(bucket.counts)["rows"]) == (1, {(1,): (3, 1)})
    assert store.last_number("writer") == 1


def test_what_several_writers_counted_adds_up(store: Store) -> None:
    minute = {60: counts(1, rows={(1,): (3, 1)}, times={(1, -4): (3,)})}
    for writer, number in (("one", 1), ("one", 2), ("other", 1)):
        store.write(a_batch(number, writer=writer, minutes=minute))

    [bucket] = buckets_of(store)
    assert (bucket.start, bucket.seconds, bucket.counts.roots) == (60, MINUTE, 3)
    assert plain(bucket.counts) == {"rows": {(1,): (9, 3)}, "times": {(1, -4): (9,)}}


def test_keys_of_all_tables_become_numbers_of_the_store(store: Store) -> None:
    store.write(a_batch(rows=[a_row("other")], services=["else"], texts=[seen("before")]))
    tables = counts(
        rows={(1,): (1, 0), (2,): (2, 0)},
        times={(2, 1): (5,)},
        nexts={(1, 2): (1,), (2, 0): (2,)},
        calls={(1, 1): (4,)},
        texts={(1,): (1, 1, -3_000)},
    )
    store.write(
        a_batch(
            2,
            rows=[a_row("shop"), a_row("other")],
            services=["bank"],
            texts=[seen("pay")],
            minutes={0: tables},
        )
    )
    other, shop = (
        next(number for number, row in store.rows().items() if row.service == service)
        for service in ("other", "shop")
    )
    bank = next(number for number, name in store.services().items() if name == "bank")
    pay = next(entry.key for entry in entries_of(store) if entry.words == "pay")

    [bucket] = buckets_of(store)
    assert plain(bucket.counts) == {
        "rows": {(shop,): (1, 0), (other,): (2, 0)},
        "times": {(other, 1): (5,)},
        "nexts": {(shop, other): (1,), (other, 0): (2,)},
        "calls": {(shop, bank): (4,)},
        "texts": {(pay,): (1, 1, -3_000)},
    }


def test_examples_of_both_are_joined(store: Store) -> None:
    first = [an_example(second, trace="a") for second in (5, 6, 7)]
    second = [an_example(1, milliseconds=900), an_example(3), an_example(8)]
    store.write(a_batch(1, texts=[seen("pay", *first)]))
    store.write(a_batch(2, texts=[seen("pay", *second)]))

    [entry] = entries_of(store)
    assert entry.examples.first == second[0] == entry.examples.slowest
    assert entry.examples.last == (second[2], first[2], first[1])


def test_a_clock_that_is_broken_breaks_nothing(store: Store) -> None:
    never = an_example(0)._replace(time=2**64 - 1, duration=2**64 - 1)
    store.write(a_batch(texts=[seen("pay", never)]))
    store.tidy(KEPT, now=DAY, most_texts=10)

    [entry] = entries_of(store)
    assert entry.slowest == entry.last_seen == store.columns().last_seen[0] == 2**63 - 1


@pytest.mark.parametrize("newer_first", [True, False])
def test_the_one_seen_last_says_version_status_and_row(store: Store, *, newer_first: bool) -> None:
    old = seen("pay", an_example(1), version="1")
    new = seen("pay", an_example(2), row=1, version="2", status="ERROR")
    texts = [new, old] if newer_first else [old, new]
    for number, text in enumerate(texts, 1):
        store.write(a_batch(number, rows=[a_row("old"), a_row("new")], texts=[text]))

    [entry] = entries_of(store)
    assert (entry.text_version, entry.status) == ("2", "ERROR")
    assert store.rows()[entry.row] == a_row("new")


def test_a_text_twice_in_a_batch_is_one(store: Store) -> None:
    texts = [seen("pay", an_example(1)), seen("pay", an_example(2))]
    store.write(a_batch(texts=texts, minutes={0: counts(texts={(1,): (1, 0, 0), (2,): (2, 0, 0)})}))

    [entry] = entries_of(store)
    [bucket] = buckets_of(store)
    assert (entry.first_seen, entry.last_seen) == (1e9, 2e9)
    assert plain(bucket.counts)["texts"] == {(entry.key,): (3, 0, 0)}


def test_vectors_come_back_bit_for_bit(store: Store) -> None:
    vectors = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
    texts = [seen(f"text {i}", vector=embedded(*vectors[i])) for i in range(3)]
    store.write(a_batch(texts=[*texts, seen("none yet")]))

    [found] = store.vectors(MODEL)

    assert [entry.words for entry in store.entries(found.keys)] == ["text 0", "text 1", "text 2"]
    assert found.matrix.dtype == np.float32
    assert found.matrix.tobytes() == vectors.tobytes()
    first = store.vector(int(found.keys[0]))
    assert first is not None
    assert first.tobytes() == vectors[0].tobytes()
    assert list(store.vectors("another")) == []
    [none_yet] = [entry.key for entry in entries_of(store) if not entry.model]
    second, known = store.with_vectors([found.keys[1], none_yet, 99, found.keys[0]])
    assert (second.words, second.text_version) == (
        "text 1",
        store.entries(found.keys)[1].text_version,
    )
    assert (known.embedded.model, known.words) == (MODEL, "text 0")
    assert known.embedded.vector.tobytes() == vectors[0].tobytes()


def test_a_vector_of_the_same_model_stays_and_one_of_another_takes_its_place(
    store: Store,
) -> None:
    store.write(a_batch(1, texts=[seen("pay", vector=embedded(1, 0))]))
    store.write(a_batch(2, texts=[seen("pay", vector=embedded(0, 1))]))
    [kept] = store.vectors(MODEL)
    store.write(a_batch(3, texts=[seen("pay", vector=embedded(0, 1, model="new"))]))
    [new] = store.vectors("new")

    assert kept.matrix.tolist() == [[1, 0]]
    assert new.matrix.tolist() == [[0, 1]]
    assert list(store.vectors(MODEL)) == []
    assert entries_of(store)[0].model == "new"


def test_only_vectors_that_are_new_are_told_of(store: Store) -> None:
    store.write(a_batch(1, texts=[seen("old", vector=embedded(1, 0))]))
    [before] = store.vectors(MODEL)
    store.write(a_batch(2, texts=[seen("old"), seen("new", vector=embedded(0, 1))]))

    [after] = store.vectors(MODEL, after=before.changed)

    assert [entry.words for entry in store.entries(after.keys)] == ["new"]


def test_many_vectors_come_in_parts_that_go_on_where_one_ends(store: Store) -> None:
    texts = [seen(f"text {i}", vector=embedded(i)) for i in range(2_001)]
    store.write(a_batch(texts=texts))

    parts = list(store.vectors(MODEL))
    rest = list(store.vectors(MODEL, after=parts[0].changed))

    assert np.concatenate([part.matrix for part in parts])[:, 0].tolist() == list(range(2_001))
    assert [part.keys.tolist() for part in rest] == [part.keys.tolist() for part in parts[1:]]


def test_of_many_entries_each_is_read_as_it_was_written(store: Store) -> None:
    count, numbers = 5_003, np.random.default_rng(7)
    # Any bytes: zeros, what is no letter, what is no number.
    vectors = numbers.integers(0, 2**32, (count, 3), np.uint32)
    vectors[::2, 1] = 0
    ended = numbers.permutation(count)
    texts = [
        seen(f"text {i} x" + " y" * (i % 3), an_example(ended[i]), vector=Embedded(MODEL, vector))
        for i, vector in enumerate(vectors.view(np.float32))
    ]
    store.write(a_batch(texts=texts))

    columns = store.columns()
    order = np.argsort(columns.keys)
    assert columns.last_seen[order].tolist() == [
        example.time for text in texts for example in text.examples.last
    ]
    assert store.columns(after=columns.changed).keys.tolist() == []
    keys = columns.keys[order].tolist()
    told = list(store.vectors(MODEL))
    assert [key for part in told for key in part.keys.tolist()] == keys
    assert np.array_equal(np.concatenate([part.matrix for part in told]).view(np.uint32), vectors)
    words = list(store.stems())
    assert [key for part in words for key in part.keys.tolist()] == keys
    assert np.concatenate([part.hashes for part in words]).tolist() == [
        each for text in texts for each in stem_hashes(text.words).tolist()
    ]


def test_an_entry_is_given_a_vector_later(store: Store) -> None:
    store.write(a_batch(texts=[seen("pay", version="1")]))
    [entry] = entries_of(store)
    store.put_vectors([(entry.key, embedded(1, 0)), (99, embedded(0, 1))], text_version="1")

    [after] = entries_of(store)
    assert (after.model, after.text_version, after.brought_from) == (MODEL, "1", "")
    assert after.changed > entry.changed
    [found] = store.vectors(MODEL)
    assert found.keys.tolist() == [entry.key]


def test_an_entry_that_was_brought_over_says_where_from(store: Store) -> None:
    store.write(a_batch(1, texts=[seen("pay", version="1")]))
    [entry] = entries_of(store)
    versions = []
    for version in ("2", "3", "1"):
        store.put_vectors([(entry.key, embedded(1, 0))], text_version=version)
        [after] = entries_of(store)
        versions.append((after.text_version, after.brought_from))

    assert versions == [("2", "1"), ("3", "1"), ("1", "")]


def test_seen_again_in_its_own_version_it_is_no_longer_brought_over(store: Store) -> None:
    store.write(a_batch(1, texts=[seen("pay", version="1")]))
    store.put_vectors([(1, embedded(1, 0))], text_version="2")
    store.write(a_batch(2, texts=[seen("pay", version="2")]))
    kept = entries_of(store)[0].brought_from
    store.write(a_batch(3, texts=[seen("pay", version="3")]))

    assert (kept, entries_of(store)[0].brought_from) == ("1", "")


@pytest.mark.parametrize("words", ['say "AND" OR (NOT) near*', "Übergröße naïve 店舗", "a\0b x1y2"])
def test_words_of_any_kind_are_told_by_their_stems(store: Store, words: str) -> None:
    store.write(a_batch(texts=[seen(words)]))

    [piece] = store.stems()
    assert piece.hashes.tolist() == stem_hashes(words).tolist()
    assert entries_of(store)[0].words == words


def test_half_a_surrogate_is_no_reason_to_keep_nothing(store: Store) -> None:
    text = seen("half \ud83d", version="\ud83d", vector=embedded(1, model="\ud83d"))
    store.write(a_batch(rows=[a_row("\ud83d")], services=["\ud83d"], texts=[text]))

    assert len(entries_of(store)) == 1


def test_minutes_that_are_over_are_read_as_hours_and_days(store: Store) -> None:
    for number, minute in enumerate((0, 60, HOUR, DAY), 1):
        store.write(a_batch(number, minutes={minute: counts(1)}))
    store.tidy(KEPT, now=2 * DAY - 1, most_texts=10)

    by_hour = [(each.start, each.counts.roots) for each in buckets_of(store, finest=HOUR)]
    by_day = [(each.start, each.counts.roots) for each in buckets_of(store, finest=DAY)]

    assert by_hour == [(0, 2), (HOUR, 1), (DAY, 1)]
    assert by_day == [(0, 3), (DAY, 1)]


def test_only_old_minutes_go(store: Store) -> None:
    store.write(a_batch(1, minutes={0: counts(1), 60: counts(1), DAY: counts(1)}))
    store.tidy(KEPT, now=DAY + HOUR, most_texts=10)

    assert [(each.start, each.seconds) for each in buckets_of(store)] == [(0, HOUR), (DAY, MINUTE)]


def test_what_comes_late_counts_in_what_its_minute_has_become(store: Store) -> None:
    store.write(a_batch(1, minutes={0: counts(1)}))
    store.tidy(KEPT, now=DAY + HOUR, most_texts=10)
    store.write(a_batch(2, minutes={60: counts(1)}))
    [hour] = buckets_of(store)
    store.tidy(KEPT, now=8 * DAY, most_texts=10)
    store.write(a_batch(3, minutes={120: counts(1)}))
    [day] = buckets_of(store)

    assert (hour.seconds, hour.counts.roots) == (HOUR, 2)
    assert (day.seconds, day.counts.roots) == (DAY, 3)


def test_buckets_are_given_whole_and_only_those_of_the_time(store: Store) -> None:
    minutes = {start: counts(1) for start in (0, 60, 120, 180)}
    store.write(a_batch(1, minutes=minutes))

    found = [bucket.start for bucket in store.buckets(since=61, until=180)]

    assert found == [60, 120]


def test_what_was_not_seen_for_long_goes(store: Store) -> None:
    old = seen("old", an_example(1), vector=embedded(1))
    new = seen("new", an_example(10 * DAY), row=1, vector=embedded(2))
    rows = [a_row("old"), a_row("new")]
    minute = counts(rows={(1,): (1, 0)})
    store.write(a_batch(1, rows=rows[:1], services=["old"], texts=[old], minutes={0: minute}))
    store.write(a_batch(2, rows=rows, texts=[new], minutes={10 * DAY: counts(rows={(2,): (1, 0)})}))
    before = store.generation
    store.tidy(KEPT, now=16 * DAY, most_texts=10)

    assert [entry.words for entry in entries_of(store)] == ["new"]
    assert [part.matrix.tolist() for part in store.vectors(MODEL)] == [[[2]]]
    assert [part.hashes.tolist() for part in store.stems()] == [stem_hashes("new").tolist()]
    assert store.services() == {}
    assert [bucket.start for bucket in buckets_of(store, finest=DAY)] == [10 * DAY]
    assert store.generation > before


def test_rows_that_nothing_speaks_of_go(store: Store) -> None:
    store.write(a_batch(1, rows=[a_row("old")], minutes={0: counts(rows={(1,): (1, 0)})}))
    text = seen("new", an_example(10 * DAY))
    store.write(a_batch(2, rows=[a_row("new")], texts=[text]))
    store.tidy(KEPT, now=13 * DAY, most_texts=10)
    kept = {row.service for row in store.rows().values()}
    store.tidy(KEPT, now=15 * DAY, most_texts=10)

    assert kept == {"old", "new"}
    assert {row.service for row in store.rows().values()} == {"new"}


def test_of_too_many_texts_those_go_that_were_not_seen_for_longest(store: Store) -> None:
    texts = [seen(f"text {i}", an_example(i), vector=embedded(i)) for i in range(1_300)]
    store.write(a_batch(texts=texts))
    store.tidy(KEPT, now=DAY, most_texts=100)

    assert {entry.words for entry in entries_of(store)} == {
        f"text {i}" for i in range(1_200, 1_300)
    }
    assert sum(len(part.keys) for part in store.vectors(MODEL)) == 100
    assert sum(len(part.keys) for part in store.stems()) == 100


def test_nothing_went_where_nothing_was_old(store: Store) -> None:
    store.write(a_batch(texts=[seen("pay", an_example(1))], minutes={0: counts(1)}))
    before = store.generation
    store.tidy(KEPT, now=2 * DAY, most_texts=10)

    assert store.generation == before


def test_a_number_is_never_given_twice(store: Store) -> None:
    store.write(a_batch(1, texts=[seen("old", an_example(1))]))
    [old] = entries_of(store)
    store.tidy(KEPT, now=20 * DAY, most_texts=10)
    store.write(a_batch(2, texts=[seen("new", an_example(1))]))

    [new] = entries_of(store)
    assert new.key > old.key
    assert new.changed > old.changed


def test_a_service_is_taken_out_with_all_that_is_of_it(store: Store) -> None:
    rows = [a_row("shop"), a_row("bank")]
    texts = [
        seen("shop text", vector=embedded(1)),
        seen("bank text", row=1, vector=embedded(2)),
    ]
    tables = counts(
        7,
        rows={(1,): (1, 0), (2,): (2, 0)},
        times={(1, 3): (1,), (2, 3): (2,)},
        nexts={(1, 2): (1,), (2, 0): (2,)},
        calls={(1, 2): (1,), (2, 1): (2,)},
        texts={(1,): (1, 0, 0), (2,): (2, 0, 0)},
    )
    store.write(a_batch(1, rows=rows, services=["shop", "bank"], texts=texts, minutes={0: tables}))
    before = store.generation

    assert store.delete_service("bank") == 1

    [entry] = entries_of(store)
    [bucket] = buckets_of(store)
    assert entry.words == "shop text"
    assert [part.keys.tolist() for part in store.stems()] == [[entry.key]]
    assert [row.service for row in store.rows().values()] == ["shop"]
    assert plain(bucket.counts) == {
        "rows": {(entry.row,): (1, 0)},
        "times": {(entry.row, 3): (1,)},
        "texts": {(entry.key,): (1, 0, 0)},
    }
    assert bucket.counts.roots == 7
    assert list(store.services().values()) == ["shop"]
    assert [part.matrix.tolist() for part in store.vectors(MODEL)] == [[[1]]]
    assert store.generation > before
    assert store.delete_service("bank") == 0


def test_what_a_writer_counted_can_be_forgotten(store: Store) -> None:
    for writer in ("file", "sidecar"):
        store.write(a_batch(writer=writer, texts=[seen("pay")], minutes={0: counts(1)}))
    store.forget("file")
    store.forget("unknown")

    [bucket] = buckets_of(store)
    assert bucket.counts.roots == 1
    assert (store.last_number("file"), store.last_number("sidecar")) == (0, 1)
    assert len(entries_of(store)) == 1


def test_several_threads_may_use_it(store: Store) -> None:
    def write(writer: int) -> None:
        for number in range(1, 21):
            text = seen(f"text {number}", an_example(number), vector=embedded(number))
            minutes = {0: counts(1, texts={(1,): (1, 0, 0)})}
            store.write(a_batch(number, writer=str(writer), texts=[text], minutes=minutes))

    def read(_: int) -> None:
        for _turn in range(20):
            store.entries(store.columns().keys)
            list(store.vectors(MODEL))
            buckets_of(store)
            list(store.stems())

    with ThreadPoolExecutor(6) as threads:
        for done in [threads.submit(act, i) for i in range(3) for act in (write, read)]:
            done.result()

    [bucket] = buckets_of(store)
    assert (bucket.counts.roots, len(entries_of(store))) == (60, 20)
    assert sum(value for value, *_ in plain(bucket.counts)["texts"].values()) == 60


def test_it_says_how_much_it_takes(store: Store) -> None:
    before = store.size()
    vector = np.ones(10_000, np.float32)
    store.write(a_batch(texts=[seen("pay", vector=embedded(*vector))]))

    assert store.size() >= before + vector.nbytes


def test_kept_times_may_be_of_any_length(store: Store) -> None:
    store.write(a_batch(minutes={0: counts(1), DAY: counts(1)}))
    store.tidy(Kept(minutes=0, hours=0, all=HOUR), now=DAY + 2 * HOUR, most_texts=10)

    assert [(each.start, each.seconds) for each in buckets_of(store)] == [(DAY, HOUR)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"minutes": {1: counts(1)}},
        {"minutes": {0: counts(rows={(2,): (1, 0)})}},
        {"minutes": {0: counts(texts={(1,): (1, 0, 0)})}},
        {"texts": [seen("pay", row=1)]},
    ],
)
def test_a_batch_that_speaks_of_what_it_has_not_can_not_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"minute|row|text"):
        a_batch(**wrong)  # type: ignore[arg-type]
