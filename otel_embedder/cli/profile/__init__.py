"""`otel-embedder profile`."""

from __future__ import annotations

import click

from otel_embedder.text.profiles.profile import built_in


@click.group("profile")
def command() -> None:
    """See what texts consist of."""


@command.command("show")
@click.argument("name", type=click.Choice(["words"]))
def show_command(name: str) -> None:
    """Print the profile NAME as a file, to begin one of your own with.

    Example: otel-embedder profile show words > own.yaml
    """
    click.echo(built_in(name), nl=False)
