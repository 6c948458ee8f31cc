from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.annotation.standing import Origin
from otel_embedder.annotation.text_id import text_id
from otel_embedder.errors import UnknownEntryError
from otel_embedder.search.asking.answers import LeftOut
from otel_embedder.search.asking.queries import LikeQuery, SearchQuery
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.entries import Embedded
from otel_embedder.search.links import trace_link
from otel_embedder.search.ranking import WordIndex, decades, duration_likeness
from otel_embedder.search.stores.memory import MemoryStore
from tests.support.made_up import (
    MODEL,
    NOON,
    SECONDS,
    TEXT_VERSION,
    FakeEmbedder,
    Seen,
    vector_of,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.search.asking.answers import Answer

NOW = datetime.fromtimestamp(NOON + 3_600, UTC)
WORDS = ("cart", "bank", "payment", "failed", "timeout", "order", "get", "redis", "slow", "email")


def catalogue(store: MemoryStore, **options: object) -> Catalogue:
    return Catalogue(
        store,
        FakeEmbedder(),
        **{  # type: ignore[arg-type]  # a test's
            "model": MODEL,
            "text_version": TEXT_VERSION,
            "link": trace_link("https://traces.example/{trace_id}?span={span_id}"),
            "clock": lambda: NOW,
            **options,
        },
    )


def holding(*seen: Seen, **options: object) -> Catalogue:
    store = MemoryStore()
    write(store, *seen)
    return catalogue(store, **options)


def texts(answer: Answer) -> list[str]:
    return [hit.text for hit in answer.hits]


def sentences(random: Random, count: int) -> list[str]:
    made = [" ".join(random.choices(WORDS, k=random.randint(1, 8))) for _ in range(count)]
    return [*dict.fromkeys(made)]


def brute_force(known: Sequence[str], question: str, count: int) -> list[tuple[str, float]]:
    shares = WordIndex(known).shares(question)
    scores = [
        float(vector_of(each) @ vector_of(question)) + 0.5 * share
        for each, share in zip(known, shares.tolist(), strict=True)
    ]
    order = sorted(range(len(known)), key=lambda place: -scores[place])[:count]
    return [(known[place], scores[place]) for place in order]


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_what_is_found_equals_brute_force(seed: int, count: int) -> None:
    random = Random(seed)
    known = sentences(random, random.randint(1, 60))
    question = " ".join(random.choices([*WORDS, "unicorn"], k=3))
    store = MemoryStore()
    asked = catalogue(store)
    for start in range(0, len(known), 25):  # it is asked in between, so that it is topped up
        write(store, *(Seen(each) for each in known[start : start + 25]))
        asked.search(SearchQuery(question="order"))

    answer = asked.search(SearchQuery(question=question, count=count))

    expected = brute_force(known, question, count)
    assert [hit.score for hit in answer.hits] == pytest.approx(
        [score for _, score in expected], abs=1e-5
    )
    assert answer.compared == len(known)


def test_a_word_in_common_brings_a_text_forward() -> None:
    asked = holding(Seen("cart failed"), Seen("bank timeout"), Seen("order email"))

    answer = asked.search(SearchQuery(question="bank"))

    [bank] = [hit for hit in answer.hits if hit.text == "bank timeout"]
    others = [hit for hit in answer.hits if hit.text != "bank timeout"]
    assert bank.score > bank.cosine
    assert all(hit.score == hit.cosine for hit in others)


def test_a_hit_tells_what_its_spans_are_and_where_they_can_be_seen() -> None:
    seen = Seen(
        "failed: bank timeout",
        service="payment",
        operation="POST /charge",
        kind="CLIENT",
        status="ERROR",
        milliseconds=(10.0, 1000.0, None),
        spans=40,
        number=7,
    )

    [hit] = holding(seen).search(SearchQuery(question="bank")).hits

    assert (hit.service, hit.operation, hit.kind) == ("payment", "POST /charge", "CLIENT")
    assert (hit.status, hit.spans, sum(hit.trend)) == ("ERROR", 40, 40)
    assert hit.milliseconds == pytest.approx(100)
    assert (hit.first_seen, hit.last_seen) == (NOON * SECONDS, (NOON + 2) * SECONDS)
    assert hit.text_id == text_id(Origin(MODEL, TEXT_VERSION), seen.words)
    assert [example.milliseconds for example in hit.examples] == [None, 1000, 10]
    assert hit.examples[1].link == f"https://traces.example/{8:032x}?span={8:016x}"


FILTERED = (
    Seen("a", service="cart", operation="GET /cart", kind="SERVER", status="OK", at=NOON),
    Seen("b", service="cart-db", operation="SELECT carts", kind="CLIENT", at=NOON + 600),
    Seen("c", service="bank", operation="Charge", status="ERROR", milliseconds=(5.0, 2000.0)),
)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "abc"),
        ({"service": ["cart"]}, "a"),
        ({"service": ["cart*"]}, "ab"),
        ({"service": ["cart", "bank"]}, "ac"),
        ({"service": ["none"]}, ""),
        ({"operation": ["CART"]}, "ab"),
        ({"operation": ["charge", "get"]}, "ac"),
        ({"operation": ["get *"]}, "a"),
        ({"operation": ["cart?"]}, ""),
        ({"kind": ["client"]}, "b"),
        ({"status": ["error", "OK"]}, "ac"),
        ({"since": "55m"}, "b"),
        ({"since": "1h"}, "abc"),
        ({"since": "2026-03-01T12:05:00Z"}, "b"),
        ({"until": "2026-03-01T13:05:00+01:00"}, "ac"),
        ({"since": "30s"}, ""),
        ({"min_duration": "1s"}, "c"),
        ({"min_duration": "10ms", "status": ["unset"]}, "b"),
    ],
)
def test_only_what_passes_the_filters_is_found(filters: dict[str, object], found: str) -> None:
    query = SearchQuery.model_validate({"question": "cart", **filters})

    answer = holding(*FILTERED).search(query)

    assert sorted(texts(answer)) == [*found]
    assert answer.compared == len(found)
    assert answer.left_out == LeftOut()


