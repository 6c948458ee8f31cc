"""What several commands take: texts, ids of spans, files of traces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import click

from otel_embedder.errors import SkippedRequestsError, UnreadableFileError
from otel_embedder.files.named_forms import NAMED

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from otel_embedder.errors import CutOffFileError
    from otel_embedder.files.rejected import RejectedFile
    from otel_embedder.files.requests import StoredRequest

Command = TypeVar("Command", bound="Callable[..., object]")

FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)
file_argument = click.argument("file", type=FILE)
files_argument = click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)

form_option = click.option(
    "--form",
    type=click.Choice(["otlp", *NAMED]),
    default="otlp",
    show_default=True,
    callback=lambda _, __, name: NAMED.get(name),
    help="What the files hold: OTLP, of any form, or what Jaeger's or Zipkin's API answers.",
)

MAX_TOLD = 5  # requests that were skipped, each by a line; all are in the file of reasons


class NewPath(click.Path):
    """A file to write."""

    def convert(
        self,
        value: str | os.PathLike[str],
        parameter: click.Parameter | None,
        context: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """Refuse what an empty variable of a script leaves: it would be the working directory."""
        if not str(value).strip():
            self.fail("must name a file.", parameter, context)
        return super().convert(value, parameter, context)


SPAN_ID = re.compile(r"[0-9a-fA-F]{16}")


def checked_text(text: str) -> str:
    """Give a text as it is.

    Raises:
        ValueError: it is empty, or was not UTF-8.

    """
    # What takes no room, such as a zero width space, is no word either.
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise ValueError("is empty: a text without a word has no meaningful vector")
    # What of an argument is not UTF-8 comes as lone surrogates.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("is not UTF-8")
    return text


def tell_of_unknown_words(texts: int, remark: str = "") -> None:
    """Tell of texts that have stand-ins, since the model knows no word of them."""
    if texts:
        which = "a text: its vector means" if texts == 1 else f"{texts:,} texts: their vectors mean"
        message = f"the model knows none of the words of {which} nothing{remark}"
        click.echo(f"otel-embedder: {message}", err=True)


def text_argument(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Check a text on the command line."""
    if value is None:
        return None
    try:
        return checked_text(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}.") from error


def text_arguments(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str | None, ...]:
    """Check texts on the command line."""
    return tuple(text_argument(context, parameter, value) for value in values)


def span_id_argument(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Check a span's id on the command line."""
    if value is not None and not SPAN_ID.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not a span's id, which has 16 hex digits.")
    return value


def output_option(help_: str) -> Callable[[Command], Command]:
    """Give a command the choice between a table and JSON; tell in words what each is."""
    return click.option(
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help=help_,
    )


def on_error_options(kept: str) -> Callable[[Command], Command]:
    """Give a command the choice of what to do where a request can't be read.

    Args:
        kept: where those are kept that are skipped, in words.

    """

    def decorate(command: Command) -> Command:
        for option in (
            click.option("--skip-damaged", is_flag=True, help="The same as --on-error skip."),
            click.option(
                "--on-error",
                type=click.Choice(["stop", "skip"]),
                default="stop",
                show_default=True,
                help=f"Where a request can't be read: stop, or skip it and keep it in {kept}, with "
                f"place and reason in {kept}.reasons. The exit code then is 3.",
            ),
        ):
            command = option(command)
        return command

    return decorate


class Skipping:
    """Decides what becomes of requests that can't be read, and tells of those that are skipped."""

    def __init__(self, rejected: RejectedFile, *, is_wanted: bool) -> None:
        """Prepare to decide.

        Args:
            rejected: where they are kept.
            is_wanted: whether they are skipped; if not, the first ends the command.

        """
        self._rejected = rejected
        self._is_wanted = is_wanted

    def __call__(self, stored: StoredRequest, error: UnreadableFileError) -> None:
        """Skip a request.

        Raises:
            UnreadableFileError: it is to end the command.

        """
        if not self._is_wanted:
            raise UnreadableFileError(f"{error}; --on-error skip goes on without it") from error
        self._rejected.reject(stored, error)
        if self._rejected.requests <= MAX_TOLD:
            click.echo(f"otel-embedder: {error}; skipped", err=True)

    def finish(self) -> None:
        """Tell at the end how many were skipped.

        Raises:
            SkippedRequestsError: some were.

        """
        count, path = self._rejected.requests, self._rejected.path
        if count:
            were = "1 request that can't be read was" if count == 1 else f"{count:,} requests were"
            raise SkippedRequestsError(f"{were} skipped, and kept in {path}; why: {path}.reasons")


def refuse_cut_off(error: CutOffFileError) -> None:
    """Let a file that is cut off end the command.

    Raises:
        CutOffFileError: always.

    """
    raise error


def tell_of_cut_off(error: CutOffFileError) -> None:
    """Read a file that is cut off, such as one that a Collector still writes, as far as it goes."""
    click.echo(f"otel-embedder: {error}; going on without the rest", err=True)
