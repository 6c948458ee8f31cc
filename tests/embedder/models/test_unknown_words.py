"""Texts of which a model knows no word: to it they are one, whatever they say."""

from __future__ import annotations

from itertools import combinations

import pytest

from otel_embedder.embedder.models.conversion import converted_model
from otel_embedder.embedder.models.ctranslate2 import CTranslate2Model
from otel_embedder.embedder.models.sentence_transformers import without_words
from otel_embedder.embedder.stand_in import STAND_IN_MODEL
from tests.support.tiny_bert import write_tiny_bert

# An image, letters that it has no word of, a word that is too long for it, nothing at all.
UNKNOWN = ["🔥", "🎂", "ჩაი ყავა", "ყავა ჩაი", "a" * 101, "a" * 102, "\u200b", ""]


class WordTokenizer:
    """Knows the word `a`; its tokens are as Hugging Face's."""

    all_special_ids = (0, 1, 2)

    def __call__(self, text: list[str], *, truncation: bool) -> dict[str, list[list[int]]]:
        assert truncation
        return {"input_ids": [[1, *(3 * (word == "a") for word in t.split()), 2] for t in text]}


@pytest.fixture(name="tiny", scope="module")
def _tiny(tmp_path_factory: pytest.TempPathFactory) -> CTranslate2Model:
    directory = tmp_path_factory.mktemp("models")
    converted = converted_model(str(write_tiny_bert(directory / "tiny-bert")), directory / "cache")
    return CTranslate2Model(converted, name="tiny-bert", threads=1)


def test_a_text_of_unknown_words_has_a_stand_in(tiny: CTranslate2Model) -> None:
    for embedding in tiny.encode(UNKNOWN):
        assert (embedding.model, embedding.source) == (STAND_IN_MODEL, "fallback")
        assert embedding.vector.shape == (tiny.dimension,)


def test_unlike_texts_of_unknown_words_are_unlike(tiny: CTranslate2Model) -> None:
    for one, other in combinations(tiny.encode(UNKNOWN), 2):
        assert one.vector @ other.vector < 0.9


def test_a_text_of_unknown_words_has_the_same_stand_in_each_time(tiny: CTranslate2Model) -> None:
    [one], [_, again] = tiny.encode(["🔥"]), tiny.encode(["a", "🔥"])

    assert one.vector.tobytes() == again.vector.tobytes()


def test_other_texts_keep_their_vectors_and_their_order(tiny: CTranslate2Model) -> None:
    texts = ["🔥", "a b", "", "c 🔥", "d", "🎂"]
    alone = [tiny.encode([text])[0] for text in texts]

    together = tiny.encode(texts)

    assert [each.source == "model" for each in together] == [False, True, False, True, True, False]
    assert [each.vector.tobytes() for each in together] == [each.vector.tobytes() for each in alone]


def test_the_reference_knows_a_text_of_unknown_words_by_its_tokens() -> None:
    assert without_words(WordTokenizer(), ["a b", "b", "", "c a"]) == [False, True, True, False]


def test_a_model_that_reads_no_word_pieces_is_taken_to_know_all() -> None:
    assert without_words(object(), ["a", "🔥"]) == [False, False]


@pytest.mark.integration
def test_the_default_model_never_takes_unlike_texts_for_the_same(
    real_model: CTranslate2Model,
) -> None:
    embeddings = real_model.encode(UNKNOWN)

    assert {embedding.source for embedding in embeddings} == {"fallback"}
    for one, other in combinations(embeddings, 2):
        assert one.vector @ other.vector < 0.5
