"""`otel-embedder completion`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.shell_completion import ShellComplete

PROGRAM = "otel-embedder"
# What click looks for when the program is called, to complete instead of to run.
VARIABLE = "_OTEL_EMBEDDER_COMPLETE"

SHELLS: Mapping[str, type[ShellComplete]] = {
    "bash": BashComplete,
    "zsh": ZshComplete,
    "fish": FishComplete,
}


@click.command("completion")
@click.argument("shell", type=click.Choice([*SHELLS]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands, settings and their values.

    \b
    For every new shell, put this line into
      ~/.bashrc                   eval "$(otel-embedder completion bash)"
      ~/.zshrc, behind compinit   eval "$(otel-embedder completion zsh)"
      ~/.config/fish/config.fish  otel-embedder completion fish | source

    Example: otel-embedder completion bash
    """  # noqa: D301 - \b is a backspace, by which click knows lines that stay as they are
    script = SHELLS[shell](context.find_root().command, {}, PROGRAM, VARIABLE)
    click.echo(script.source(), nl=False)
