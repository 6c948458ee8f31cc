"""`otel-embedder model`."""

from __future__ import annotations

import click

from otel_embedder.cli.options import settings_from, settings_options
from otel_embedder.embedder.conversion import converted_model
from otel_embedder.embedder.weights import find_weights

FILES_SETTINGS = ("model", "model_cache")


@click.group("model")
def command() -> None:
    """See to the model's files."""


@command.command("path")
@settings_options(*FILES_SETTINGS)
def path_command(**flags: object) -> None:
    """Print where the official files of the model are.

    Example: otel-embedder model path
    """
    click.echo(find_weights(settings_from(flags).model).directory)


@command.command("convert")
@settings_options(*FILES_SETTINGS)
def convert_command(**flags: object) -> None:
    """Convert the model, unless that is done, and print where it is.

    Done when an image is built, it saves each start the second that it takes.

    Example: otel-embedder model convert --model-cache /models
    """
    settings = settings_from(flags)
    click.echo(converted_model(settings.model, settings.model_cache))
