"""Tells, check by check, whether a model is what it should be, and makes a damaged one anew.

A converted model may be damaged and load all the same: what it embeds is then
wrong by an unknown amount. So it is compared with the official files, converted
once more, byte by byte.
"""

from __future__ import annotations

import filecmp
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.conversion import (
    convert,
    converted_model,
    converted_path,
    remove_damaged,
)
from otel_embedder.embedder.models.ctranslate2 import CTranslate2Model
from otel_embedder.embedder.models.engines import load_model
from otel_embedder.embedder.models.reference import check_reference
from otel_embedder.embedder.models.weights import (
    DEFAULT_MODEL_SHA256,
    find_weights,
    is_default,
    model_name,
)
from otel_embedder.errors import (
    DamagedModelError,
    EmbeddingError,
    EmbeddingFailedError,
    ModelUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from otel_embedder.embedder.embedding import Model
    from otel_embedder.embedder.models.choice import ModelChoice
    from otel_embedder.embedder.models.weights import Weights

Outcome = TypeVar("Outcome")

LENGTH_TOLERANCE = 1e-3

# Some have equally many tokens, and so run together in company.
TEXTS = tuple(
    f"shop {operation} ERROR out of stock in 40ms attributes: {attribute}=blue"
    for operation in ("order", "pay", "look up the price of")
    for attribute in ("colour", "size", "kind of teapot")
)


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked, and what is wrong with it.

    Attributes:
        name: what was checked.
        problem: what is wrong, with a remedy if there is one; None if all is well.

    """

    name: str
    problem: str | None


def verify(choice: ModelChoice, *, repair: bool) -> Iterator[Check]:
    """Make one check after the other, up to those that need what failed.

    Args:
        choice: the model, and what runs it; only CTranslate2 runs a converted one.
        repair: whether to convert a damaged model anew.

    """
    load: Callable[[], Model] = partial(load_model, choice)
    if choice.engine == "ctranslate2":
        directory = yield from _verify_files(choice.model, choice.cache, repair=repair)
        if directory is None:
            return
        name = model_name(choice.model)
        # Not by `load_model`, which would replace a damaged model without a word.
        load = partial(CTranslate2Model, directory, name=name, threads=choice.threads)
    model, check = _attempt("loading", load)
    yield check
    if model is not None:
        yield from embedding_checks(model, model_name(choice.model))


def _verify_files(model: str, cache: Path, *, repair: bool) -> Generator[Check, None, Path | None]:
    """Check official and converted files; give the directory of the converted ones."""
    weights, check = _attempt("official files", partial(find_weights, model))
    yield check
    if weights is None:
        return _converted_before(model, cache)
    directory, check = _attempt(
        "converted model", partial(_undamaged, model, cache, weights, repair=repair)
    )
    yield check
    return directory


def embedding_checks(model: Model, name: str) -> Iterator[Check]:
    """Check what a model of this name embeds; the default one beside the reference, too."""
    yield _attempt("unit length", partial(_check_length, model))[1]
    yield _attempt("same bits alone and in company", partial(_check_company, model))[1]
    if name == DEFAULT_MODEL:
        yield _attempt("reference vector", partial(check_reference, model))[1]


def _attempt(name: str, step: Callable[[], Outcome]) -> tuple[Outcome | None, Check]:
    try:
        return step(), Check(name, None)
    except EmbeddingError as error:
        return None, Check(name, str(error))


def _converted_before(model: str, cache: Path) -> Path | None:
    """Give the directory of a converted model that is found without its official files."""
    directory = converted_path(cache, DEFAULT_MODEL, DEFAULT_MODEL_SHA256)
    return directory if is_default(model) and directory.is_dir() else None


def _undamaged(model: str, cache: Path, weights: Weights, *, repair: bool) -> Path:
    """Give the directory of the converted model, converting it if need be.

    Raises:
        DamagedModelError: it is not what the official files convert to.
        ModelUnavailableError: it can't be converted, compared or removed.

    """
    directory = converted_model(model, cache)
    damaged = _damaged_files(weights, directory)
    if not damaged:
        return directory
    problem = f"{directory} is not what the official files convert to, in {', '.join(damaged)}"
    if not repair:
        raise DamagedModelError(f"{problem}; --repair converts them anew", directory=directory)
    remove_damaged(DamagedModelError(problem, directory=directory))
    return converted_model(model, cache)


def _damaged_files(weights: Weights, directory: Path) -> list[str]:
    try:
        with TemporaryDirectory() as scratch:
            fresh = Path(scratch, directory.name)
            convert(weights, fresh)
            names = sorted(file.name for file in fresh.iterdir())
            same, _, _ = filecmp.cmpfiles(fresh, directory, names, shallow=False)
    except OSError as error:
        raise ModelUnavailableError(
            f"there is no place to convert the model for comparison: {error}"
        ) from error
    return [name for name in names if name not in same]


def _check_length(model: Model) -> None:
    lengths = [float(np.linalg.norm(embedding.vector)) for embedding in model.encode(TEXTS)]
    wrong = [length for length in lengths if not abs(length - 1) <= LENGTH_TOLERANCE]
    if wrong:
        raise EmbeddingFailedError(f"a vector has length {wrong[0]}, not 1")


def _check_company(model: Model) -> None:
    for text, in_company in zip(TEXTS, model.encode(TEXTS), strict=True):
        [alone] = model.encode([text])
        if alone.vector.tobytes() != in_company.vector.tobytes():
            raise EmbeddingFailedError(f"{text!r} has another vector alone than in company")
