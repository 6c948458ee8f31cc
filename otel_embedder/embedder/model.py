"""The default engine: a BERT encoder in CTranslate2, int8, without torch.

Texts are never padded. Padding costs a third of the speed and changes the
vector: in a padded batch the same text came out up to 0.002 of cosine away
from itself alone. A batch runs in groups of equal token count instead, and so
the same text has the same bits in any company.
"""

from __future__ import annotations

import math
import os
import threading
import time
from concurrent.futures import Future
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.embedder import Embedding
from otel_embedder.embedder.recipe import load_recipe
from otel_embedder.embedder.weights import TOKENIZER_FILE
from otel_embedder.errors import DamagedModelError, EmbeddingFailedError, ModelUnavailableError
from otel_embedder.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import tokenizers

    from otel_embedder.embedder import Model, Vector
    from otel_embedder.embedder.recipe import Pooling, Recipe

MODEL_LOADED = "model.loaded"
MODEL_UNAVAILABLE = "model.unavailable"

# What is taken of the tokens' vectors: shape (texts, tokens, dimension) to (texts, dimension).
POOLINGS: dict[Pooling, Callable[[Vector], Vector]] = {
    "mean": lambda hidden: hidden.mean(axis=1),
    "cls": lambda hidden: hidden[:, 0].copy(),  # else all of `hidden` is kept with it
    "max": lambda hidden: hidden.max(axis=1),
}

# More at once is no faster, but takes memory: 32 texts of 100 tokens 40 MB a
# worker, 5 of them 5 MB.
MAX_GROUP_TOKENS = 512

AVX512_FLAGS = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}

log = get_logger()


class CTranslate2Model:
    """A converted model, see `conversion`. Safe to call from several threads at once."""

    def __init__(self, directory: Path, *, name: str, threads: int) -> None:
        """Load the model.

        Args:
            directory: a converted model with its tokenizer and its recipe.
            name: what its embeddings are said to come from.
            threads: how many texts may be computed at the same time.

        Raises:
            DamagedModelError: the directory holds no model that loads.

        """
        _prefer_avx512()
        # Half a second and 60 MB: only a process that embeds should pay for it.
        import ctranslate2  # noqa: PLC0415

        self._name = name
        try:
            self._recipe = load_recipe(directory)
            self._tokenizer = load_tokenizer(directory / TOKENIZER_FILE, self._recipe)
            # One thread a text: two for one text cost 5 ms a call on a busy machine.
            self._encoder = ctranslate2.Encoder(
                str(directory), compute_type="int8", inter_threads=threads, intra_threads=1
            )
        except Exception as error:  # tokenizers raises bare Exception
            raise DamagedModelError(
                f"the model in {directory} does not load: {error}", directory=directory
            ) from error

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return self._recipe.dimension

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed the texts; see `Model`."""
        tokens = self._tokens(texts)
        vectors: dict[int, Vector] = {}
        for indices in groups_of_equal_length(tokens):
            rows = self._forward([tokens[index] for index in indices])
            vectors.update(zip(indices, rows, strict=True))
        return [Embedding(vectors[index], self._name, "model") for index in range(len(tokens))]

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        try:
            return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        except Exception as error:  # tokenizers raises nothing more precise
            raise EmbeddingFailedError(f"the tokenizer failed: {error}") from error

    def _forward(self, tokens: list[list[int]]) -> Vector:
        """Embed texts of one length: shape (texts, dimension)."""
        try:
            output = self._encoder.forward_batch(tokens).last_hidden_state
            hidden: Vector = np.asarray(output, np.float32)
        except (RuntimeError, MemoryError) as error:
            raise EmbeddingFailedError(f"the model failed: {error}") from error
        return unit_length(POOLINGS[self._recipe.pooling](hidden))


def load_tokenizer(file: Path, recipe: Recipe) -> tokenizers.Tokenizer:
    """Load a tokenizer, and let it do what the recipe says instead of what its file says.

    Raises:
        Exception: it doesn't load. tokenizers raises nothing more precise.

    """
    from tokenizers import Tokenizer, normalizers  # noqa: PLC0415 - heavy

    tokenizer = Tokenizer.from_file(str(file))
    # The default model's file ships with truncation and padding to 128.
    tokenizer.enable_truncation(recipe.max_tokens)
    tokenizer.no_padding()
    if recipe.lower_case:
        steps = [tokenizer.normalizer] if tokenizer.normalizer else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])
    return tokenizer


def unit_length(vectors: Vector) -> Vector:
    """Scale vectors, shape (texts, dimension), in place.

    Raises:
        EmbeddingFailedError: one has no direction: it is 0, or not finite.

    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise EmbeddingFailedError("the model failed: it gave a vector without a direction")
    vectors /= lengths
    return vectors


