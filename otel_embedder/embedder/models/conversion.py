"""Converts official BERT weights to CTranslate2 int8, without torch.

The result equals that of CTranslate2's own converter, which needs torch and
transformers. It is kept in a directory named by the official files' hash and
the converter's version, so it is made once and never mistaken for another, and
sealed: see `seal`.
"""

from __future__ import annotations

import hashlib
import shutil
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from otel_embedder.embedder.models.bert import specification
from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.recipe import DEFAULT_RECIPE, RECIPE_FILE, Recipe, read_recipe
from otel_embedder.embedder.models.seal import seal
from otel_embedder.embedder.models.weights import (
    DEFAULT_MODEL_SHA256,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Weights,
    find_weights,
    is_default,
    model_name,
)
from otel_embedder.errors import DamagedModelError, ModelUnavailableError
from otel_embedder.telemetry.logs import get_logger

MODEL_CONVERTED = "model.converted"
MODEL_DAMAGED = "model.damaged"
# Raise it when this module would write something else from the same weights.
CONVERTER_VERSION = 3

# Read as a pickle, which may run any code.
PICKLED_FILE = "pytorch_model.bin"

log = get_logger()


def converted_model(model: str, cache: Path) -> Path:
    """Give the directory of the converted `model`, converting it if that was never done.

    Args:
        model: the default model's name, or a directory.
        cache: the directory of converted models.

    Raises:
        ModelUnavailableError: there are no weights, they can't be converted, or `cache` can't
            be written.

    """
    if is_default(model):
        # Its hash is known, so a start with a converted model reads no weights.
        directory = converted_path(cache, DEFAULT_MODEL, DEFAULT_MODEL_SHA256)
        if directory.is_dir():
            return directory
    else:
        _check_directory(Path(model))
    weights = find_weights(model)
    # The default's other files are known to be its own; a directory may have any.
    key = weights.sha256 if is_default(model) else _key(weights)
    directory = converted_path(cache, weights.name, key)
    if not directory.is_dir():
        _write(weights, directory)
    return directory


def remove_damaged(damage: DamagedModelError) -> None:
    """Remove a converted model that is damaged, and tell of it: it can be converted again.

    Raises:
        ModelUnavailableError: that is not possible either.

    """
    try:
        shutil.rmtree(damage.directory)
    except FileNotFoundError:
        pass  # another process was faster
    except OSError as error:
        raise ModelUnavailableError(
            f"{damage}; it can't be removed either ({error.strerror or error})"
        ) from error
    log.warning(MODEL_DAMAGED, problem=str(damage))


def converted_path(cache: Path, model: str, key: str) -> Path:
    """Give the place of a converted model, whether it is there or not."""
    converter = f"ctranslate2-{version('ctranslate2')}-{CONVERTER_VERSION}"
    return cache / f"{model_name(model)}-{key[:16]}-int8-{converter}"


def recipe_of(weights: Weights) -> Recipe:
    """Give how a model is to be run.

    Raises:
        ModelUnavailableError: its files ask for what is not supported.

    """
    if weights.name == DEFAULT_MODEL:
        return DEFAULT_RECIPE
    try:
        return read_recipe(weights.directory)
    except (OSError, TypeError, ValueError) as error:
        raise _refusal(weights.directory, error) from error


def _key(weights: Weights) -> str:
    """Give a hash of all that makes a directory's vectors what they are."""
    said = weights.fingerprint + recipe_of(weights).model_dump_json()
    return hashlib.sha256(said.encode()).hexdigest()


def _check_directory(directory: Path) -> None:
    if not directory.is_dir():
        raise ModelUnavailableError(
            f"there is no directory {directory}; the engine ctranslate2 takes {DEFAULT_MODEL} or a "
            "directory, sentence-transformers any model"
        )
    if (directory / PICKLED_FILE).is_file() and not (directory / WEIGHTS_FILE).is_file():
        raise ModelUnavailableError(
            f"the model in {directory} has {PICKLED_FILE}, which may run code when it is read, "
            f"but no {WEIGHTS_FILE}; where sentence-transformers is installed, make one with: "
            f"SentenceTransformer('{directory}').save_pretrained('{directory}')"
        )


def _refusal(directory: Path, reason: Exception) -> ModelUnavailableError:
    return ModelUnavailableError(f"the model in {directory} can't be converted: {reason}")


def _write(weights: Weights, directory: Path) -> None:
    """Convert next to the directory and rename: it is there whole or not at all."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=directory.parent, prefix=".converting-") as scratch:
            made = Path(scratch, directory.name)
            convert(weights, made)
            _publish(made, directory)
    except OSError as error:
        raise ModelUnavailableError(
            f"the converted model can't be written to {directory.parent} ({error.strerror}); "
            "set `model_cache` to a directory that can be"
        ) from error
    log.info(MODEL_CONVERTED, directory=str(directory))


def _publish(made: Path, directory: Path) -> None:
    try:
        made.rename(directory)
    except OSError:
        # Another process was faster; what it wrote is the same.
        if not directory.is_dir():
            raise


def convert(weights: Weights, directory: Path) -> None:
    """Write a CTranslate2 int8 model, with its tokenizer and its recipe, into a new directory.

    The directory must have the name that it will be found by: it is sealed with it.

    Raises:
        ModelUnavailableError: the files are not those of a BERT encoder, or ask for what is not
            supported.
        OSError: the directory can't be written.

    """
    # Imports ctranslate2, which only a process that embeds should pay for.
    from safetensors import SafetensorError  # noqa: PLC0415

    recipe = recipe_of(weights)
    try:
        spec = specification(weights.directory, recipe)
    except (TypeError, ValueError, SafetensorError) as error:
        raise _refusal(weights.directory, error) from error
    spec.optimize("int8")
    directory.mkdir()
    spec.save(str(directory))
    shutil.copyfile(weights.directory / TOKENIZER_FILE, directory / TOKENIZER_FILE)
    (directory / RECIPE_FILE).write_text(recipe.model_dump_json(), encoding="utf-8")
    seal(directory)
