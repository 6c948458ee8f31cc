"""A BERT encoder's official weights as CTranslate2's specification of an encoder.

They are checked first, since what is missing or of another shape would either
not load, or load and be another model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from otel_embedder.embedder.models.recipe import Recipe, count_in, read_json
from otel_embedder.embedder.models.weights import CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    import tokenizers
    from ctranslate2.specs import common_spec, transformer_spec

    Tensors = dict[str, npt.NDArray[np.float32]]
    # As they were saved, of any type.
    SavedTensors = dict[str, npt.NDArray[Any]]

# What a BERT encoder's configuration says, or leaves out.
SUPPORTED = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
}
# In front of all names where the weights were saved with a head on the encoder.
PREFIX = "bert."
UNKNOWN_TOKEN = "[UNK]"  # noqa: S105 - a word piece


def specification(directory: Path, recipe: Recipe) -> transformer_spec.TransformerEncoderModelSpec:
    """Give CTranslate2's view of a model's weights, in float32.

    Raises:
        TypeError, ValueError, SafetensorError: they are not those of a BERT encoder.

    """
    from ctranslate2.specs import transformer_spec  # noqa: PLC0415 - heavy
    from safetensors.numpy import load_file  # noqa: PLC0415 - heavy

    config = _supported(read_json(directory / CONFIG_FILE))
    tensors = _checked(load_file(directory / WEIGHTS_FILE), config)
    spec = transformer_spec.TransformerEncoderModelSpec(_encoder(config, tensors))
    vocabulary = _vocabulary(directory / TOKENIZER_FILE, count_in(config, "vocab_size"), recipe)
    spec.register_vocabulary(vocabulary)
    # It wants to know of one, though it is given numbers and never words.
    spec.config.unk_token = UNKNOWN_TOKEN if UNKNOWN_TOKEN in vocabulary else vocabulary[0]
    spec.config.layer_norm_epsilon = config["layer_norm_eps"]
    spec.validate()
    return spec


def _supported(config: dict[str, Any]) -> dict[str, Any]:
    for key, value in SUPPORTED.items():
        if config.get(key, value) != value:
            raise ValueError(f"its {key} is {config[key]!r}, not {value!r}")
    size, heads = count_in(config, "hidden_size"), count_in(config, "num_attention_heads")
    if size % heads:
        raise ValueError(f"its hidden_size is {size}, which {heads} heads can't share")
    if not isinstance(config.get("layer_norm_eps"), float):
        raise ValueError(f"its layer_norm_eps is {config.get('layer_norm_eps')!r}")  # noqa: TRY004
    return config


def _checked(found: SavedTensors, config: dict[str, Any]) -> Tensors:
    """Give an encoder's tensors, making sure that they are what its configuration says."""
    tensors = _without_prefix(found)
    shapes = tensor_shapes(config)
    for name in shapes:
        if name not in tensors:
            raise ValueError(f"its weights have no {name}")
    _check_layers(config, tensors)
    return {name: _tensor(name, tensors[name], shape) for name, shape in shapes.items()}


def _without_prefix(found: SavedTensors) -> SavedTensors:
    if not any(name.startswith(PREFIX) for name in found):
        return found
    return {
        name.removeprefix(PREFIX): tensor
        for name, tensor in found.items()
        if name.startswith(PREFIX)
    }


def _check_layers(config: dict[str, Any], tensors: SavedTensors) -> None:
    """Refuse a configuration that leaves layers of the weights out: it is another model's."""
    layers = {name.split(".")[2] for name in tensors if name.startswith("encoder.layer.")}
    if config["num_hidden_layers"] != len(layers):
        raise ValueError(f"its num_hidden_layers is not {len(layers)}, as its weights have it")


def _tensor(name: str, tensor: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    if tensor.shape != shape:
        raise ValueError(f"{name} is of shape {tensor.shape}, not {shape}")
    if not np.issubdtype(tensor.dtype, np.floating):
        raise ValueError(f"{name} holds {tensor.dtype}")
    return tensor.astype(np.float32, copy=False)


def tensor_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Give the shape of each tensor of a BERT encoder, by its name.

    Raises:
        ValueError: the configuration doesn't tell.

    """
    size = count_in(config, "hidden_size")
    embeddings = {
        "word_embeddings": count_in(config, "vocab_size"),
        "position_embeddings": count_in(config, "max_position_embeddings"),
        "token_type_embeddings": count_in(config, "type_vocab_size"),
    }
    shapes: dict[str, tuple[int, ...]] = {
        f"embeddings.{name}.weight": (rows, size) for name, rows in embeddings.items()
    }
    shapes |= _norm_shapes("embeddings.LayerNorm", size)
    for index in range(count_in(config, "num_hidden_layers")):
        shapes |= _layer_shapes(config, f"encoder.layer.{index}")
    return shapes


def _layer_shapes(config: dict[str, Any], layer: str) -> dict[str, tuple[int, ...]]:
    size, inner = count_in(config, "hidden_size"), count_in(config, "intermediate_size")
    linears = {
        **{f"{layer}.attention.self.{part}": (size, size) for part in ("query", "key", "value")},
        f"{layer}.attention.output.dense": (size, size),
        f"{layer}.intermediate.dense": (inner, size),
        f"{layer}.output.dense": (size, inner),
    }
    return {
        **{f"{name}.weight": shape for name, shape in linears.items()},
        **{f"{name}.bias": shape[:1] for name, shape in linears.items()},
        **_norm_shapes(f"{layer}.attention.output.LayerNorm", size),
        **_norm_shapes(f"{layer}.output.LayerNorm", size),
    }


def _norm_shapes(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _vocabulary(file: Path, size: int, recipe: Recipe) -> list[str]:
    """Give the tokens in the order of their ids; ids without one have a name of no token."""
    import tokenizers  # noqa: PLC0415 - heavy

    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises nothing more precise
        raise ValueError(f"{file.name}: {error}") from error
    _check_special_tokens(tokenizer, recipe)
    tokens = {number: token for token, number in tokenizer.get_vocab().items()}
    if max(tokens) >= size:
        raise ValueError(f"its {file.name} has {max(tokens) + 1} tokens, its weights {size}")
    return [tokens.get(number, f"[no token {number}]") for number in range(size)]


def _check_special_tokens(tokenizer: tokenizers.Tokenizer, recipe: Recipe) -> None:
    """Make sure that there are tokens to every text, the empty one too."""
    special = tokenizer.num_special_tokens_to_add(is_pair=False)
    if not special:
        raise ValueError("its tokenizer puts no special tokens around a text, as BERT's do")
    if special >= recipe.max_tokens:
        raise ValueError(f"it reads {recipe.max_tokens} tokens, and {special} are special ones")


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
