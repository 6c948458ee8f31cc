"""Loads the model that was chosen, with what was chosen to run it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_embedder.embedder.conversion import converted_model
from otel_embedder.embedder.model import CTranslate2Model
from otel_embedder.embedder.weights import model_name
from otel_embedder.errors import DamagedModelError

if TYPE_CHECKING:
    from pathlib import Path

    from otel_embedder.choices import Engine
    from otel_embedder.embedder import Model


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model, and what runs it.

    Attributes:
        engine: what runs it.
        model: its name, or a directory with its files.
        cache: the directory of converted models.
        threads: how many texts are computed at the same time.

    """

    engine: Engine
    model: str
    cache: Path
    threads: int


def load_model(choice: ModelChoice) -> Model:
    """Find, convert if need be, and load a model.

    Raises:
        ModelUnavailableError: that is not possible.

    """
    try:
        return _load(choice)
    except DamagedModelError as error:
        # Disks fail. What was converted once can be converted again.
        shutil.rmtree(error.directory)
        return _load(choice)


def _load(choice: ModelChoice) -> CTranslate2Model:
    directory = converted_model(choice.model, choice.cache)
    return CTranslate2Model(directory, name=model_name(choice.model), threads=choice.threads)
