from __future__ import annotations

import re
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from otel_embedder.embedder.models.choice import DEFAULT_MODEL, ModelChoice
from otel_embedder.embedder.models.conversion import converted_model
from otel_embedder.embedder.models.ctranslate2 import CTranslate2Model
from otel_embedder.embedder.models.engines import load_model
from otel_embedder.embedder.models.recipe import RECIPE_FILE
from otel_embedder.embedder.models.seal import seal
from otel_embedder.errors import EmbeddingFailedError, ModelUnavailableError
from tests.golden import TEXTS
from tests.support.tiny_bert import write_settings, write_tiny_bert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.embedder.embedding import Embedding

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """A converted model of no sense, to break."""
    return converted_model(str(write_tiny_bert(tmp_path / "tiny-bert")), tmp_path / "cache")


def load(directory: Path) -> CTranslate2Model:
    return CTranslate2Model(directory, name="tiny-bert", threads=1)


def bits(embeddings: Sequence[Embedding]) -> list[bytes]:
    return [embedding.vector.tobytes() for embedding in embeddings]


def test_a_model_of_few_words_embeds(tiny_model: Path) -> None:
    [embedding] = load(tiny_model).encode(["a b"])

    assert embedding.vector.shape == (16,)
    assert (embedding.model, embedding.source) == ("tiny-bert", "model")
    assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-6)


def test_threads_of_the_engine_handle_no_signal_and_others_do(tiny_model: Path) -> None:
    mask, before = signal.pthread_sigmask(signal.SIG_BLOCK, []), deaf_threads()
    model = load(tiny_model)

    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
    assert deaf_threads() - before
    del model


def deaf_threads() -> set[str]:
    """Give this process's threads in which SIGPROF is blocked."""
    deaf = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended
            [mask] = re.findall(r"SigBlk:\s+(\w+)", (thread / "status").read_text("ascii"))
            if int(mask, 16) >> signal.SIGPROF - 1 & 1:
                deaf.add(thread.name)
    return deaf


def test_no_texts_have_no_embeddings(tiny_model: Path) -> None:
    assert load(tiny_model).encode([]) == []


@pytest.mark.parametrize(
    "name", ["model.bin", "tokenizer.json", "vocabulary.json", "embedding.json"]
)
@pytest.mark.parametrize(
    "content",
    [None, b"", b"\x00" * 1000, b"\xff" * 1000],
    ids=["missing", "empty", "zeros", "ones"],
)
def test_a_file_that_is_missing_or_corrupt_makes_the_model_unavailable(
    tiny_model: Path, name: str, content: bytes | None
) -> None:
    (tiny_model / name).unlink()
    if content is not None:
        (tiny_model / name).write_bytes(content)

    with pytest.raises(ModelUnavailableError, match="does not load"):
        load(tiny_model)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_a_model_that_was_cut_short_is_unavailable(tiny_model: Path, kept: float) -> None:
    whole = (tiny_model / "model.bin").read_bytes()
    (tiny_model / "model.bin").write_bytes(whole[: int(len(whole) * kept)])

    with pytest.raises(ModelUnavailableError, match="does not load"):
        load(tiny_model)


def test_a_directory_that_is_not_there_is_an_unavailable_model(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="does not load"):
        load(tmp_path / "missing")


def test_a_model_that_raises_fails_with_an_embedding_error(tmp_path: Path) -> None:
    weights = write_tiny_bert(tmp_path / "tiny-bert", positions=8)
    directory = converted_model(str(weights), tmp_path / "cache")
    # A text is cut at eight tokens, unless somebody lets it be longer than there are positions.
    recipe = directory / RECIPE_FILE
    recipe.write_text(recipe.read_text().replace('"max_tokens":8', '"max_tokens":512'))
    seal(directory)
    model = load(directory)

    with pytest.raises(EmbeddingFailedError, match="the model failed"):
        model.encode(["a " * 100])
    assert len(model.encode(["a b"])) == 1


def test_a_text_that_is_none_fails_with_an_embedding_error(tiny_model: Path) -> None:
    model = load(tiny_model)

    with pytest.raises(EmbeddingFailedError, match="the tokenizer failed"):
        model.encode(["\ud800"])
    assert len(model.encode(["a b"])) == 1


