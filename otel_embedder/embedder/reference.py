"""The reference engine: sentence-transformers in float32, for any model that it loads.

It brings torch, takes seconds to start and is several times slower than the
default engine. Whoever wants another kind of model, or the vectors that others
compare with, takes that.
"""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

import numpy as np

from otel_embedder.choices import DEFAULT_MODEL, REFERENCE_PACKAGE, REFERENCE_REMEDY
from otel_embedder.embedder import Embedding
from otel_embedder.embedder.model import unit_length
from otel_embedder.embedder.recipe import DEFAULT_RECIPE
from otel_embedder.embedder.weights import MODEL_FILES, find_weights
from otel_embedder.errors import EmbeddingFailedError, ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.embedder import Vector

# Whatever type the weights were saved in: half the precision is no reference.
MODEL_OPTIONS = {"dtype": "float32"}


class Encoder(Protocol):
    """What is asked of sentence-transformers.

    Attributes:
        max_seq_length: how many tokens of a text are read.

    """

    max_seq_length: int

    def encode(self, inputs: list[str], *, batch_size: int, show_progress_bar: bool) -> Vector:
        """Give one vector a text: shape (texts, dimension), or (0,) for none."""
        ...


class SentenceTransformersModel:
    """A model in sentence-transformers, on the CPU. Safe to call from several threads at once.

    Each text is encoded alone. In a batch texts are padded to the longest, which
    adds up other numbers in another order: the same text would have other bits
    in other company.
    """

    def __init__(self, model: str, *, name: str, threads: int) -> None:
        """Load the model.

        Args:
            model: the default model, a directory, or a model's name on the hub.
            name: what its embeddings are said to come from.
            threads: how many threads compute a text.

        Raises:
            ModelUnavailableError: that library is not installed, or doesn't load the model.

        """
        if find_spec(REFERENCE_PACKAGE) is None:
            raise ModelUnavailableError(REFERENCE_REMEDY)
        self._name = name
        # Its tokenizers are not to be called from two threads at once ("Already borrowed").
        self._lock = threading.Lock()
        self._encoder = _load(model, name, threads)
        self._dimension = len(self._encode(["a"])[0])

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return self._dimension

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed the texts; see `Model`."""
        if not texts:
            return []
        try:
            vectors = self._encode(list(texts))
        except (RuntimeError, TypeError, ValueError, IndexError, MemoryError) as error:
            raise EmbeddingFailedError(f"the model failed: {_first_line(error)}") from error
        return [Embedding(vector, self._name, "model") for vector in unit_length(vectors)]

    def _encode(self, texts: list[str]) -> Vector:
        with self._lock:
            vectors = self._encoder.encode(texts, batch_size=1, show_progress_bar=False)
        return np.asarray(vectors, np.float32)


def _load(model: str, name: str, threads: int) -> Encoder:
    directory = find_weights(model).directory if name == DEFAULT_MODEL else None
    try:
        import torch  # noqa: PLC0415 - several seconds, and half a gigabyte
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415 - heavy

        disable_progress_bar()  # it would go between the log's lines
        # It would count the machine's CPUs, not those that this process may use.
        torch.set_num_threads(threads)
        return _load_any(model) if directory is None else _load_default(directory)
    except Exception as error:  # its libraries' own errors, of many kinds
        raise ModelUnavailableError(
            f"sentence-transformers does not load {model}: {_first_line(error)}"
        ) from error


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
