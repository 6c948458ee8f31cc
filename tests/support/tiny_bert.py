"""A model of no sense that converts and loads in milliseconds, for tests of all around it."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

import grpc
import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import grpc.aio
    from grpc_health.v1 import health_pb2
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
    )

    Check = grpc.aio.UnaryUnaryMultiCallable[
        health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    ]
    Watch = grpc.aio.UnaryStreamMultiCallable[
        health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    ]
    Context = grpc.aio.ServicerContext[ExportTraceServiceRequest, ExportTraceServiceResponse]

# Eight letters for tests of the model; the others are of what spans' texts have one of, for those
# of all around it: a text of unknown words gets a stand-in.
TINY_WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh", "[MASK]", ":"),
    *("mahavishnu", "shop", "unknown", "service", "internal", "server", "client"),
)


TINY_DIMENSION = 16


NO_CHANGES: Mapping[str, object] = MappingProxyType({})


def write_tiny_bert(
    directory: Path,
    config: Mapping[str, object] = NO_CHANGES,
    *,
    positions: int = 512,
    lowercase: bool = True,
) -> Path:
    """Write the official files of a BERT of one layer, eight words and no sense."""
    directory.mkdir(parents=True)
    write_tiny_tokenizer(directory / "tokenizer.json", lowercase=lowercase)
    config = {**TINY_CONFIG, "max_position_embeddings": positions, **config}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    random = np.random.default_rng(0)
    shapes = {**TINY_SHAPES, "embeddings.position_embeddings.weight": (positions, TINY_DIMENSION)}
    tensors = {
        name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()
    }
    save_file(tensors, directory / "model.safetensors")
    return directory


def write_tiny_tokenizer(
    file: Path, *, lowercase: bool = True, special_tokens: bool = True
) -> None:
    tokenizer = Tokenizer(WordPiece({word: index for index, word in enumerate(TINY_WORDS)}))
    tokenizer.normalizer = BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    if special_tokens:
        tokenizer.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    # As the official files have it, and as no text should be treated.
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128)
    tokenizer.save(str(file))


SETTINGS_FILES = {
    "modules": "modules.json",
    "pooling": "1_Pooling/config.json",
    "transformer": "sentence_bert_config.json",
    "tokenizer": "tokenizer_config.json",
    "settings": "config_sentence_transformers.json",
}


def write_settings(model: Path, **contents: object) -> None:
    """Write files of SETTINGS_FILES, as sentence-transformers has them beside a model's weights."""
    for kind, content in contents.items():
        file = model / SETTINGS_FILES[kind]
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content), encoding="utf-8")


def modules(*kinds: str, package: str = "sentence_transformers.models") -> list[dict[str, object]]:
    """Give what modules.json says of a model with these modules."""
    return [
        {
            "idx": index,
            "name": str(index),
            "path": "" if kind == "Transformer" else f"{index}_{kind}",
            "type": f"{package}.{kind}",
        }
        for index, kind in enumerate(kinds)
    ]


TINY_CONFIG = {
    "model_type": "bert",
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "hidden_size": TINY_DIMENSION,
    "intermediate_size": 4 * TINY_DIMENSION,
    "vocab_size": len(TINY_WORDS),
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
}


def _tiny_shapes() -> dict[str, tuple[int, ...]]:
    size, inner = TINY_DIMENSION, 4 * TINY_DIMENSION
    layer = "encoder.layer.0"
    linears = {
        **{f"{layer}.attention.self.{part}": (size, size) for part in ("query", "key", "value")},
        f"{layer}.attention.output.dense": (size, size),
        f"{layer}.intermediate.dense": (inner, size),
        f"{layer}.output.dense": (size, inner),
    }
    norms = (
        *("embeddings.LayerNorm", f"{layer}.attention.output.LayerNorm"),
        f"{layer}.output.LayerNorm",
    )
    return {
        "embeddings.word_embeddings.weight": (len(TINY_WORDS), size),
        "embeddings.token_type_embeddings.weight": (2, size),
        **{f"{name}.weight": shape for name, shape in linears.items()},
        **{f"{name}.bias": shape[:1] for name, shape in linears.items()},
        **{f"{name}.{part}": (size,) for name in norms for part in ("weight", "bias")},
    }


TINY_SHAPES = _tiny_shapes()