@pytest.mark.parametrize("value", [0, np.nan, np.inf], ids=str)
def test_a_vector_without_a_direction_is_an_error(tmp_path: Path, value: float) -> None:
    weights = write_tiny_bert(tmp_path / "tiny-bert")
    tensors = load_file(weights / "model.safetensors")
    last = "encoder.layer.0.output.LayerNorm"
    for part in ("weight", "bias"):
        tensors[f"{last}.{part}"] = np.full(16, value, np.float32)
    save_file(tensors, weights / "model.safetensors")
    model = load(converted_model(str(weights), tmp_path / "cache"))

    with pytest.raises(EmbeddingFailedError, match="a vector without a direction"):
        model.encode(["a b"])


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_however_it_pools_the_same_text_has_the_same_bits_in_any_company(
    tmp_path: Path, pooling: str
) -> None:
    weights = write_tiny_bert(tmp_path / "tiny-bert")
    write_settings(weights, pooling={"pooling_mode": pooling})
    model = load(converted_model(str(weights), tmp_path / "cache"))
    texts = ["a b", "c d", "a b c d", "", "h"]

    assert bits(model.encode(texts)) == [bits(model.encode([text]))[0] for text in texts]


@pytest.mark.integration
def test_the_same_text_has_the_same_bits_whatever_the_company(
    real_model: CTranslate2Model,
) -> None:
    together = bits(real_model.encode(TEXTS))
    alone = [bits(real_model.encode([text]))[0] for text in TEXTS]
    reversed_ = bits(real_model.encode(TEXTS[::-1]))[::-1]
    crowded = bits(real_model.encode([*TEXTS, *TEXTS, *TEXTS]))

    assert together == alone
    assert together == reversed_
    assert together * 3 == crowded


@pytest.mark.integration
def test_the_same_text_has_the_same_bits_from_four_threads_at_once(
    real_model: CTranslate2Model,
) -> None:
    texts = TEXTS[:12]
    expected = bits(real_model.encode(texts))
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(real_model.encode, [texts] * 8))

    assert all(bits(answer) == expected for answer in answers)


@pytest.mark.integration
def test_a_vector_has_384_values_of_float32_and_unit_length(real_model: CTranslate2Model) -> None:
    for embedding in real_model.encode(TEXTS):
        assert embedding.vector.shape == (384,)
        assert embedding.vector.dtype == np.float32
        assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-6)
        assert (embedding.model, embedding.source) == (DEFAULT_MODEL, "model")


@pytest.mark.integration
def test_of_a_long_text_the_first_256_tokens_are_read(real_model: CTranslate2Model) -> None:
    # Each word is one token, and there are two special ones.
    read = " ".join(["bank"] * 254)
    [whole, longer, much_longer, shorter] = bits(
        real_model.encode([read, f"{read} payment", f"{read} payment" * 100, read[:-5]])
    )

    assert whole == longer == much_longer
    assert whole != shorter


@pytest.mark.integration
def test_texts_of_like_meaning_are_near(real_model: CTranslate2Model) -> None:
    [question, timeout, disk] = real_model.encode(
        [
            "payment times out talking to the bank",
            "payments charge_card ERROR deadline exceeded while waiting for the bank",
            "statements render_pdf ERROR No space left on device",
        ]
    )

    assert question.vector @ timeout.vector > question.vector @ disk.vector + 0.2


@pytest.mark.integration
def test_the_real_model_cut_short_is_unavailable(model_cache: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(converted_model(DEFAULT_MODEL, model_cache), tmp_path / "broken")
    with (broken / "model.bin").open("r+b") as file:
        file.truncate(1_000_000)

    with pytest.raises(ModelUnavailableError, match="does not load"):
        load(broken)


def test_a_whole_model_that_does_not_load_is_not_removed(tmp_path: Path) -> None:
    """Memory or threads may lack: to convert it again would be no help."""
    weights = write_tiny_bert(tmp_path / "tiny-bert")
    choice = ModelChoice("ctranslate2", str(weights), tmp_path / "cache", threads=1)
    directory = converted_model(choice.model, choice.cache)
    (directory / "model.bin").write_bytes(b"what can't be loaded")
    seal(directory)

    with pytest.raises(ModelUnavailableError, match="does not load"):
        load_model(choice)
    assert (directory / "model.bin").read_bytes() == b"what can't be loaded"
