from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.embedder.models.choice import ModelSettings
from tests.support.settings import problem_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("engine", "torch"),
        ("model", "missing"),
        ("model_threads", "0"),
        ("model_threads", "1025"),
        ("preload", "maybe"),
    ],
)
def test_a_wrong_value_is_the_one_problem(field: str, value: str) -> None:
    assert problem_of(ModelSettings, **{field: value}).startswith(f"{field}: ")


def test_a_model_may_be_a_directory(tmp_path: Path) -> None:
    assert ModelSettings(model=str(tmp_path)).model == str(tmp_path)


def test_the_default_model_may_be_called_as_the_hub_does() -> None:
    model = "sentence-transformers/all-MiniLM-L6-v2"

    assert ModelSettings(model=model).model == model


def test_the_default_engine_takes_no_other_model_of_the_hub() -> None:
    assert problem_of(ModelSettings, model="BAAI/bge-small-en-v1.5").startswith(
        "model: must be all-MiniLM-L6-v2 or an existing directory"
    )


@pytest.mark.parametrize("model", ["all-MiniLM-L6-v2", "BAAI/bge-small-en-v1.5"])
def test_an_engine_that_is_not_installed_is_the_one_problem_and_says_what_to_do(model: str) -> None:
    """`make test-reference` tries it where it is installed."""
    assert problem_of(ModelSettings, engine="sentence-transformers", model=model) == (
        "engine: sentence-transformers is not installed: "
        "pip install 'otel-embedder[sentence-transformers]'"
    )


def test_a_million_threads_are_refused_with_what_to_do() -> None:
    assert problem_of(ModelSettings, model_threads="1000000") == (
        "model_threads: must be at most 1024; more than there are CPUs are of no use"
    )
    assert ModelSettings(model_threads=1_024).model_threads == 1_024
