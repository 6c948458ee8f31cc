"""Tells whether a converted model is what was written: each file, and all under their name.

A model whose weights a disk has changed loads all the same, and so does one of another model's
files. Its vectors would be said to come from the model that its directory is named after.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

SEAL_FILE = "sha256.json"


class Seal(BaseModel):
    """What a directory holds.

    Attributes:
        directory: the directory's own name, which tells whose files they are.
        sha256: the hash of each file, in hex, by the file's name.

    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    directory: str
    sha256: dict[str, str]


def seal(directory: Path) -> None:
    """Write down what a directory holds, in a file within it.

    Raises:
        OSError: the directory can't be written.

    """
    hashes = {name: sha256_of(directory / name) for name in _names(directory)}
    said = Seal(directory=directory.name, sha256=hashes).model_dump()
    (directory / SEAL_FILE).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def check_seal(directory: Path) -> None:
    """Make sure that a directory holds what was written, and nothing else.

    Raises:
        OSError: a file can't be read.
        ValueError: a file is not what was written, or the directory is another's.

    """
    written = _read(directory / SEAL_FILE)
    if written.directory != directory.name:
        raise ValueError(f"its files are those of {written.directory}")
    # What is there beside the others may be read instead of them.
    if (names := _names(directory)) != [*written.sha256]:
        raise ValueError(f"it holds {', '.join(names)}, not {', '.join(written.sha256)}")
    for name, sha256 in written.sha256.items():
        if sha256_of(directory / name) != sha256:
            raise ValueError(f"{name} is not what was written")


def _read(file: Path) -> Seal:
    try:
        return Seal.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{SEAL_FILE} is not what was written") from error


def _names(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.iterdir() if file.name != SEAL_FILE)


def sha256_of(file: Path) -> str:
    """Give the hash of a file, in hex.

    Raises:
        OSError: it can't be read.

    """
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
