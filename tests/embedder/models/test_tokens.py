from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.embedder.models.choice import DEFAULT_MODEL, ModelChoice
from otel_embedder.embedder.models.conversion import converted_model
from otel_embedder.embedder.models.tokens import TokenCounter
from otel_embedder.embedder.models.weights import TOKENIZER_FILE
from otel_embedder.errors import ModelUnavailableError

if TYPE_CHECKING:
    from pathlib import Path


def choice(model: str | Path, cache: Path) -> ModelChoice:
    return ModelChoice("ctranslate2", str(model), cache, 1)


def test_tokens_are_counted_beyond_what_the_model_reads(tiny_bert: Path, tmp_path: Path) -> None:
    counter = TokenCounter(choice(tiny_bert, tmp_path / "cache"))

    # Its marks for beginning and end count as well.
    assert counter.counts(["", "a b", "a " * 1000]) == [2, 4, 1002]
    assert counter.max_tokens == 512


def test_a_tokenizer_that_is_damaged_is_told(tiny_bert: Path, tmp_path: Path) -> None:
    converted = converted_model(str(tiny_bert), tmp_path / "cache")
    (converted / TOKENIZER_FILE).write_text("{", encoding="utf-8")

    with pytest.raises(ModelUnavailableError, match="does not load"):
        TokenCounter(choice(tiny_bert, tmp_path / "cache"))


@pytest.mark.integration
def test_the_default_model_reads_256_tokens(model_cache: Path) -> None:
    counter = TokenCounter(choice(DEFAULT_MODEL, model_cache))

    assert counter.max_tokens == 256
    assert counter.counts(["payment times out"]) == [5]
