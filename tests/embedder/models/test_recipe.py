"""What sentence-transformers' files say of a model, and what of it is refused.

`test_reference` compares with what that library makes of the same files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_embedder.embedder.models.recipe import (
    DEFAULT_RECIPE,
    RECIPE_FILE,
    Recipe,
    load_recipe,
    read_recipe,
)
from otel_embedder.embedder.models.weights import installed_directory
from tests.support.tiny_bert import (
    SETTINGS_FILES,
    TINY_DIMENSION,
    modules,
    write_settings,
    write_tiny_bert,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture
def tiny_bert(tmp_path: Path) -> Path:
    return write_tiny_bert(tmp_path / "tiny-bert")


def refusal(model: Path) -> str:
    with pytest.raises(ValueError, match=r"^(its|it is) ") as caught:
        read_recipe(model)
    return str(caught.value)


def test_files_that_are_not_there_leave_the_mean_of_as_many_tokens_as_there_are_positions(
    tiny_bert: Path,
) -> None:
    assert read_recipe(tiny_bert) == Recipe(
        pooling="mean", max_tokens=512, lower_case=False, dimension=TINY_DIMENSION
    )


@pytest.mark.parametrize(
    ("settings", "pooling"),
    [
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": "max"}, "max"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"pooling_mode": "mean_sqrt_len_tokens"}, "mean"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "mean"),
        ({"pooling_mode": "cls", "pooling_mode_mean_tokens": True}, "cls"),
        ({"word_embedding_dimension": 16}, "mean"),
    ],
    ids=str,
)
def test_pooling_is_what_its_settings_say_in_either_spelling(
    tiny_bert: Path, settings: Mapping[str, object], pooling: str
) -> None:
    write_settings(tiny_bert, pooling=settings)

    assert read_recipe(tiny_bert).pooling == pooling


@pytest.mark.parametrize(
    "settings",
    [
        {"pooling_mode": "lasttoken"},
        {"pooling_mode": "weightedmean"},
        {"pooling_mode": ["cls", "mean"]},
        {"pooling_mode": []},
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
        {"pooling_mode_lasttoken": True},
        {"pooling_mode_weightedmean_tokens": True},
    ],
    ids=str,
)
def test_pooling_that_is_not_supported_is_named(
    tiny_bert: Path, settings: Mapping[str, object]
) -> None:
    write_settings(tiny_bert, pooling=settings)
    said = refusal(tiny_bert)

    assert said.startswith("its pooling is ")
    assert said.endswith("; supported is one of mean, mean_sqrt_len_tokens, cls, max")


def test_two_ways_of_pooling_are_both_named(tiny_bert: Path) -> None:
    write_settings(tiny_bert, pooling={"pooling_mode": ["cls", "mean"]})

    assert "cls and mean" in refusal(tiny_bert)


@pytest.mark.parametrize(
    "package",
    ["sentence_transformers.models", "sentence_transformers.sentence_transformer.modules.pooling"],
)
@pytest.mark.parametrize("last", [(), ("Normalize",)], ids=["as it is", "normalized"])
def test_the_modules_of_any_release_are_known(
    tiny_bert: Path, package: str, last: tuple[str, ...]
) -> None:
    listed = modules("Transformer", "Pooling", *last, package=package)
    write_settings(tiny_bert, modules=listed, pooling={"pooling_mode": "cls"})

    assert read_recipe(tiny_bert).pooling == "cls"


def test_the_settings_of_pooling_are_where_the_modules_say(tiny_bert: Path) -> None:
    listed = modules("Transformer", "Pooling")
    listed[1]["path"] = "elsewhere"
    write_settings(tiny_bert, modules=listed, pooling={"pooling_mode": "cls"})
    (tiny_bert / "1_Pooling").rename(tiny_bert / "elsewhere")

    assert read_recipe(tiny_bert).pooling == "cls"


def test_a_pooling_module_must_have_its_settings(tiny_bert: Path) -> None:
    write_settings(tiny_bert, modules=modules("Transformer", "Pooling"))

    with pytest.raises(FileNotFoundError, match="1_Pooling"):
        read_recipe(tiny_bert)


@pytest.mark.parametrize("kind", ["Dense", "LayerNorm", "Dropout", "WordWeights"])
def test_a_module_that_is_not_supported_is_named(tiny_bert: Path, kind: str) -> None:
    write_settings(tiny_bert, modules=modules("Transformer", "Pooling", kind), pooling={})

    assert f"sentence_transformers.models.{kind} is not supported" in refusal(tiny_bert)


def test_a_module_of_somebody_elses_is_refused_whatever_it_is_called(tiny_bert: Path) -> None:
    listed = modules("Transformer", package="custom_bert") + modules("Transformer", "Pooling")[1:]
    write_settings(tiny_bert, modules=listed, pooling={})

    assert "its module custom_bert.Transformer is not supported" in refusal(tiny_bert)


@pytest.mark.parametrize(
    "kinds",
    [
        (),
        ("Transformer",),
        ("Pooling", "Transformer"),
        ("Transformer", "Normalize", "Pooling"),
        ("Transformer", "Pooling", "Normalize", "Normalize"),
    ],
    ids=str,
)
def test_modules_that_lack_one_or_are_out_of_order_are_refused(
    tiny_bert: Path, kinds: tuple[str, ...]
) -> None:
    write_settings(tiny_bert, modules=modules(*kinds), pooling={})

    assert ", ".join(kinds) in refusal(tiny_bert)


def test_a_transformer_in_a_directory_of_its_own_is_refused(tiny_bert: Path) -> None:
    listed = modules("Transformer", "Pooling")
    listed[0]["path"] = "0_Transformer"
    write_settings(tiny_bert, modules=listed, pooling={})

    assert "its transformer is in 0_Transformer" in refusal(tiny_bert)


@pytest.mark.parametrize(
    ("transformer", "tokenizer", "tokens"),
    [
        ({"max_seq_length": 128}, {"model_max_length": 256}, 128),
        ({"max_seq_length": None}, {"model_max_length": 256}, 256),
        ({}, {"model_max_length": 256}, 256),
        ({"max_seq_length": 4096}, {}, 512),
        # What a tokenizer says that knows no limit.
        ({}, {"model_max_length": 1000000000000000019884624838656}, 512),
        ({}, {}, 512),
    ],
    ids=str,
)
def test_a_text_is_cut_as_the_files_say_and_never_beyond_the_positions(
    tiny_bert: Path, transformer: Mapping[str, object], tokenizer: Mapping[str, object], tokens: int
) -> None:
    write_settings(tiny_bert, transformer=transformer, tokenizer=tokenizer)

    assert read_recipe(tiny_bert).max_tokens == tokens


@pytest.mark.parametrize("length", ["many", -1, [5]], ids=str)
def test_a_length_that_is_none_is_refused(tiny_bert: Path, length: object) -> None:
    write_settings(tiny_bert, transformer={"max_seq_length": length})

    assert refusal(tiny_bert) == f"it is said to read {length!r} tokens"


@pytest.mark.parametrize("lower_case", [True, False])
def test_lower_case_is_what_the_transformer_says(tiny_bert: Path, *, lower_case: bool) -> None:
    write_settings(tiny_bert, transformer={"do_lower_case": lower_case})

    assert read_recipe(tiny_bert).lower_case is lower_case


def test_what_changes_nothing_may_be_said(tiny_bert: Path) -> None:
    """As sentence-transformers 5 and 6 write it."""
    write_settings(
        tiny_bert,
        transformer={
            "transformer_task": "feature-extraction",
            "modality_config": {
                "text": {"method": "forward", "method_output_name": "last_hidden_state"}
            },
            "module_output_name": "token_embeddings",
            "unpad_inputs": False,
            "model_args": {},
        },
        settings={
            "model_type": "SentenceTransformer",
            "__version__": {"sentence_transformers": "6.2.0"},
            "prompts": {"query": "", "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )

    assert read_recipe(tiny_bert).pooling == "mean"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("transformer_task", "fill-mask"),
        ("module_output_name", "sentence_embedding"),
        ("processing_kwargs", {"text": {"max_length": 8}}),
        ("tokenizer_args", {"model_max_length": 8}),
        ("query_expansion", {"length": 32}),
    ],
)
def test_settings_of_the_transformer_that_are_not_supported_are_named(
    tiny_bert: Path, key: str, value: object
) -> None:
    write_settings(tiny_bert, transformer={key: value})

    assert refusal(tiny_bert) == f"its sentence_bert_config.json sets {key}, which is not supported"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"default_prompt_name": "query"}, "its default_prompt_name is 'query'"),
        ({"truncate_dim": 8}, "its truncate_dim is 8"),
        ({"model_type": "SparseEncoder"}, "it is a SparseEncoder, not a SentenceTransformer"),
        ({"similarity_fn_name": "dot"}, "compared by 'dot', which unit length would change"),
        ({"similarity_fn_name": "euclidean"}, "compared by 'euclidean'"),
    ],
    ids=str,
)
def test_what_would_make_other_vectors_is_refused(
    tiny_bert: Path, settings: Mapping[str, object], reason: str
) -> None:
    write_settings(tiny_bert, settings=settings)

    assert reason in refusal(tiny_bert)


@pytest.mark.parametrize("similarity", ["dot", "euclidean"])
def test_any_similarity_will_do_for_vectors_that_are_of_unit_length_already(
    tiny_bert: Path, similarity: str
) -> None:
    listed = modules("Transformer", "Pooling", "Normalize")
    write_settings(
        tiny_bert, modules=listed, pooling={}, settings={"similarity_fn_name": similarity}
    )

    assert read_recipe(tiny_bert).pooling == "mean"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"do_lower_case": False}, "do_lower_case False"),
        ({"strip_accents": False}, "strip_accents False"),
        ({"tokenize_chinese_chars": False, "tokenizer_class": "BertTokenizer"}, "handle_chinese"),
    ],
    ids=str,
)
def test_tokenizer_files_that_disagree_are_refused(
    tiny_bert: Path, settings: Mapping[str, object], reason: str
) -> None:
    write_settings(tiny_bert, tokenizer=settings)
    said = refusal(tiny_bert)

    assert said.startswith("its tokenizer.json has ")
    assert "but its tokenizer_config.json has " in said
    assert reason in said


def test_a_cased_tokenizer_must_say_so_in_both_of_its_files(tmp_path: Path) -> None:
    model = write_tiny_bert(tmp_path / "tiny-bert", lowercase=False)

    assert refusal(model).endswith("has do_lower_case True by default")
    write_settings(model, tokenizer={"do_lower_case": False})
    assert read_recipe(model).lower_case is False


def test_a_tokenizer_that_is_taken_as_its_file_has_it_need_not(tmp_path: Path) -> None:
    model = write_tiny_bert(tmp_path / "tiny-bert", lowercase=False)
    write_settings(model, tokenizer={"tokenizer_class": "PreTrainedTokenizerFast"})

    assert read_recipe(model).lower_case is False


@pytest.mark.parametrize("file", SETTINGS_FILES)
@pytest.mark.parametrize("content", ["text", [], 3, None], ids=str)
def test_a_file_that_holds_something_else_is_named(
    tiny_bert: Path, file: str, content: object
) -> None:
    write_settings(tiny_bert, **{file: content})

    name = "modules" if content == [] and file == "modules" else Path(SETTINGS_FILES[file]).name
    assert refusal(tiny_bert).startswith(f"its {name} ")


def test_a_file_that_is_no_json_is_named(tiny_bert: Path) -> None:
    (tiny_bert / "config.json").write_text("{", encoding="utf-8")

    assert refusal(tiny_bert).startswith("its config.json is not JSON: ")


@pytest.mark.parametrize("key", ["hidden_size", "max_position_embeddings"])
@pytest.mark.parametrize("value", [None, 0, "many", 1.5], ids=str)
def test_a_number_that_the_configuration_lacks_is_named(
    tmp_path: Path, key: str, value: object
) -> None:
    model = write_tiny_bert(tmp_path / "tiny-bert", {key: value})

    assert refusal(model) == f"its config.json gives {value!r} as {key}"


@pytest.mark.integration
def test_the_default_models_own_files_say_what_we_take_for_granted() -> None:
    directory = installed_directory()

    assert directory is not None
    assert (directory / "modules.json").exists()
    assert read_recipe(directory) == DEFAULT_RECIPE


def test_a_recipe_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / RECIPE_FILE).write_text(DEFAULT_RECIPE.model_dump_json(), encoding="utf-8")

    assert load_recipe(tmp_path) == DEFAULT_RECIPE


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{}",
        '{"pooling":"mean","max_tokens":256,"lower_case":false}',
        '{"pooling":"sum","max_tokens":256,"lower_case":false,"dimension":384}',
        '{"pooling":"mean","max_tokens":0,"lower_case":false,"dimension":384}',
        '{"pooling":"mean","max_tokens":256,"lower_case":"no","dimension":384}',
    ],
)
def test_a_damaged_recipe_is_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / RECIPE_FILE).write_text(damage, encoding="utf-8")

    with pytest.raises(ValueError, match=r"its embedding\.json is damaged"):
        load_recipe(tmp_path)
