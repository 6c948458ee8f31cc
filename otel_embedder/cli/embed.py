"""`otel-embedder embed`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otel_embedder.cli.parts.arguments import (
    NewPath,
    checked_text,
    tell_of_unknown_words,
    text_arguments,
)
from otel_embedder.cli.parts.embedding import loaded_embedder
from otel_embedder.cli.parts.npy import npy_file
from otel_embedder.cli.parts.options import MODEL_SETTINGS, settings_from, settings_options
from otel_embedder.cli.parts.progress import progress_bar
from otel_embedder.embedder.bulk import embedded
from otel_embedder.errors import UnwritableFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_embedder.embedder.embedding import Embedding, Vector


def _npy_path(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    # To replace a device or a pipe by a file would do harm.
    if path is not None and path.exists() and not path.is_file():
        raise click.BadParameter(f"{str(path)!r} is not a file.")
    return path


@click.command("embed")
@click.argument("texts", metavar="[TEXT]...", nargs=-1, callback=text_arguments)
@click.option(
    "--npy",
    type=NewPath(path_type=Path),
    callback=_npy_path,
    metavar="OUT",
    help="Write the vectors to this .npy file instead, float32, one row a text.",
)
@settings_options(*MODEL_SETTINGS)
def command(*, texts: tuple[str, ...], npy: Path | None, **flags: object) -> None:
    """Embed each TEXT, or each line on stdin, and print a line of JSON for each.

    A line is {"text": ..., "model": ..., "vector": [...]}, in the order that the
    texts came; lines are taken a few hundred at a time. A text is embedded as it
    is given: `otel-embedder render` makes one of a span. An empty text or line
    ends the command with an error, for its vector would have no meaning. One of
    whose words the model knows none has a stand-in, of the model fallback-sha256.

    Example: otel-embedder embed "payment times out talking to the bank"
    """
    if not texts and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("give a TEXT, or lines on stdin.")
    settings = settings_from(flags)
    with loaded_embedder(settings, max_texts=settings.cache_size) as embedder:
        embeddings = embedded(texts or _lines(), embedder, window=embedder.window)
        sources: Counter[str] = Counter()
        answers = _counted(embeddings, sources)
        if npy is None:
            _print(answers)
        else:
            _write(answers, npy, dimension=embedder.dimension)
    tell_of_unknown_words(sources["fallback"])


def _lines() -> Iterator[str]:
    """Give the texts on stdin."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield checked_text(line.removesuffix(b"\n").removesuffix(b"\r").decode())
        except UnicodeDecodeError as error:
            raise click.ClickException(f"line {number} is not UTF-8: {error.reason}") from error
        except ValueError as error:
            raise click.ClickException(f"line {number} {error}") from error


def _counted(
    answers: Iterable[tuple[str, Embedding]], sources: Counter[str]
) -> Iterator[tuple[str, Embedding]]:
    """Give answers, and count them by their source."""
    for text, embedding in answers:
        sources[embedding.source] += 1
        yield text, embedding


def _print(answers: Iterable[tuple[str, Embedding]]) -> None:
    for text, embedding in answers:
        vector = json_numbers(embedding.vector)
        click.echo(json.dumps({"text": text, "model": embedding.model, "vector": vector}))


def json_numbers(vector: Vector) -> list[float]:
    """Give numbers that are written as short as can be, and read back to the very float32."""
    # A float32 itself, as a double, is written with twice the digits.
    return [float(str(number)) for number in vector]


def _write(answers: Iterable[tuple[str, Embedding]], path: Path, *, dimension: int) -> None:
    try:
        with progress_bar("Embedding texts") as advance, npy_file(path, dimension=dimension) as npy:
            for _, embedding in answers:
                npy.write(embedding.vector)
                advance(1)
    except OSError as error:
        raise UnwritableFileError(f"{path} can't be written: {error.strerror}") from error
    click.echo(f"{npy.vectors} vectors of {dimension} numbers in {path}", err=True)
