"""The flags for a model of no sense, converted already: for tests of commands that embed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.cli import EXIT_OK, run
from tests.support.tiny_bert import write_tiny_bert

if TYPE_CHECKING:
    from pathlib import Path

TINY_MODEL = "tiny"


def tiny_model_flags(directory: Path) -> tuple[str, ...]:
    """Make the model in a new directory's subdirectories; give the flags that name it."""
    model = write_tiny_bert(directory / TINY_MODEL)
    flags = ("--model", str(model), "--model-cache", str(directory / "cache"))
    # What tells of the conversion is told now, not in a test.
    assert run(["model", "convert", *flags]) == EXIT_OK
    return flags
