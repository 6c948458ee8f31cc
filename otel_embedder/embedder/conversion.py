"""Converts official BERT weights to CTranslate2 int8, without torch.

The result equals that of CTranslate2's own converter, which needs torch and
transformers. It is kept in a directory named by the weights' hash and the
converter's version, so it is made once and never mistaken for another.
"""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from otel_embedder.choices import DEFAULT_MODEL
from otel_embedder.embedder.weights import (
    DEFAULT_MODEL_SHA256,
    WEIGHTS_FILE,
    Weights,
    find_weights,
    model_name,
)
from otel_embedder.errors import ModelUnavailableError

if TYPE_CHECKING:
    import numpy.typing as npt
    from ctranslate2.specs import common_spec, transformer_spec
    from structlog.typing import FilteringBoundLogger

    Tensors = dict[str, npt.NDArray[np.float32]]

MODEL_CONVERTED = "model.converted"
# Raise it when this module would write something else from the same weights.
CONVERTER_VERSION = 1

# What a BERT encoder's configuration says, or leaves out.
SUPPORTED = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
}

log: FilteringBoundLogger = structlog.get_logger()


def converted_model(model: str, cache: Path) -> Path:
    """Give the directory of the converted `model`, converting it if that was never done.

    Args:
        model: the default model's name, or a directory.
        cache: the directory of converted models.

    Raises:
        ModelUnavailableError: there are no weights, they can't be converted, or `cache` can't
            be written.

    """
    if model == DEFAULT_MODEL:
        # Its hash is known, so a start with a converted model reads no weights.
        directory = converted_path(cache, model, DEFAULT_MODEL_SHA256)
        if directory.is_dir():
            return directory
    weights = find_weights(model)
    # The default's other files are known to be its own; a directory may have any.
    key = weights.sha256 if model == DEFAULT_MODEL else weights.fingerprint
    directory = converted_path(cache, weights.name, key)
    if not directory.is_dir():
        _write(weights, directory)
    return directory


def converted_path(cache: Path, model: str, key: str) -> Path:
    """Give the place of a converted model, whether it is there or not."""
    converter = f"ctranslate2-{version('ctranslate2')}-{CONVERTER_VERSION}"
    return cache / f"{model_name(model)}-{key[:16]}-int8-{converter}"


def _write(weights: Weights, directory: Path) -> None:
    """Convert next to the directory and rename: it is there whole or not at all."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=directory.parent, prefix=".converting-") as scratch:
            convert(weights, Path(scratch, "model"))
            _publish(Path(scratch, "model"), directory)
    except OSError as error:
        raise ModelUnavailableError(
            f"the converted model can't be written to {directory.parent} ({error.strerror}); "
            "set `model_cache` to a directory that can be"
        ) from error
    log.info(MODEL_CONVERTED, directory=str(directory))


def _publish(made: Path, directory: Path) -> None:
    try:
        made.rename(directory)
    except OSError:
        # Another process was faster; what it wrote is the same.
        if not directory.is_dir():
            raise


def convert(weights: Weights, directory: Path) -> None:
    """Write a CTranslate2 int8 model, with its tokenizer, into a new directory.

    Raises:
        ModelUnavailableError: the weights are not those of a BERT encoder.
        OSError: the directory can't be written.

    """
    # Imports ctranslate2, which only a process that embeds should pay for.
    from safetensors import SafetensorError  # noqa: PLC0415

    try:
        spec = _specification(weights.directory)
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ModelUnavailableError(
            f"the model in {weights.directory} can't be converted: {error}"
        ) from error
    spec.validate()
    spec.optimize("int8")
    directory.mkdir()
    spec.save(str(directory))
    shutil.copyfile(weights.directory / "tokenizer.json", directory / "tokenizer.json")


def _specification(directory: Path) -> transformer_spec.TransformerEncoderModelSpec:
    from ctranslate2.specs import transformer_spec  # noqa: PLC0415 - heavy
    from safetensors.numpy import load_file  # noqa: PLC0415 - heavy

    config = _supported(_read_json(directory / "config.json"))
    _check_pooling(directory / "1_Pooling" / "config.json")
    tensors = load_file(directory / WEIGHTS_FILE)
    _check_layers(config, tensors)
    encoder = _encoder(config, tensors)
    spec = transformer_spec.TransformerEncoderModelSpec(encoder)
    spec.register_vocabulary(_vocabulary(directory / "tokenizer.json"))
    spec.config.unk_token = "[UNK]"  # noqa: S105 - a word piece
    spec.config.layer_norm_epsilon = config["layer_norm_eps"]
    return spec


def _read_json(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError(f"{file.name} holds no settings")
    return content


def _supported(config: dict[str, Any]) -> dict[str, Any]:
    for key, value in SUPPORTED.items():
        if config.get(key, value) != value:
            raise ValueError(f"its {key} is {config[key]!r}, not {value!r}")
    return config


def _check_layers(config: dict[str, Any], tensors: Tensors) -> None:
    """Refuse a configuration that leaves layers of the weights out: it is another model's."""
    layers = {name.split(".")[2] for name in tensors if name.startswith("encoder.layer.")}
    if config["num_hidden_layers"] != len(layers):
        raise ValueError(f"its num_hidden_layers is not {len(layers)}, as its weights have it")


