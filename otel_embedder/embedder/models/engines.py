"""Loads the model that was chosen, with what was chosen to run it."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loky import cpu_count

from otel_embedder.embedder.models.choice import ModelChoice
from otel_embedder.embedder.models.conversion import converted_model, remove_damaged
from otel_embedder.embedder.models.ctranslate2 import CTranslate2Model
from otel_embedder.embedder.models.reference import check_reference
from otel_embedder.embedder.models.reviving import RevivingModel
from otel_embedder.embedder.models.sentence_transformers import SentenceTransformersModel
from otel_embedder.embedder.models.weights import (
    installed_directory,
    is_default,
    model_dimension,
    model_name,
)
from otel_embedder.errors import DamagedModelError, EmbeddingFailedError, ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.embedder.embedding import Model
    from otel_embedder.embedder.models.choice import Engine, ModelSettings


RETRY_SECONDS = 5.0
MAX_RETRY_SECONDS = 60.0
# What the hub has may stay wrong, and is 90 MB each time.
MAX_DOWNLOAD_RETRY_SECONDS = 1_800.0


def model_choice(settings: ModelSettings) -> ModelChoice:
    """Give what the settings say of the model."""
    threads = thread_count(settings.model_threads)
    return ModelChoice(settings.engine, settings.model, settings.model_cache, threads)


def thread_count(chosen: int | None) -> int:
    """Give how many texts are computed at the same time: one a CPU, if nobody has chosen."""
    return chosen or cpu_count()


def reviving_model(
    choice: ModelChoice,
    *,
    patience: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> RevivingModel:
    """Give a model that loads when it is first needed, and tries again when that failed.

    Args:
        choice: which.
        patience: seconds from the beginning of a load that texts wait for its end.
        clock: gives the time in seconds, by which a load is tried again.

    """
    is_here = Path(choice.model).is_dir() or (
        is_default(choice.model) and installed_directory() is not None
    )
    return RevivingModel(
        partial(load_model, choice),
        dimension=model_dimension(choice.model),
        retry_after=RETRY_SECONDS,
        max_retry_after=MAX_RETRY_SECONDS if is_here else MAX_DOWNLOAD_RETRY_SECONDS,
        patience=patience,
        clock=clock,
    )


def load_model(choice: ModelChoice) -> Model:
    """Find, convert if need be, and load a model.

    Raises:
        ModelUnavailableError: that is not possible.

    """
    return LOADERS[choice.engine](choice)


def _load_ctranslate2(choice: ModelChoice) -> Model:
    try:
        return _load_converted(choice)
    except DamagedModelError as error:
        # Disks fail. What was converted once can be converted again.
        remove_damaged(error)
        return _load_converted(choice)


def _load_converted(choice: ModelChoice) -> Model:
    directory = converted_model(choice.model, choice.cache)
    model = CTranslate2Model(directory, name=model_name(choice.model), threads=choice.threads)
    if is_default(choice.model):
        _check(model)
    return model


def _check(model: Model) -> None:
    try:
        check_reference(model)
    except EmbeddingFailedError as error:
        raise ModelUnavailableError(
            f"the engine computes wrong vectors on this host: {error}; does it forbid memory that "
            "is both written and run (systemd's MemoryDenyWriteExecute, SELinux' execmem)?"
        ) from error


def _load_reference(choice: ModelChoice) -> Model:
    return SentenceTransformersModel(
        choice.model, name=model_name(choice.model), threads=choice.threads
    )


LOADERS: dict[Engine, Callable[[ModelChoice], Model]] = {
    "ctranslate2": _load_ctranslate2,
    "sentence-transformers": _load_reference,
}
