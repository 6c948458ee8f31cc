"""Tells which models' files are on this machine, and downloads none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.conversion import converted_path
from otel_embedder.embedder.models.weights import HUB_REPOSITORY, MODEL_FILES, installed_directory
from otel_embedder.errors import ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

State = Literal["installed", "downloaded", "incomplete", "missing", "current", "outdated"]

OFFICIAL = "official"
# What `converted_path` makes.
CONVERTED_NAME = re.compile(
    r"(?P<model>.+)-(?P<key>[0-9a-f]{16})-int8-(?P<converter>ctranslate2-.+-\d+)"
)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's files in one directory.

    Attributes:
        model: whose they are.
        made_by: OFFICIAL, or the converter that made them and its versions.
        state: official files are installed with a package, downloaded into the hub's cache,
            incomplete or missing; converted ones are current, or outdated and never used again.
        directory: where they are, None if they are missing.
        size_bytes: how large they are, without what else is in the directory.

    """

    model: str
    made_by: str
    state: State
    directory: Path | None
    size_bytes: int


def official_files() -> ModelFiles:
    """Find the default model's official files."""
    state: State = "installed"
    directory = installed_directory()
    if directory is None:
        state, directory = "downloaded", _downloaded()
    if directory is None:
        return ModelFiles(DEFAULT_MODEL, OFFICIAL, "missing", None, 0)
    files = [directory / name for name in MODEL_FILES if (directory / name).is_file()]
    if len(files) < len(MODEL_FILES):
        state = "incomplete"
    return ModelFiles(DEFAULT_MODEL, OFFICIAL, state, directory, _size(files))


def _downloaded() -> Path | None:
    # Needed only without an installed package: a third of a second.
    from otel_embedder.embedder.models.hub import downloaded  # noqa: PLC0415

    return downloaded(HUB_REPOSITORY, MODEL_FILES)


def converted_files(cache: Path) -> list[ModelFiles]:
    """Find the converted models, in the order of their directories' names.

    Raises:
        ModelUnavailableError: the cache can't be read.

    """
    try:
        return [*_converted(cache)] if cache.exists() else []
    except OSError as error:
        raise ModelUnavailableError(
            f"the converted models in {cache} can't be read ({error.strerror}); "
            "set `model_cache` to a directory that can be"
        ) from error


def _converted(cache: Path) -> Iterator[ModelFiles]:
    for directory in sorted(cache.iterdir()):
        name = CONVERTED_NAME.fullmatch(directory.name)
        if name:
            is_current = directory == converted_path(cache, name["model"], name["key"])
            state: State = "current" if is_current else "outdated"
            size = _size(directory.iterdir())
            yield ModelFiles(name["model"], name["converter"], state, directory, size)


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)
