"""The command line: one module for each command, imported when that command is called."""

from __future__ import annotations

import errno
import io
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

import click

from otel_embedder import __version__
from otel_embedder.errors import OtelEmbedderError, SettingsError, SkippedRequestsError
from otel_embedder.telemetry.logs import configure_logs, finish_logs

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_SKIPPED = 3
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

COMMANDS = (
    *("serve", "render", "embed", "annotate", "index", "search", "nearest", "groups", "changes"),
    *("compare", "catalogue", "page", "reembed", "eval", "profile", "send", "health", "model"),
    *("completion", "demo", "mcp"),
)
# What nobody calls but another command.
HIDDEN_COMMANDS = ("worker",)


class Commands(click.Group):
    """Finds a command in the module of its name, so that none pays for another's imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Give the names of all commands."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Give a command, or None where there is none of this name."""
        if cmd_name not in {*COMMANDS, *HIDDEN_COMMANDS}:
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; where there is none, name the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], COMMANDS, n=1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]}?", ctx) from error


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; give the exit code.

    0 done, 1 failed, 2 wrong usage or settings, 3 done but for requests that could not be read.
    """
    try:
        _call(arguments)
    except click.exceptions.Abort:
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SettingsError as error:
        _complain([f"bad settings ({len(error.problems)}):", *error.problems])
        return EXIT_USAGE
    except OtelEmbedderError as error:
        _complain([str(error)])
        return EXIT_SKIPPED if isinstance(error, SkippedRequestsError) else EXIT_FAILED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _complain(["there is no space left to write what comes out"])
        return EXIT_FAILED
    return EXIT_OK


def _call(arguments: Sequence[str] | None) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a terminal's encoding lacks is no reason to print nothing.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        main.main(arguments, prog_name="otel-embedder", standalone_mode=False)
    finally:
        finish_logs()  # before what is said of how it ended


def _complain(lines: Sequence[str]) -> None:
    click.echo("otel-embedder: " + "\n  ".join(lines), err=True)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__)
def main() -> None:
    """Put vectors on OpenTelemetry spans, beside the Collector."""
    configure_logs("console", "info")
