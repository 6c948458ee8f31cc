"""What is done with a text beside the encoder: how it is cut, and how its tokens become a vector.

sentence-transformers spreads that over half a dozen files. It is read from them
when a model is converted, and goes beside what was converted in one file. What
they ask for and we don't do is refused: the vector would not be that model's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, PositiveInt, TypeAdapter, ValidationError

from otel_embedder.embedder.models.weights import CONFIG_FILE, DEFAULT_DIMENSION, TOKENIZER_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Pooling = Literal["mean", "cls", "max"]

RECIPE_FILE = "embedding.json"

MODULES_FILE = "modules.json"
MODEL_SETTINGS_FILE = "config_sentence_transformers.json"
TRANSFORMER_FILE = "sentence_bert_config.json"
TOKENIZER_SETTINGS_FILE = "tokenizer_config.json"
POOLING_DIRECTORY = "1_Pooling"

KINDS = ("Transformer", "Pooling", "Normalize")
# Divided by the root of the length or by the length itself, a sum points the same way.
POOLINGS: dict[str, Pooling] = {
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean",
    "cls": "cls",
    "max": "max",
}
# How older releases of sentence-transformers write it: a flag for each mode.
POOLING_FLAGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

# What TRANSFORMER_FILE may say beside what we read: all that changes nothing.
PLAIN_TRANSFORMER = {
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}
READ_OR_HARMLESS = {"max_seq_length", "do_lower_case", "unpad_inputs"}

# These tokenizers are made of TOKENIZER_SETTINGS_FILE, whatever TOKENIZER_FILE says of it. None
# stands for a file that doesn't tell the class: it is the model's own then.
BERT_TOKENIZERS = {"BertTokenizer", "BertTokenizerFast", None}
# What their settings are called in either file, and what they are if nobody says.
TOKENIZER_SETTINGS = (
    ("do_lower_case", "lowercase", True),
    ("strip_accents", "strip_accents", None),
    ("tokenize_chinese_chars", "handle_chinese_chars", True),
)


class Recipe(BaseModel):
    """How a converted model is to be run.

    Attributes:
        pooling: what is taken of the tokens' vectors.
        max_tokens: how many tokens of a text are read, special ones included.
        lower_case: whether a text is put into lower case, whatever its tokenizer does.
        dimension: how many numbers a vector has.

    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    pooling: Pooling
    max_tokens: PositiveInt
    lower_case: bool
    dimension: PositiveInt


class Module(BaseModel):
    """An entry of MODULES_FILE.

    Attributes:
        type: the module's class, dotted; the dots have changed between releases.
        path: where its own files are, from the model's directory.

    """

    type: str
    path: str

    def kind(self) -> str:
        """Give the class's name.

        Raises:
            ValueError: we don't do what it does.

        """
        package, _, kind = self.type.rpartition(".")
        is_theirs = package.partition(".")[0] == "sentence_transformers"
        if not is_theirs or kind not in KINDS:
            raise ValueError(
                f"its module {self.type} is not supported; {', '.join(KINDS)} of "
                "sentence_transformers are"
            )
        return kind


# It was trained on 256 word pieces. What its files say is not asked: the official ones tell the
# tokenizer 128 and 512 as well, and all vectors of its name must compare.
DEFAULT_RECIPE = Recipe(
    pooling="mean", max_tokens=256, lower_case=False, dimension=DEFAULT_DIMENSION
)


def load_recipe(directory: Path) -> Recipe:
    """Give the recipe that lies beside a converted model.

    Raises:
        ValueError: it is damaged.
        OSError: it can't be read.

    """
    try:
        return Recipe.model_validate_json((directory / RECIPE_FILE).read_bytes())
    except ValidationError as error:
        raise ValueError(f"its {RECIPE_FILE} is damaged") from error


def read_recipe(directory: Path) -> Recipe:
    """Read what a model's official files say.

    Files that are not there say nothing: it is the mean then, of as many tokens
    as there are positions.

    Raises:
        ValueError: what they say is not supported, or not said.
        OSError: one can't be read.

    """
    config = read_json(directory / CONFIG_FILE)
    transformer = _read_if_there(directory / TRANSFORMER_FILE)
    tokenizer = _read_if_there(directory / TOKENIZER_SETTINGS_FILE)
    modules = _read_modules(directory)
    _check_settings(
        _read_if_there(directory / MODEL_SETTINGS_FILE), is_normalized="Normalize" in modules
    )
    _check_transformer(transformer)
    _check_tokenizer(read_json(directory / TOKENIZER_FILE), tokenizer)
    return Recipe(
        pooling=_read_pooling(directory, modules),
        max_tokens=_max_tokens(transformer, tokenizer, count_in(config, "max_position_embeddings")),
        lower_case=bool(transformer.get("do_lower_case")),
        dimension=count_in(config, "hidden_size"),
    )


