from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from structlog.testing import capture_logs

from otel_embedder.embedder.models.choice import DEFAULT_MODEL, Engine, ModelChoice
from otel_embedder.embedder.models.conversion import (
    MODEL_CONVERTED,
    MODEL_DAMAGED,
    converted_model,
    remove_damaged,
)
from otel_embedder.embedder.models.engines import LOADERS, load_model, reviving_model
from otel_embedder.embedder.models.reviving import MODEL_UNAVAILABLE
from otel_embedder.embedder.models.seal import SEAL_FILE
from otel_embedder.errors import DamagedModelError, ModelUnavailableError
from tests.support.processes import python
from tests.support.tiny_bert import TINY_DIMENSION, write_tiny_bert

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.embedder.embedding import Model

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def choice(tmp_path: Path) -> ModelChoice:
    model = write_tiny_bert(tmp_path / "tiny-bert")
    return ModelChoice("ctranslate2", str(model), tmp_path / "cache", threads=1)


def test_every_engine_that_may_be_chosen_can_be_loaded() -> None:
    assert [*LOADERS] == [*get_args(Engine)]


def test_a_model_is_converted_and_loaded_under_its_directorys_name(choice: ModelChoice) -> None:
    model = load_model(choice)
    [embedding] = model.encode(["a b"])

    assert model.dimension == TINY_DIMENSION
    assert embedding.vector.shape == (TINY_DIMENSION,)
    assert embedding.model == "tiny-bert"


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json", "embedding.json"])
def test_what_was_converted_and_is_damaged_is_converted_anew(
    choice: ModelChoice, file: str
) -> None:
    directory = converted_model(choice.model, choice.cache)
    whole = (directory / file).read_bytes()
    (directory / file).write_bytes(b"half of it")

    assert len(load_model(choice).encode(["a b"])) == 1
    assert (directory / file).read_bytes() == whole


def add(directory: Path) -> None:
    (directory / "vocabulary.txt").write_text("what may be read instead\n")


def remove(directory: Path) -> None:
    (directory / "vocabulary.json").unlink()