def groups_of_equal_length(tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Give the indices of `tokens` in groups of one length, of MAX_GROUP_TOKENS at most."""
    by_length = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
    for length, equal in groupby(by_length, key=lambda index: len(tokens[index])):
        indices = list(equal)
        size = max(1, MAX_GROUP_TOKENS // length)
        for start in range(0, len(indices), size):
            yield indices[start : start + size]


class LazyModel:
    """Loads a model on first use, in a thread of its own.

    A load that failed is tried again, but not before `retry_after` seconds have
    passed: meanwhile the same error answers at once and spans need not wait.
    """

    def __init__(self, load: Callable[[], Model], *, dimension: int, retry_after: float) -> None:
        """Prepare to load.

        Args:
            load: loads the model, or raises ModelUnavailableError.
            dimension: what it is taken for until the model is there.
            retry_after: seconds before a load that failed is tried again.

        """
        self._load = load
        self._dimension = dimension
        self._retry_after = retry_after
        self._lock = threading.Lock()
        self._attempt: Future[Model] | None = None
        self._next_attempt = 0.0

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed the texts, loading the model first if need be; see `Model`."""
        return self.loaded().encode(texts)

    @property
    def dimension(self) -> int:
        """How many numbers a vector has, as far as that is known."""
        attempt = self._attempt
        if attempt is None or not attempt.done() or attempt.exception():
            return self._dimension
        return attempt.result().dimension

    def loaded(self) -> Model:
        """Give the model, waiting until it is loaded.

        Raises:
            ModelUnavailableError: it can't be loaded, could not a moment ago, or was given up.

        """
        attempt = self.preload()
        try:
            return attempt.result()
        except ModelUnavailableError as error:
            # A new one for each caller: a shared one would collect all their tracebacks.
            raise ModelUnavailableError(str(error)) from None

    def preload(self) -> Future[Model]:
        """Begin to load, unless that has been done."""
        with self._lock:
            failed = self._attempt and self._attempt.done() and self._attempt.exception()
            if self._attempt is None or (failed and time.monotonic() >= self._next_attempt):
                self._attempt = Future()
                loading = threading.Thread(target=self._run, args=(self._attempt,), daemon=True)
                loading.start()
            return self._attempt

    def close(self) -> None:
        """Give up a load under way, such as a download, and try no more: nobody waits for it."""
        with self._lock:
            self._next_attempt = math.inf
            if self._attempt and not self._attempt.done():
                self._attempt.set_exception(ModelUnavailableError("the model was given up"))

    def _run(self, attempt: Future[Model]) -> None:
        started = time.monotonic()
        try:
            model = self._load()
        except BaseException as error:  # noqa: BLE001 - even a panic in Rust: it is tried again
            self._failed(attempt, str(error) or type(error).__name__)
        else:
            self._succeeded(attempt, model, time.monotonic() - started)

    def _failed(self, attempt: Future[Model], message: str) -> None:
        with self._lock:
            if not attempt.done():  # else it was given up
                self._next_attempt = time.monotonic() + self._retry_after
                log.warning(MODEL_UNAVAILABLE, error=message, retry_after=self._retry_after)
                attempt.set_exception(ModelUnavailableError(message))

    def _succeeded(self, attempt: Future[Model], model: Model, seconds: float) -> None:
        with self._lock:
            if not attempt.done():  # else it was given up
                log.info(MODEL_LOADED, seconds=round(seconds, 3))
                attempt.set_result(model)


def _prefer_avx512() -> None:
    """Let CTranslate2 use AVX-512 on AMD too, where it picks AVX2 by itself: 16 % slower."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and set(cpuinfo.read_text(encoding="utf-8").split()) >= AVX512_FLAGS:
        os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")