def test_a_threshold_leaves_out_what_is_less_near() -> None:
    asked = holding(Seen("cart failed"), Seen("bank timeout"))

    answer = asked.search(SearchQuery(question="cart failed", threshold=0.99))

    assert texts(answer) == ["cart failed"]


def test_what_can_not_be_compared_is_left_out_and_counted() -> None:
    asked = holding(
        Seen("a"),
        Seen("b", model=None),
        Seen("c", model="tests/another"),
        Seen("d", text_version="template-1"),
        Seen("e", text_version="template-1", service="bank"),
        Seen("f", model="tests/another", text_version="template-1"),
    )

    answer = asked.search(SearchQuery(question="a"))
    of_bank = asked.search(SearchQuery(question="a", service=("bank",)))

    assert texts(answer) == ["a"]
    assert answer.left_out == LeftOut(waiting=1, other_model=2, other_text_version=2)
    assert answer.left_out.total == 5
    assert (texts(of_bank), of_bank.left_out) == ([], LeftOut(other_text_version=1))


def test_what_waits_is_found_once_it_has_a_vector_and_what_is_brought_over_too() -> None:
    store = MemoryStore()
    write(store, Seen("a", model=None), Seen("b", model="x", text_version="old"))
    asked = catalogue(store)
    assert texts(asked.search(SearchQuery(question="a"))) == []

    vectors = [
        (entry.key, Embedded(MODEL, vector_of(entry.words)))
        for entry in store.entries(store.columns().keys.tolist())
    ]
    store.put_vectors(vectors, text_version=TEXT_VERSION)

    assert sorted(texts(asked.search(SearchQuery(question="a")))) == ["a", "b"]


def test_what_is_deleted_is_not_found_any_more() -> None:
    store = MemoryStore()
    write(store, Seen("cart a"), Seen("cart b", service="bank"), Seen("cart c"))
    asked = catalogue(store)
    assert len(asked.search(SearchQuery(question="cart")).hits) == 3

    store.delete_service("bank")
    write(store, Seen("cart d"))

    assert {*texts(asked.search(SearchQuery(question="cart")))} == {"cart a", "cart c", "cart d"}


def test_a_question_of_unknown_words_is_compared_by_words_alone() -> None:
    asked = holding(Seen("größe failed"), Seen("bank"))

    answer = asked.search(SearchQuery(question="größe"))

    assert not answer.is_understood
    assert [hit.cosine for hit in answer.hits] == [0, 0]
    assert texts(answer)[0] == "größe failed"


def test_a_catalogue_of_nothing_has_no_hits() -> None:
    answer = catalogue(MemoryStore()).search(SearchQuery(question="a"))

    assert (answer.hits, answer.compared, answer.left_out.total) == ((), 0, 0)


def test_a_trend_counts_each_step_of_the_time() -> None:
    store = MemoryStore()
    seen = Seen("a", at=NOON, spans=3)
    write(store, seen)
    write(store, replace(seen, at=NOON + 600, spans=5, number=9))
    asked = catalogue(store)

    whole = asked.search(SearchQuery(question="a"))
    hour = asked.search(SearchQuery.model_validate({"question": "a", "since": "55m"}))

    assert (whole.since, whole.step) == (NOON, 60)
    assert whole.hits[0].trend == (3, *[0] * 9, 5)
    assert hour.hits[0].spans == 5
    assert hour.step * len(hour.hits[0].trend) >= 55 * 60


LIKE = (
    Seen("cart failed", milliseconds=(1.0,), number=1),
    Seen("cart", milliseconds=(1.0,), number=2),
    Seen("bank", milliseconds=(1_000.0, 10.0), number=3, status="ERROR"),
    Seen("order", milliseconds=(None,), number=10),
)