def _check_pooling(file: Path) -> None:
    """Refuse what is pooled otherwise: its vectors would not be that model's."""
    if not file.exists():
        return
    # The name of the mode, or before sentence-transformers 6 a flag for each.
    config = _read_json(file)
    if config.get("pooling_mode") != "mean" and not config.get("pooling_mode_mean_tokens"):
        raise ValueError("it does not take the mean of its tokens")


def _vocabulary(tokenizer: Path) -> list[str]:
    """Give the tokens in the order of their ids."""
    import tokenizers  # noqa: PLC0415 - heavy

    try:
        vocabulary = tokenizers.Tokenizer.from_file(str(tokenizer)).get_vocab()
    except Exception as error:  # tokenizers raises nothing more precise
        raise ValueError(f"{tokenizer.name}: {error}") from error
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _encoder(config: dict[str, Any], tensors: Tensors) -> transformer_spec.TransformerEncoderSpec:
    from ctranslate2.specs import common_spec, transformer_spec  # noqa: PLC0415 - heavy

    encoder = transformer_spec.TransformerEncoderSpec(
        config["num_hidden_layers"],
        config["num_attention_heads"],
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
        num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD,
    )
    encoder.scale_embeddings = False
    _fill_embeddings(encoder, tensors)
    for index, layer in enumerate(encoder.layer):
        _fill_layer(layer, tensors, f"encoder.layer.{index}")
    return encoder


def _fill_embeddings(encoder: transformer_spec.TransformerEncoderSpec, tensors: Tensors) -> None:
    encoder.embeddings[0].weight = tensors["embeddings.word_embeddings.weight"]
    encoder.embeddings[1].weight = tensors["embeddings.token_type_embeddings.weight"]
    encoder.position_encodings.encodings = tensors["embeddings.position_embeddings.weight"]
    _fill_norm(encoder.layernorm_embedding, tensors, "embeddings.LayerNorm")


def _fill_layer(
    layer: transformer_spec.TransformerEncoderLayerSpec, tensors: Tensors, prefix: str
) -> None:
    queries_keys_values = [f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")]
    _fill_linear(layer.self_attention.linear[0], tensors, queries_keys_values)
    _fill_linear(layer.self_attention.linear[1], tensors, [f"{prefix}.attention.output.dense"])
    _fill_norm(layer.self_attention.layer_norm, tensors, f"{prefix}.attention.output.LayerNorm")
    _fill_linear(layer.ffn.linear_0, tensors, [f"{prefix}.intermediate.dense"])
    _fill_linear(layer.ffn.linear_1, tensors, [f"{prefix}.output.dense"])
    _fill_norm(layer.ffn.layer_norm, tensors, f"{prefix}.output.LayerNorm")


def _fill_linear(linear: common_spec.LinearSpec, tensors: Tensors, names: list[str]) -> None:
    linear.weight = np.concatenate([tensors[f"{name}.weight"] for name in names])
    linear.bias = np.concatenate([tensors[f"{name}.bias"] for name in names])


def _fill_norm(norm: common_spec.LayerNormSpec, tensors: Tensors, name: str) -> None:
    norm.gamma = tensors[f"{name}.weight"]
    norm.beta = tensors[f"{name}.bias"]
