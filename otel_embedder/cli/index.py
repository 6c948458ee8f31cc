"""`otel-embedder index`."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otel_embedder.cli.parts.arguments import files_argument, tell_of_cut_off
from otel_embedder.cli.parts.catalogues import opened
from otel_embedder.cli.parts.embedding import loaded_embedder
from otel_embedder.cli.parts.indexing import embed_texts, indexer_of, read_files
from otel_embedder.cli.parts.options import (
    MODEL_SETTINGS,
    TEXT_SETTINGS,
    settings_from,
    settings_options,
)
from otel_embedder.errors import UnreadableFileError
from otel_embedder.files.trace_files import STDIN, TraceFiles
from otel_embedder.search.settings import MEMORY, SQLITE_SCHEME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.embedder.bulk import BulkEmbedder
    from otel_embedder.search.recording.indexing import Indexer, IndexTally


@click.command("index")
@files_argument
@settings_options("catalogue", *TEXT_SETTINGS, "attribute_prefix", *MODEL_SETTINGS)
def command(*, files: Sequence[str], **flags: object) -> None:
    """Put the spans in FILE... into a catalogue, to be searched there; - is stdin.

    Spans are counted by what they do, minute by minute, and each text is kept once,
    with a vector and some of its traces. A span that carries a vector of this model
    and text is taken at that; a text that has one in the catalogue keeps it; any
    other is embedded here.

    The same FILE twice counts once, whatever it is called. A run that was killed is
    simply called again: what was embedded is not embedded again. A FILE that is
    still written is another one each time: give it when it is whole.

    Example: otel-embedder index traces-*.jsonl.gz --catalogue sqlite:///traces.db
    """
    settings = settings_from(flags)
    if settings.catalogue in {None, MEMORY}:
        raise click.UsageError(f"say where the catalogue is: --catalogue {SQLITE_SCHEME}PATH.")
    with (
        loaded_embedder(settings, max_texts=settings.cache_size) as embedder,
        opened(settings.catalogue, readonly=False) as store,
    ):
        indexer = indexer_of(store, settings, dimension=embedder.dimension)
        started = time.monotonic()
        for file in files:
            _index(file, indexer, embedder)
        _summarise(indexer.tally, time.monotonic() - started)


def _index(file: str, indexer: Indexer, embedder: BulkEmbedder) -> None:
    """Put a file in, unless it is there."""
    with _at_rest(file) as path:
        digest = _digest(path)
        if indexer.knows(digest):
            return
        traces = TraceFiles([file], on_cut_off=tell_of_cut_off, stdin=path)
        read_files(indexer, digest, traces)
    embed_texts(indexer, embedder)
    indexer.finish(digest)


@contextmanager
def _at_rest(file: str) -> Iterator[Path]:
    """Give where a file lies; what comes by stdin is kept, for it is read twice."""
    if file != STDIN:
        yield Path(file)
        return
    with tempfile.NamedTemporaryFile() as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        kept.flush()
        yield Path(kept.name)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableFileError(f"{path} can't be read: {error.strerror}") from error


def _summarise(tally: IndexTally, seconds: float) -> None:
    there = tally.texts - tally.taken - tally.embedded - tally.unknown
    unknown = f", {tally.unknown:,} of no word that the model knows" if tally.unknown else ""
    click.echo(
        f"{tally.files:,} files read, {tally.known_files:,} already there; "
        f"{seconds:,.1f} s, {tally.spans / seconds:,.0f} spans/s\n"
        f"{tally.spans:,} spans, {tally.texts:,} texts: {tally.embedded:,} embedded, "
        f"{tally.taken:,} with the vector that a span brought, {there:,} already there{unknown}",
        err=True,
    )
