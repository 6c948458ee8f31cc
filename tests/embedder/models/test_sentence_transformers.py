"""The default engine and our conversion beside sentence-transformers: `make test-reference`."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import ctranslate2
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from otel_embedder.embedder.models.bert import specification
from otel_embedder.embedder.models.choice import DEFAULT_MODEL, ModelChoice
from otel_embedder.embedder.models.conversion import converted_model
from otel_embedder.embedder.models.ctranslate2 import (
    POOLINGS,
    CTranslate2Model,
    load_tokenizer,
    unit_length,
)
from otel_embedder.embedder.models.engines import load_model
from otel_embedder.embedder.models.recipe import read_recipe
from otel_embedder.embedder.models.sentence_transformers import load_encoders
from otel_embedder.embedder.models.weights import MODEL_FILES, find_weights
from otel_embedder.errors import EmbeddingFailedError, ModelUnavailableError, SettingsError
from otel_embedder.settings import load_settings
from tests.bench.texts import made_up_texts
from tests.golden import TEXTS, VECTORS
from tests.support.tiny_bert import TINY_DIMENSION, modules, write_settings, write_tiny_bert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from otel_embedder.embedder.embedding import Embedding, Model, Vector

pytestmark = [pytest.mark.reference, pytest.mark.timeout(300)]

HUB_MODEL = "BAAI/bge-small-en-v1.5"
# Of one word, of many, of too many, of unknown ones among them.
TINY_TEXTS = ["a", "a b c", "h g f e d c b a " * 5, "A b, C! über 商店", ":"]
MAX_TOKENS = 16  # less than the longest of them has

BOTH_WAYS = {
    "as it is": modules("Transformer", "Pooling"),
    "normalized": modules("Transformer", "Pooling", "Normalize"),
}


class Theirs(Protocol):
    """What the tests ask of a SentenceTransformer."""

    max_seq_length: int

    def encode(self, inputs: list[str], *, batch_size: int, normalize_embeddings: bool) -> Vector:
        """Give one vector a text: shape (texts, dimension)."""
        ...

    def save_pretrained(self, path: str) -> None:
        """Write all files."""
        ...

    def append(self, module: object) -> object:
        """Put a module behind the others."""
        ...


def load_theirs(model: Path) -> Theirs:
    """Load a model in sentence-transformers, which only this environment has."""
    library = importlib.import_module("sentence_transformers")
    theirs: Theirs = library.SentenceTransformer(
        str(model), device="cpu", local_files_only=True, model_kwargs={"dtype": "float32"}
    )
    return theirs


def their_vectors(model: Path, texts: Sequence[str] = TINY_TEXTS) -> Vector:
    return load_theirs(model).encode([*texts], batch_size=1, normalize_embeddings=True)


def reference(model: str, cache: Path) -> Model:
    return load_model(ModelChoice("sentence-transformers", model, cache, threads=2))


def stacked(embeddings: Sequence[Embedding]) -> Vector:
    return np.stack([embedding.vector for embedding in embeddings])


def bits(embeddings: Sequence[Embedding]) -> list[bytes]:
    return [embedding.vector.tobytes() for embedding in embeddings]


def cosines(ones: Vector, others: Vector) -> Vector:
    products: Vector = (ones * others).sum(axis=1)
    return products


@pytest.fixture(scope="module")
def default_reference(model_cache: Path) -> Model:
    return reference(DEFAULT_MODEL, model_cache)


@pytest.fixture(scope="module")
def texts() -> dict[str, list[str]]:
    return made_up_texts()


@pytest.fixture
def tiny_bert(tmp_path: Path) -> Path:
    model = write_tiny_bert(tmp_path / "tiny-bert")
    write_settings(
        model, modules=BOTH_WAYS["as it is"], pooling={"word_embedding_dimension": TINY_DIMENSION}
    )
    return model


@pytest.fixture
def tiny_reference(tiny_bert: Path, tmp_path: Path) -> Model:
    return reference(str(tiny_bert), tmp_path)


def test_the_default_engine_is_as_good_as_the_reference_on_what_spans_say(
    real_model: CTranslate2Model, default_reference: Model, texts: dict[str, list[str]]
) -> None:
    read = texts["a shop"]
    found = cosines(stacked(real_model.encode(read)), stacked(default_reference.encode(read)))

    assert len(set(read)) >= 300
    assert found.mean() >= 0.997
    assert found.min() >= 0.99


@pytest.mark.parametrize("kind", ["words at random", "values of every kind"])
def test_on_no_text_however_strange_is_the_default_engine_much_worse(
    real_model: CTranslate2Model,
    default_reference: Model,
    texts: dict[str, list[str]],
    kind: str,
) -> None:
    read = texts[kind]
    found = cosines(stacked(real_model.encode(read)), stacked(default_reference.encode(read)))

    assert len(set(read)) >= 300
    assert found.mean() >= 0.996
    assert found.min() >= 0.99


def test_the_reference_engine_gives_the_golden_vectors(default_reference: Model) -> None:
    embeddings = default_reference.encode(TEXTS)

    assert np.allclose(stacked(embeddings), np.load(VECTORS), atol=1e-5)
    assert {embedding.model for embedding in embeddings} == {DEFAULT_MODEL}
    assert {embedding.source for embedding in embeddings} == {"model"}
    assert default_reference.dimension == 384


def test_of_the_default_model_no_more_than_the_checked_files_is_asked(
    default_reference: Model, tmp_path: Path
) -> None:
    """As the hub's cache has them; and beside them what is another model's."""
    directory = tmp_path / DEFAULT_MODEL
    directory.mkdir()
    for name in MODEL_FILES:
        (directory / name).symlink_to(find_weights(DEFAULT_MODEL).directory / name)
    texts = [*TEXTS, "payment " * 400]
    expected = bits(default_reference.encode(texts))
    alone = bits(reference(str(directory), tmp_path).encode(texts))
    write_settings(
        directory,
        modules=BOTH_WAYS["normalized"],
        pooling={"embedding_dimension": 384, "pooling_mode": "cls"},
        transformer={"max_seq_length": 512},
        tokenizer={"do_lower_case": False, "model_max_length": 512},
    )

    assert alone == expected
    assert bits(reference(str(directory), tmp_path).encode(texts)) == expected


def test_other_weights_under_the_default_models_name_are_refused(tmp_path: Path) -> None:
    impostor = write_tiny_bert(tmp_path / DEFAULT_MODEL)

    with pytest.raises(ModelUnavailableError, match="its sha256 is"):
        reference(str(impostor), tmp_path)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "mean_sqrt_len_tokens"])
@pytest.mark.parametrize("listed", BOTH_WAYS.values(), ids=BOTH_WAYS)
@pytest.mark.parametrize("lower_case", [True, False], ids=["lower case", "cased"])
def test_a_converted_model_gives_what_sentence_transformers_gives(
    tmp_path: Path, pooling: str, listed: list[dict[str, object]], *, lower_case: bool
) -> None:
    model = write_tiny_bert(tmp_path / "tiny-bert", lowercase=False)
    write_settings(
        model,
        modules=listed,
        pooling={"word_embedding_dimension": TINY_DIMENSION, "pooling_mode": pooling},
        transformer={"max_seq_length": MAX_TOKENS, "do_lower_case": lower_case},
        tokenizer={"do_lower_case": False},
    )
    expected = their_vectors(model)

    assert np.allclose(unquantised_vectors(model, tmp_path / "float32"), expected, atol=1e-5)
    assert cosines(our_vectors(model, tmp_path / "cache"), expected).min() > 0.99


def test_both_engines_know_a_text_of_unknown_words(
    default_reference: Model, real_model: CTranslate2Model
) -> None:
    texts = ["🔥", "a" * 101, "pay 🔥", "🎂 🎂", ""]
    theirs, ours = default_reference.encode(texts), real_model.encode(texts)

    assert [each.source for each in theirs] == [each.source for each in ours]
    assert [each.source == "model" for each in ours] == [False, False, True, False, False]
    assert bits([theirs[0], theirs[3]]) == bits([ours[0], ours[3]])


def our_vectors(model: Path, cache: Path, texts: Sequence[str] = TINY_TEXTS) -> Vector:
    directory = converted_model(str(model), cache)
    return stacked(CTranslate2Model(directory, name="tiny-bert", threads=1).encode(texts))


def unquantised_vectors(model: Path, directory: Path) -> Vector:
    """Convert without quantising, so that only what is wrong makes a difference."""
    recipe = read_recipe(model)
    directory.mkdir()
    specification(model, recipe).save(str(directory))
    encoder = ctranslate2.Encoder(str(directory))
    tokenizer = load_tokenizer(model / "tokenizer.json", recipe)
    outputs = [encoder.forward_batch([tokenizer.encode(text).ids]) for text in TINY_TEXTS]
    hidden = [np.asarray(output.last_hidden_state) for output in outputs]
    return np.concatenate([unit_length(POOLINGS[recipe.pooling](values)) for values in hidden])


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_a_model_as_this_release_saves_it_can_be_converted(
    tiny_bert: Path, tmp_path: Path, pooling: str
) -> None:
    write_settings(
        tiny_bert,
        modules=BOTH_WAYS["normalized"],
        pooling={"embedding_dimension": TINY_DIMENSION, "pooling_mode": pooling},
        transformer={"max_seq_length": MAX_TOKENS},
    )
    saved = tmp_path / "saved"
    load_theirs(tiny_bert).save_pretrained(str(saved))

    assert read_recipe(saved) == read_recipe(tiny_bert)
    assert cosines(our_vectors(saved, tmp_path), their_vectors(tiny_bert)).min() > 0.99


@pytest.mark.parametrize(
    ("transformer", "tokenizer"),
    [
        ({"max_seq_length": 128}, {"model_max_length": 256}),
        ({"max_seq_length": None}, {"model_max_length": 256}),
        ({}, {"model_max_length": 256}),
        ({}, {"model_max_length": 1000000000000000019884624838656}),
        ({}, {}),
    ],
    ids=str,
)
def test_a_text_is_cut_where_sentence_transformers_cuts_it(
    tiny_bert: Path, transformer: Mapping[str, object], tokenizer: Mapping[str, object]
) -> None:
    write_settings(tiny_bert, transformer=transformer, tokenizer=tokenizer)

    assert read_recipe(tiny_bert).max_tokens == load_theirs(tiny_bert).max_seq_length


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        {"pooling_mode_max_tokens": True},
        {"pooling_mode": "cls", "pooling_mode_mean_tokens": True},
        {"pooling_mode": ["max"]},
        {"pooling_mode_mean_tokens": False},
    ],
    ids=str,
)
def test_pooling_in_any_spelling_is_what_sentence_transformers_takes_it_for(
    tiny_bert: Path, tmp_path: Path, pooling: Mapping[str, object]
) -> None:
    write_settings(tiny_bert, pooling={"word_embedding_dimension": TINY_DIMENSION, **pooling})

    assert cosines(our_vectors(tiny_bert, tmp_path), their_vectors(tiny_bert)).min() > 0.99


def test_a_cased_tokenizer_that_does_not_say_so_twice_is_another_one_there(tmp_path: Path) -> None:
    """Why we refuse it."""
    model = write_tiny_bert(tmp_path / "tiny-bert", lowercase=False)
    upper, lower = their_vectors(model, ["A B", "a b"])
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))

    assert np.array_equal(upper, lower)
    assert tokenizer.encode("A B").ids != tokenizer.encode("a b").ids
    with pytest.raises(ModelUnavailableError, match="do_lower_case True by default"):
        converted_model(str(model), tmp_path / "cache")


def test_a_model_in_the_reference_engine_has_its_own_name_and_dimension(
    tiny_reference: Model, tiny_bert: Path
) -> None:
    embeddings = tiny_reference.encode(TINY_TEXTS)

    assert tiny_reference.dimension == TINY_DIMENSION
    assert {embedding.model for embedding in embeddings} == {"tiny-bert"}
    assert {embedding.source for embedding in embeddings} == {"model"}
    assert np.allclose(stacked(embeddings), their_vectors(tiny_bert), atol=1e-6)


def test_its_vectors_are_of_float32_and_unit_length(tiny_reference: Model) -> None:
    for embedding in tiny_reference.encode(TINY_TEXTS):
        assert embedding.vector.dtype == np.float32
        assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-6)


def test_no_texts_have_no_embeddings(tiny_reference: Model) -> None:
    assert tiny_reference.encode([]) == []


def test_the_same_text_has_the_same_bits_whatever_the_company(default_reference: Model) -> None:
    together = bits(default_reference.encode(TEXTS))
    alone = [bits(default_reference.encode([text]))[0] for text in TEXTS]
    reversed_ = bits(default_reference.encode(TEXTS[::-1]))[::-1]

    assert together == alone == reversed_


def test_the_same_text_has_the_same_bits_from_four_threads_at_once(
    default_reference: Model,
) -> None:
    texts = TEXTS[:12]
    expected = bits(default_reference.encode(texts))
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(default_reference.encode, [texts] * 8))

    assert all(bits(answer) == expected for answer in answers)


def test_two_texts_at_the_same_time_do_not_take_the_weights_twice(tiny_bert: Path) -> None:
    encoders = load_encoders(str(tiny_bert), "tiny-bert", threads=2)
    one, other = (list(encoder.parameters()) for encoder in encoders)

    assert len(one) > 10
    assert all(its is theirs for its, theirs in zip(one, other, strict=True))


def test_half_precision_is_not_kept(tiny_bert: Path, tmp_path: Path) -> None:
    tensors = load_file(tiny_bert / "model.safetensors")
    halved = {name: tensor.astype(np.float16) for name, tensor in tensors.items()}
    save_file(halved, tiny_bert / "model.safetensors")
    [embedding] = reference(str(tiny_bert), tmp_path).encode(["a b c"])

    assert np.allclose(embedding.vector, their_vectors(tiny_bert, ["a b c"])[0], atol=1e-6)


def test_the_reference_engine_takes_models_that_the_default_one_refuses(
    tiny_bert: Path, tmp_path: Path
) -> None:
    layers = importlib.import_module("sentence_transformers.base.modules")
    longer = load_theirs(tiny_bert)
    longer.append(layers.Dense(TINY_DIMENSION, 24))
    longer.save_pretrained(str(tmp_path / "longer"))
    model = reference(str(tmp_path / "longer"), tmp_path)

    assert model.dimension == 24
    assert model.encode(["a b"])[0].vector.shape == (24,)
    with pytest.raises(ModelUnavailableError, match="Dense is not supported"):
        converted_model(str(tmp_path / "longer"), tmp_path / "cache")


@pytest.mark.parametrize("model", ["empty", "missing/at/all"])
def test_a_model_that_does_not_load_is_an_error_of_one_line(tmp_path: Path, model: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ModelUnavailableError, match="does not load") as caught:
        reference(str(tmp_path / model), tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_that_are_no_weights_are_an_error_of_one_line(
    tiny_bert: Path, tmp_path: Path
) -> None:
    (tiny_bert / "model.safetensors").write_bytes(b"<html>not found</html>")

    with pytest.raises(ModelUnavailableError, match="does not load") as caught:
        reference(str(tiny_bert), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_text_that_is_none_fails_with_an_embedding_error(tiny_reference: Model) -> None:
    with pytest.raises(EmbeddingFailedError, match="the model failed"):
        tiny_reference.encode(["\ud800"])
    assert len(tiny_reference.encode(["a b"])) == 1


def test_a_text_that_is_too_long_for_the_model_fails_with_an_embedding_error(
    tiny_bert: Path, tmp_path: Path
) -> None:
    write_settings(tiny_bert, transformer={"max_seq_length": 4096})
    model = reference(str(tiny_bert), tmp_path)

    with pytest.raises(EmbeddingFailedError, match="the model failed"):
        model.encode(["a " * 600])


@pytest.mark.parametrize("name", [DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}"])
def test_the_default_model_has_its_name_whoever_calls_it_how(name: str, tmp_path: Path) -> None:
    [embedding] = reference(name, tmp_path).encode(["a"])

    assert embedding.model == DEFAULT_MODEL


def test_the_reference_engine_may_be_chosen_for_any_name_on_the_hub() -> None:
    settings = load_settings({"engine": "sentence-transformers", "model": HUB_MODEL})

    assert (settings.engine, settings.model) == ("sentence-transformers", HUB_MODEL)


@pytest.mark.parametrize("model", ["missing/at/all", "./missing", "a model"])
def test_what_is_neither_a_directory_nor_a_name_on_the_hub_is_a_problem(model: str) -> None:
    with pytest.raises(SettingsError, match="must be a name on the Hugging Face hub"):
        load_settings({"engine": "sentence-transformers", "model": model})
