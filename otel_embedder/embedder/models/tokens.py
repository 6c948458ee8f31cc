"""How many tokens a text has for a model, which does not read beyond its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.embedder.models.conversion import converted_model
from otel_embedder.embedder.models.ctranslate2 import load_tokenizer
from otel_embedder.embedder.models.recipe import load_recipe
from otel_embedder.embedder.models.weights import TOKENIZER_FILE
from otel_embedder.errors import ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.embedder.models.choice import ModelChoice


class TokenCounter:
    """Counts as the model's own tokenizer does, its marks for beginning and end among them.

    Attributes:
        max_tokens: how many of them the model reads.

    """

    def __init__(self, choice: ModelChoice) -> None:
        """Load the tokenizer of a model.

        Raises:
            ModelUnavailableError: there is none.

        """
        directory = converted_model(choice.model, choice.cache)
        try:
            recipe = load_recipe(directory)
            self._tokenizer = load_tokenizer(directory / TOKENIZER_FILE, recipe)
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelUnavailableError(
                f"the tokenizer in {directory} does not load: {error}"
            ) from error
        self._tokenizer.no_truncation()
        self.max_tokens = recipe.max_tokens

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Give how many tokens each text has, before the model cuts it off."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts))]