def flip_a_bit(directory: Path) -> None:
    """Change a weight, as a disk may: it loads all the same."""
    content = bytearray((directory / "model.bin").read_bytes())
    content[len(content) // 2] ^= 1
    (directory / "model.bin").write_bytes(content)


def cut(directory: Path) -> None:
    os.truncate(directory / "model.bin", 1_000)


def cut_the_seal(directory: Path) -> None:
    os.truncate(directory / SEAL_FILE, 100)


def swap_words(directory: Path) -> None:
    """Give two words each other's numbers."""
    words = (directory / "tokenizer.json").read_text()
    swapped = words.replace('"a":', '"?":').replace('"b":', '"a":').replace('"?":', '"b":')
    (directory / "tokenizer.json").write_text(swapped)


def take_anothers_weights(directory: Path) -> None:
    other = another(directory.parent)
    shutil.copyfile(other / "model.bin", directory / "model.bin")


def become_another(directory: Path) -> None:
    other = another(directory.parent)
    shutil.rmtree(directory)
    other.rename(directory)


def vanish(directory: Path) -> None:
    shutil.rmtree(directory)


def another(cache: Path) -> Path:
    """Convert a model of the same shape and other weights."""
    model = write_tiny_bert(cache.parent / "another" / "tiny-bert")
    tensors = dict(load_file(model / "model.safetensors"))
    words = tensors["embeddings.word_embeddings.weight"]
    tensors["embeddings.word_embeddings.weight"] = np.ascontiguousarray(words[::-1])
    save_file(tensors, model / "model.safetensors")
    return converted_model(str(model), cache)


def vector_of(model: Model) -> bytes:
    [embedding] = model.encode(["a b c"])
    return embedding.vector.tobytes()


@pytest.mark.parametrize(
    "damage",
    [
        *(add, remove, flip_a_bit, cut, cut_the_seal, swap_words, take_anothers_weights),
        *(become_another, vanish),
    ],
)
def test_whatever_becomes_of_its_directory_a_model_gives_its_own_vectors(
    choice: ModelChoice, damage: Callable[[Path], None]
) -> None:
    loaded = load_model(choice)
    directory = converted_model(choice.model, choice.cache)
    true, names = vector_of(loaded), sorted(file.name for file in directory.iterdir())
    damage(directory)
    with capture_logs() as logs:
        after = vector_of(loaded)
        anew = vector_of(load_model(choice))
        again = vector_of(load_model(choice))

    assert after == anew == again == true
    assert sorted(file.name for file in directory.iterdir()) == names
    told = [MODEL_CONVERTED] if damage is vanish else [MODEL_DAMAGED, MODEL_CONVERTED]
    assert [line["event"] for line in logs] == told


def test_other_files_in_the_same_directory_are_converted_anew(choice: ModelChoice) -> None:
    before = vector_of(load_model(choice))
    weights = Path(choice.model, "model.safetensors")
    tensors = dict(load_file(weights))
    words = tensors["embeddings.word_embeddings.weight"]
    tensors["embeddings.word_embeddings.weight"] = np.ascontiguousarray(words[::-1])
    save_file(tensors, weights)

    assert vector_of(load_model(choice)) != before


def test_what_another_process_removes_just_then_is_no_error(tmp_path: Path) -> None:
    remove_damaged(DamagedModelError("it is damaged", directory=tmp_path / "gone"))


def test_what_is_damaged_and_cannot_be_removed_is_an_error_that_says_both(
    choice: ModelChoice,
) -> None:
    directory = converted_model(choice.model, choice.cache)
    elsewhere = directory.rename(directory.with_name("elsewhere"))
    (elsewhere / "model.bin").unlink()
    directory.symlink_to(elsewhere)  # which is not for us to follow and empty

    with pytest.raises(ModelUnavailableError, match=r"does not load: .*; it can't be removed"):
        load_model(choice)


def test_a_reviving_model_has_the_dimension_before_it_is_loaded(choice: ModelChoice) -> None:
    assert reviving_model(choice).dimension == TINY_DIMENSION


def retries(choice: ModelChoice, count: int) -> list[float]:
    """Give the seconds before each of so many retries of a load that fails."""
    hours = itertools.count(step=3_600.0)
    model = reviving_model(choice, clock=lambda: next(hours))  # one is over with each look
    with capture_logs() as logs:
        for _ in range(count):
            with pytest.raises(ModelUnavailableError):
                model.loaded()
        model.close()  # by then all is told
    return [line["retry_after"] for line in logs if line["event"] == MODEL_UNAVAILABLE]


def test_files_that_are_here_are_tried_again_every_minute_at_least(choice: ModelChoice) -> None:
    Path(choice.model, "config.json").unlink()

    assert retries(choice, 6) == [5, 10, 20, 40, 60, 60]


def test_what_is_fetched_from_afar_is_not_fetched_every_minute(tmp_path: Path) -> None:
    choice = ModelChoice("sentence-transformers", "nobody/has-this", tmp_path, threads=1)

    assert retries(choice, 11)[-3:] == [1_280, 1_800, 1_800]


@pytest.mark.parametrize("model", [DEFAULT_MODEL, "BAAI/bge-small-en-v1.5", "."])
def test_an_engine_that_is_not_installed_is_an_error_that_says_what_to_do(
    model: str, tmp_path: Path
) -> None:
    choice = ModelChoice("sentence-transformers", model, tmp_path, threads=1)

    with pytest.raises(ModelUnavailableError) as caught:
        load_model(choice)
    assert str(caught.value) == (
        "sentence-transformers is not installed: pip install 'otel-embedder[sentence-transformers]'"
    )


# What systemd's MemoryDenyWriteExecute does, where the kernel knows it (Linux 6.3).
WITHOUT_MACHINE_CODE = """
import ctypes, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0)
from pathlib import Path
from otel_embedder.embedder.models.choice import DEFAULT_MODEL, ModelChoice
from otel_embedder.embedder.models.engines import load_model
from otel_embedder.embedder.models.reference import check_reference
from otel_embedder.errors import ModelUnavailableError
try:
    check_reference(load_model(ModelChoice("ctranslate2", DEFAULT_MODEL, Path(sys.argv[1]), 1)))
except ModelUnavailableError as error:
    print(error)
else:
    print("the vectors are right")
"""


@pytest.mark.integration
def test_where_the_engine_may_not_write_machine_code_no_vector_is_wrong(model_cache: Path) -> None:
    printed = python(WITHOUT_MACHINE_CODE, str(model_cache))

    # Which of the two depends on the processor and the kernel.
    right, wrong = "the vectors are right", "the engine computes wrong vectors on this host: "
    assert printed.startswith((right, wrong))