def read_json(file: Path) -> dict[str, Any]:
    """Give the settings in a file.

    Raises:
        ValueError: it holds something else.
        OSError: it can't be read.

    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"its {file.name} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"its {file.name} holds no settings")  # noqa: TRY004 - as all reasons
    return content


def count_in(config: Mapping[str, object], key: str) -> int:
    """Give a number of things from a model's configuration.

    Raises:
        ValueError: it is not there, or no such number.

    """
    count = config.get(key)
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"its {CONFIG_FILE} gives {count!r} as {key}")
    return count


def _read_if_there(file: Path) -> dict[str, Any]:
    return read_json(file) if file.exists() else {}


def _read_modules(directory: Path) -> dict[str, Path]:
    """Give the place of each module's own files, by the module's kind."""
    file = directory / MODULES_FILE
    if not file.exists():
        return {}
    try:
        modules = TypeAdapter(list[Module]).validate_json(file.read_bytes())
    except ValidationError as error:
        raise ValueError(f"its {MODULES_FILE} lists no modules") from error
    kinds = [module.kind() for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ValueError(f"its modules are {', '.join(kinds) or 'none'}: not all, or not in order")
    if modules[0].path:
        raise ValueError(f"its transformer is in {modules[0].path}, not beside {MODULES_FILE}")
    return {kind: directory / module.path for kind, module in zip(kinds, modules, strict=True)}


def _check_settings(settings: Mapping[str, object], *, is_normalized: bool) -> None:
    """Refuse what would be lost or changed by unit length, which all our vectors have."""
    kind = settings.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise ValueError(f"it is a {kind}, not a SentenceTransformer")
    for key in ("default_prompt_name", "truncate_dim"):
        if settings.get(key):
            raise ValueError(f"its {key} is {settings[key]!r}, which is not supported")
    similarity = settings.get("similarity_fn_name") or "cosine"
    if similarity != "cosine" and not is_normalized:
        raise ValueError(
            f"its vectors are compared by {similarity!r}, which unit length would change; it has "
            "no module Normalize"
        )


def _check_transformer(settings: Mapping[str, object]) -> None:
    for key, value in settings.items():
        is_plain = not value or value == PLAIN_TRANSFORMER.get(key)
        if key not in READ_OR_HARMLESS and not is_plain:
            raise ValueError(f"its {TRANSFORMER_FILE} sets {key}, which is not supported")


def _check_tokenizer(tokenizer: Mapping[str, Any], settings: Mapping[str, object]) -> None:
    """Refuse a tokenizer that is one here and another in sentence-transformers."""
    normalizer = tokenizer.get("normalizer")
    is_bert = settings.get("tokenizer_class") in BERT_TOKENIZERS
    if not is_bert or not isinstance(normalizer, dict) or normalizer["type"] != "BertNormalizer":
        return
    for key, name, default in TOKENIZER_SETTINGS:
        here, there = normalizer.get(name), settings.get(key, default)
        if here != there:
            raise ValueError(
                f"its {TOKENIZER_FILE} has {name} {here}, but its {TOKENIZER_SETTINGS_FILE} has "
                f"{key} {there}{'' if key in settings else ' by default'}"
            )


def _read_pooling(directory: Path, modules: Mapping[str, Path]) -> Pooling:
    place = modules.get("Pooling", directory / POOLING_DIRECTORY)
    if not modules and not place.exists():
        return "mean"
    modes = _pooling_modes(read_json(place / CONFIG_FILE))
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise ValueError(
            f"its pooling is {' and '.join(map(str, modes))}; supported is one of "
            f"{', '.join(POOLINGS)}"
        )
    return POOLINGS[modes[0]]


def _pooling_modes(config: Mapping[str, Any]) -> list[str]:
    named = config.get("pooling_mode")
    if isinstance(named, list):
        return named
    flagged = [mode for flag, mode in POOLING_FLAGS.items() if config.get(flag)]
    return [named] if named else flagged or ["mean"]


def _max_tokens(
    transformer: Mapping[str, object], tokenizer: Mapping[str, object], positions: int
) -> int:
    said = transformer.get("max_seq_length") or tokenizer.get("model_max_length") or positions
    if not isinstance(said, int | float) or said < 1:
        raise ValueError(f"it is said to read {said!r} tokens")
    return int(min(said, positions))
