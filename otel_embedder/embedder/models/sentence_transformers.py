"""The reference engine: sentence-transformers in float32, for any model that it loads.

It brings torch, takes seconds to start and is several times slower than the
default engine. Whoever wants another kind of model, or the vectors that others
compare with, takes that.
"""

from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

import numpy as np

from otel_embedder.embedder.embedding import Embedding
from otel_embedder.embedder.models.choice import DEFAULT_MODEL, REFERENCE_PACKAGE, REFERENCE_REMEDY
from otel_embedder.embedder.models.ctranslate2 import unit_length
from otel_embedder.embedder.models.recipe import DEFAULT_RECIPE
from otel_embedder.embedder.models.weights import MODEL_FILES, find_weights
from otel_embedder.embedder.stand_in import stand_in
from otel_embedder.errors import EmbeddingFailedError, ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.embedder.embedding import Vector

# Whatever type the weights were saved in: half the precision is no reference.
MODEL_OPTIONS = {"dtype": "float32"}


class Encoder(Protocol):
    """What is asked of sentence-transformers.

    Attributes:
        max_seq_length: how many tokens of a text are read.

    """

    max_seq_length: int

    def encode(self, inputs: list[str], *, batch_size: int, show_progress_bar: bool) -> Vector:
        """Give one vector a text: shape (texts, dimension)."""
        ...

    def parameters(self) -> Iterator[object]:
        """Give the weights."""
        ...


class SentenceTransformersModel:
    """A model in sentence-transformers, on the CPU. Safe to call from several threads at once.

    Each text is encoded alone. In a batch texts are padded to the longest, which
    adds up other numbers in another order: the same text would have other bits
    in other company. And by one thread: more hardly help with one text, and
    where other work wants the same CPUs, they wait for one another. For the
    whole process torch is told so.
    """

    def __init__(self, model: str, *, name: str, threads: int) -> None:
        """Load the model.

        Args:
            model: the default model, a directory, or a model's name on the hub.
            name: what its embeddings are said to come from.
            threads: how many texts may be computed at the same time.

        Raises:
            ModelUnavailableError: that library is not installed, or doesn't load the model.

        """
        if find_spec(REFERENCE_PACKAGE) is None:
            raise ModelUnavailableError(REFERENCE_REMEDY)
        self._name = name
        self._idle: SimpleQueue[Encoder] = SimpleQueue()
        for encoder in load_encoders(model, name, threads):
            self._idle.put(encoder)
        self._dimension = self._measured_dimension()

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return self._dimension

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed the texts; see `Model`."""
        if not texts:
            return []
        encoder = self._idle.get()
        try:
            unknown = without_words(getattr(encoder, "tokenizer", None), list(texts))
            vectors = encoder.encode(list(texts), batch_size=1, show_progress_bar=False)
        except (RuntimeError, TypeError, ValueError, IndexError, MemoryError) as error:
            raise EmbeddingFailedError(
                f"the model failed: {_first_line(error)}", kind=type(error).__name__
            ) from error
        finally:
            self._idle.put(encoder)
        rows = unit_length(np.asarray(vectors, np.float32))
        return [
            stand_in(text, row.size) if is_unknown else Embedding(row, self._name, "model")
            for text, row, is_unknown in zip(texts, rows, unknown, strict=True)
        ]

    def _measured_dimension(self) -> int:
        try:
            [embedding] = self.encode(["a"])
        except EmbeddingFailedError as error:
            raise ModelUnavailableError(f"{self._name} does not run: {error}") from error
        return embedding.vector.size


def without_words(tokenizer: object, texts: list[str]) -> list[bool]:
    """Tell of each text whether it has no word that the model knows.

    Of a model that reads no word pieces it is not known.

    Args:
        tokenizer: what makes tokens of a text: Hugging Face's, or whatever else.
        texts: the texts.

    """
    ids = getattr(tokenizer, "all_special_ids", None)
    if ids is None or not callable(tokenizer):
        return [False] * len(texts)
    no_words = frozenset(ids)
    tokens = tokenizer(texts, truncation=True)["input_ids"]
    return [no_words.issuperset(each) for each in tokens]


def load_encoders(model: str, name: str, threads: int) -> list[Encoder]:
    """Give as many encoders as threads; they share their weights.

    Raises:
        ModelUnavailableError: the library doesn't load the model.

    """
    directory = find_weights(model).directory if name == DEFAULT_MODEL else None
    try:
        import torch  # noqa: PLC0415 - several seconds, and half a gigabyte
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415 - heavy

        torch.set_num_threads(1)
        disable_progress_bar()  # it would go between the log's lines
        encoder = _load_any(model) if directory is None else _load_default(directory)
        return [encoder, *(_twin(encoder) for _ in range(threads - 1))]
    except Exception as error:  # its libraries' own errors, of many kinds
        raise ModelUnavailableError(
            f"sentence-transformers does not load {model}: {_first_line(error)}"
        ) from error


def _twin(encoder: Encoder) -> Encoder:
    """Copy all but the weights: one tokenizer may not serve two threads ("Already borrowed")."""
    return copy.deepcopy(encoder, {id(weights): weights for weights in encoder.parameters()})


def _load_default(directory: Path) -> Encoder:
    """Load the files that were checked and no other: the mean of the tokens, if nothing is said."""
    with TemporaryDirectory() as alone:
        for file in MODEL_FILES:
            Path(alone, file).symlink_to(directory.resolve() / file)
        encoder = _load_any(alone)
    encoder.max_seq_length = DEFAULT_RECIPE.max_tokens
    return encoder


def _load_any(model: str) -> Encoder:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - heavy

    # Of a directory, too, it would ask the hub.
    is_here = Path(model).is_dir()
    encoder: Encoder = SentenceTransformer(
        model, device="cpu", local_files_only=is_here, model_kwargs=MODEL_OPTIONS
    )
    return encoder


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
