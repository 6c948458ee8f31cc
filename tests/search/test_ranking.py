from __future__ import annotations

import math

import numpy as np
import pytest

from otel_embedder.search.ranking import (
    LONG,
    STOP_WORDS,
    WordIndex,
    decades,
    duration_likeness,
    stem_hashes,
    stems,
)

TEXTS = ("cat dog", "dog dog bird", "fish")
# ln(1 + (3 - 2 + .5) / (2 + .5)) and ln(1 + (3 - 1 + .5) / (1 + .5)): two texts have one, one the
# other.
DOG, CAT = math.log(1.6), math.log(1 + 2.5 / 1.5)
# The first text is as long as all are on average: 1 / (1 + 1.2).
ONCE = 1 / 2.2
# The second is half as long again: 2 / (2 + 1.2 * (.25 + .75 * 1.5)).
TWICE = 2 / 3.65


def test_a_text_gets_a_share_of_the_most_that_its_question_could() -> None:
    shares = WordIndex(TEXTS).shares("dog, cat!")

    assert shares == pytest.approx([ONCE, DOG * TWICE / (DOG + CAT), 0])


def test_a_word_that_no_text_has_costs_less_than_the_rarest_that_one_has() -> None:
    shares = WordIndex(TEXTS).shares("unicorn cat")

    assert shares == pytest.approx([ONCE / 1.7, 0, 0])


def test_a_word_said_twice_in_a_question_counts_once() -> None:
    index = WordIndex(TEXTS)

    assert index.shares("dog dog cat").tolist() == index.shares("cat dog").tolist()


def test_no_share_is_more_than_all() -> None:
    [share, _] = WordIndex(["dog " * 500, "cat"]).shares("dog")

    assert 0.9 < share < 1


def test_words_that_come_in_pieces_are_found_as_if_they_came_at_once() -> None:
    [cat, dog] = stem_hashes("cat dog")
    texts = LONG // 2
    lengths = np.random.default_rng(5).integers(0, 9, texts)
    hashes = np.where(np.arange(lengths.sum()) % 7, cat, dog)
    ends = np.cumsum(lengths)
    at_once, in_pieces = WordIndex(), WordIndex()

    at_once.add(hashes, lengths)
    for some in np.array_split(np.arange(texts), [1, 2, 5, texts // 4, texts // 2, texts - 9]):
        first, end = ends[some[0]] - lengths[some[0]], ends[some[-1]]
        in_pieces.add(hashes[first:end], lengths[some])

    assert np.array_equal(in_pieces.shares("cat and dog"), at_once.shares("cat and dog"))


@pytest.mark.parametrize("question", ["", "the of", "unicorn", "?!"])
def test_a_question_without_a_known_word_has_no_share_in_any_text(question: str) -> None:
    assert WordIndex(TEXTS).shares(question).tolist() == [0, 0, 0]


@pytest.mark.parametrize("texts", [[], ["", "the", "!"]])
def test_texts_without_a_word_have_no_share_in_any_question(texts: list[str]) -> None:
    assert WordIndex(texts).shares("dog").tolist() == [0] * len(texts)


def test_words_are_stems_without_case_and_without_those_that_say_nothing() -> None:
    found = stems("The payments FAILED in order_service: 503, failing")

    assert found == ["payment", "fail", "order", "servic", "503", "fail"]


def test_no_word_that_tells_what_went_wrong_is_left_out() -> None:
    assert len(STOP_WORDS) == 55
    assert not STOP_WORDS & {"no", "not", "without", "failed", "get", "set", "up", "down", "out"}


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        (5, 5, 1),
        (1, 1000, 0),
        (1, 100, 0.5),
        (1000, 1, 0),
        (0.001, 1000, -1),
        (0.001, 10_000_000, -1),
        (0, 1e-6, 1),
        (None, 5, 0),
        (None, None, 0),
    ],
)
def test_durations_are_alike_by_their_ratio(
    one: float | None, other: float | None, likeness: float
) -> None:
    assert duration_likeness(decades(one), decades(other)) == pytest.approx(likeness, abs=1e-9)


def test_durations_are_compared_each_with_each() -> None:
    one = np.array([[decades(1)], [decades(1000)]])

    found = duration_likeness(one, np.array([decades(1), decades(1000)]))

    assert found == pytest.approx(np.eye(2), abs=1e-9)
