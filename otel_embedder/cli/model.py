"""`otel-embedder model`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Column, Table

from otel_embedder.cli.parts.arguments import output_option
from otel_embedder.cli.parts.options import MODEL_SETTINGS, settings_from, settings_options
from otel_embedder.cli.parts.tables import cell
from otel_embedder.embedder.models.conversion import converted_model
from otel_embedder.embedder.models.engines import model_choice
from otel_embedder.embedder.models.inventory import converted_files, official_files
from otel_embedder.embedder.models.verification import verify
from otel_embedder.embedder.models.weights import find_weights
from otel_embedder.errors import ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_embedder.embedder.models.inventory import ModelFiles

FILES_SETTINGS = ("model", "model_cache")

BYTES_A_MEGABYTE = 1_000_000
# A path stays on one line in a pipe, however long.
PIPE_COLUMNS = 10_000


@click.group("model")
def command() -> None:
    """See to the model's files."""


@command.command("list")
@settings_options("model_cache")
@output_option("A table, or an array of JSON objects.")
def list_command(output: str, **flags: object) -> None:
    """List the default model's official files and all converted models.

    Official files are installed (with a package), downloaded (into the hub's
    cache), incomplete or missing. Converted models are current, or outdated:
    made by another version, and never used again. Nothing is downloaded.

    Example: otel-embedder model list --output json
    """
    found = [official_files(), *converted_files(settings_from(flags).model_cache)]
    if output == "json":
        click.echo(json.dumps([asdict(files) for files in found], default=str, indent=2))
    else:
        _console().print(_table(found))


def _table(found: Iterable[ModelFiles]) -> Table:
    headers = [Column(name, no_wrap=True) for name in ("model", "made by", "state", "MB")]
    table = Table(*headers, Column("directory", overflow="fold"), box=None, pad_edge=False)
    for files in found:
        megabytes = f"{files.size_bytes / BYTES_A_MEGABYTE:.1f}"
        words = (files.model, files.made_by, files.state, megabytes, str(files.directory or "-"))
        table.add_row(*map(cell, words))
    return table


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)


@command.command("path")
@settings_options(*FILES_SETTINGS)
def path_command(**flags: object) -> None:
    """Print where the official files of the model are.

    Downloads them if need be.

    Example: otel-embedder model path
    """
    click.echo(find_weights(settings_from(flags).model).directory)


@command.command("convert")
@settings_options(*FILES_SETTINGS)
def convert_command(**flags: object) -> None:
    """Convert the model, unless that is done, and print where it is.

    The engine ctranslate2 runs what was converted. Done when an image is built,
    it saves each start the second that it takes.

    Example: otel-embedder model convert --model-cache /models
    """
    settings = settings_from(flags)
    click.echo(converted_model(settings.model, settings.model_cache))


@command.command("verify")
@settings_options(*MODEL_SETTINGS)
@click.option("--repair", is_flag=True, help="Convert a damaged model anew.")
def verify_command(*, repair: bool, **flags: object) -> None:
    """Check the official files, the converted model, and what it embeds.

    Prints a line for each check. What was converted, now if need be, must be
    byte by byte what the official files convert to. Vectors must have unit
    length and the same bits alone and in company, and the default model's must
    be close to sentence-transformers'. Fails if any check did.

    Example: otel-embedder model verify --repair
    """
    settings = settings_from(flags)
    problems = 0
    for check in verify(model_choice(settings), repair=repair):
        click.echo(f"{check.name}: {f'failed: {check.problem}' if check.problem else 'ok'}")
        problems += bool(check.problem)
    if problems:
        raise ModelUnavailableError("the model is not as it should be")
