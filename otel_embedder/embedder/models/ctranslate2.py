"""The default engine: a BERT encoder in CTranslate2, int8, without torch.

Texts are never padded. Padding costs a third of the speed and changes the
vector: in a padded batch the same text came out up to 0.002 of cosine away
from itself alone. A batch runs in groups of equal token count instead, and so
the same text has the same bits in any company.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.embedder.embedding import Embedding
from otel_embedder.embedder.models.recipe import load_recipe
from otel_embedder.embedder.models.seal import check_seal
from otel_embedder.embedder.models.weights import TOKENIZER_FILE
from otel_embedder.embedder.stand_in import stand_in
from otel_embedder.errors import DamagedModelError, EmbeddingFailedError, ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import tokenizers

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.embedder.models.recipe import Pooling, Recipe

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

# What a thread does to itself, by a fault of its own.
FAULTS = {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV}


class CTranslate2Model:
    """A converted model, see `conversion`. Safe to call from several threads at once."""

    def __init__(self, directory: Path, *, name: str, threads: int) -> None:
        """Load the model.

        Args:
            directory: a converted model with its tokenizer and its recipe.
            name: what its embeddings are said to come from.
            threads: how many texts may be computed at the same time.

        Raises:
            DamagedModelError: the directory does not hold what was written.
            ModelUnavailableError: it does not load all the same.

        """
        _prefer_avx512()
        # Half a second and 60 MB: only a process that embeds should pay for it.
        import ctranslate2  # noqa: PLC0415

        _require_seal(directory)
        self._name = name
        try:
            self._recipe = load_recipe(directory)
            self._tokenizer = load_tokenizer(directory / TOKENIZER_FILE, self._recipe)
            # One thread a text: two for one text cost 5 ms a call on a busy machine.
            self._unknown = unknown_ids(self._tokenizer)
            with _signals_kept_out():
                self._encoder = ctranslate2.Encoder(
                    str(directory), compute_type="int8", inter_threads=threads, intra_threads=1
                )
        except Exception as error:  # tokenizers raises bare Exception
            # It is what was written: memory may lack, or threads. To convert it again is no help.
            raise ModelUnavailableError(
                f"the model in {directory} does not load: {error}"
            ) from error

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return self._recipe.dimension

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed the texts; see `Model`."""
        tokens = self._tokens(texts)
        known = [index for index, ids in enumerate(tokens) if not self._unknown.issuperset(ids)]
        vectors: dict[int, Vector] = {}
        for group in groups_of_equal_length([tokens[index] for index in known]):
            indices = [known[place] for place in group]
            rows = self._forward([tokens[index] for index in indices])
            vectors.update(zip(indices, rows, strict=True))
        return [
            Embedding(vectors[index], self._name, "model")
            if index in vectors
            else stand_in(text, self.dimension)
            for index, text in enumerate(texts)
        ]

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        try:
            return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        except Exception as error:  # tokenizers raises nothing more precise
            raise EmbeddingFailedError(
                f"the tokenizer failed: {error}", kind=type(error).__name__
            ) from error

    def _forward(self, tokens: list[list[int]]) -> Vector:
        """Embed texts of one length: shape (texts, dimension)."""
        try:
            output = self._encoder.forward_batch(tokens).last_hidden_state
            hidden: Vector = np.asarray(output, np.float32)
        except (RuntimeError, MemoryError) as error:
            raise EmbeddingFailedError(
                f"the model failed: {error}", kind=type(error).__name__
            ) from error
        return unit_length(POOLINGS[self._recipe.pooling](hidden))


def _require_seal(directory: Path) -> None:
    try:
        check_seal(directory)
    except (OSError, ValueError) as error:
        raise DamagedModelError(
            f"the model in {directory} does not load: {error}", directory=directory
        ) from error


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


def unknown_ids(tokenizer: tokenizers.Tokenizer) -> frozenset[int]:
    """Give the ids of tokens that are no word: those around a text, and that of unknown words."""
    unknown = getattr(tokenizer.model, "unk_token", None)
    unknown_id = None if unknown is None else tokenizer.token_to_id(unknown)
    around = tokenizer.encode("").ids
    return frozenset(around if unknown_id is None else [*around, unknown_id])


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


def _prefer_avx512() -> None:
    """Let CTranslate2 use AVX-512 on AMD too, where it picks AVX2 by itself: 16 % slower."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and set(cpuinfo.read_text(encoding="utf-8").split()) >= AVX512_FLAGS:
        os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")


@contextmanager
def _signals_kept_out() -> Iterator[None]:
    """Let threads that are begun here never handle a signal.

    oneDNN's matrix multiplication does not bear one: under a profiler's SIGPROF each 2 ms the heap
    was damaged and the process aborted, nine times of nine. Other threads handle them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - FAULTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