def like_scores(duration: float | None, text: str) -> dict[str, float]:
    return {
        each.words: float(vector_of(each.words) @ vector_of(text))
        + 0.5
        * max(float(duration_likeness(decades(ms), decades(duration))) for ms in each.milliseconds)
        for each in LIKE
    }


@pytest.mark.parametrize(
    ("asked", "text", "milliseconds"),
    [
        (f"{1:032x}", "cart failed", 1.0),
        (f"{3:032X}", "bank", 1_000.0),
        (f"{4:032x}:{4:016X}", "bank", 10.0),
        (f"{10:032x}", "order", None),
    ],
)
def test_what_is_like_a_span_reads_alike_and_took_as_long(
    asked: str, text: str, milliseconds: float | None
) -> None:
    answer = holding(*LIKE).like(LikeQuery(like=asked))

    assert (answer.asked, texts(answer)[0]) == (text, text)
    expected = like_scores(milliseconds, text)
    assert {hit.text: hit.score for hit in answer.hits} == pytest.approx(expected, abs=1e-5)
    others = [hit.score for hit in answer.hits[1:]]
    assert others == sorted(others, reverse=True)


def test_examples_that_took_as_long_come_first() -> None:
    answer = holding(*LIKE).like(LikeQuery(like=f"{2:032x}"))

    [bank] = [hit for hit in answer.hits if hit.text == "bank"]
    assert [example.milliseconds for example in bank.examples] == [10, 1000]


def test_what_is_like_a_text_of_the_catalogue_is_found_by_its_id() -> None:
    id_ = text_id(Origin(MODEL, TEXT_VERSION), "cart")
    asked = holding(*LIKE)
    embedder = FakeEmbedder()

    answer = asked.like(LikeQuery(like=id_.upper()))
    again = asked.like(LikeQuery(like=answer.hits[1].text_id))

    assert texts(answer)[0] == "cart"
    assert texts(again)[0] == texts(answer)[1]
    assert embedder.embedded == []


def test_what_is_like_words_is_found_by_them_alone() -> None:
    answer = holding(*LIKE).like(LikeQuery(like="bank"))

    assert answer.hits[0].text == "bank"
    assert all(hit.score == hit.cosine for hit in answer.hits)


@pytest.mark.parametrize("missing", [f"{99:032x}", f"{1:032x}:{2:016x}", "0123456789abcdef"])
def test_what_is_not_there_is_said(missing: str) -> None:
    with pytest.raises(UnknownEntryError, match=missing.split(":", maxsplit=1)[0]):
        holding(*LIKE).like(LikeQuery(like=missing))


def test_it_is_asked_from_several_threads_while_it_is_written() -> None:
    store = MemoryStore()
    asked = catalogue(store)
    random = Random(1)
    every = sentences(random, 400)

    def ask(number: int) -> bool:
        hits = asked.search(SearchQuery(question=every[number], count=400)).hits
        return all(
            math.isclose(
                hit.cosine, float(vector_of(hit.text) @ vector_of(every[number])), abs_tol=1e-5
            )
            for hit in hits
        )

    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(ask, range(40))
        for start in range(0, len(every), 20):
            write(store, *(Seen(each) for each in every[start : start + 20]))

    assert all(answers)
    assert asked.search(SearchQuery(question="cart")).compared == len(every)


def test_a_catalogue_tells_what_it_holds() -> None:
    info = holding(
        Seen("a", service="cart"),
        Seen("b", service="cart", operation="other", status="ERROR", at=NOON + 60),
        Seen("c", service="bank", model=None, text_version="old"),
    ).info()

    assert (info.texts, info.waiting, info.models) == (3, 1, {MODEL: 2})
    assert info.text_versions == {TEXT_VERSION: 2, "old": 1}
    bank, cart = info.services
    assert (bank.service, bank.texts, bank.failing) == ("bank", 1, 0)
    assert (cart.operations, cart.texts, cart.failing) == (2, 2, 1)
    assert (cart.first_seen, cart.last_seen) == (NOON * SECONDS, (NOON + 60) * SECONDS)
    assert info.bytes > 0


def test_vectors_are_compared_in_blocks_and_few_by_themselves() -> None:
    known = [f"text {number}" for number in range(300)]
    asked = holding(*(Seen(each, service=f"s{place % 100}") for place, each in enumerate(known)))

    everything = asked.search(SearchQuery(question="text", count=300))
    few = asked.search(SearchQuery(question="text", count=300, service=("s7",)))

    scores = {hit.text: hit.score for hit in everything.hits}
    assert len(few.hits) == 3
    assert [hit.score for hit in few.hits] == pytest.approx(
        [scores[hit.text] for hit in few.hits], abs=1e-6
    )
    assert np.isfinite([*scores.values()]).all()
