"""`otel-embedder annotate`."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otel_embedder.annotation.annotator import annotator
from otel_embedder.annotation.standing import Standing
from otel_embedder.cli.parts.arguments import (
    NewPath,
    Skipping,
    files_argument,
    form_option,
    on_error_options,
    tell_of_cut_off,
)
from otel_embedder.cli.parts.embedding import loaded_embedder
from otel_embedder.cli.parts.options import (
    MODEL_SETTINGS,
    TEXT_SETTINGS,
    settings_from,
    settings_options,
)
from otel_embedder.cli.parts.progress import progress_bar
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.errors import CutOffFileError, EmbeddingError, EmbeddingFailedError
from otel_embedder.files.annotating import FilesTally, SpanAnnotator, annotate_files
from otel_embedder.files.documents import json_format, protobuf_format, translated_format
from otel_embedder.files.named_forms import NAMED, Form
from otel_embedder.files.resumable import OutputFile, OutputPaths
from otel_embedder.files.trace_files import STDIN, TraceFiles
from otel_embedder.otlp.attributes import JSON
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.files.documents import Format
    from otel_embedder.settings import Settings
    from otel_embedder.text.rendering import TextRenderer

# More than a sidecar's: a file may have its texts in any order, and nobody waits beside it.
CACHE_SIZE = 20_000
# What a kill may cost, besides a window of requests.
CHECKPOINT_SECONDS = 10.0

ATTRIBUTE_SETTINGS = ("encoding", "attribute_prefix", "attach_text", "text_id")


@click.command("annotate")
@files_argument
@click.option(
    "-o",
    "--output",
    "out",
    metavar="OUT",
    required=True,
    type=NewPath(dir_okay=False, path_type=Path),
    help="Where the spans go with their vectors; compressed if it ends in .gz, or in .zst, which "
    "is several times smaller and faster.",
)
@form_option
@click.option("--resume", is_flag=True, help="Go on where a run was killed, if one was.")
@click.option("--overwrite", is_flag=True, help="Replace OUT, or start anew what was killed.")
@click.option(
    "--skip-cut-off",
    is_flag=True,
    help="Where a FILE is cut off, as by a Collector that was killed, go on without the rest.",
)
@on_error_options("OUT.rejected")
@click.option(
    "--cache-size",
    "cache_size",
    help="Texts whose vectors are remembered, 6 KB each. "
    f"[env: OTEL_EMBEDDER_CACHE_SIZE; default: {CACHE_SIZE}]",
)
@settings_options(*ATTRIBUTE_SETTINGS, *MODEL_SETTINGS, *TEXT_SETTINGS)
def command(  # noqa: PLR0913 - an option is an argument
    *,
    files: Sequence[str],
    out: Path,
    form: Form | None,
    resume: bool,
    overwrite: bool,
    skip_cut_off: bool,
    on_error: str,
    skip_damaged: bool,
    **flags: object,
) -> None:
    """Put a vector on each span in FILE..., and write them all to OUT; - is stdin.

    A FILE holds OTLP/JSON or OTLP protobuf, as a Collector's file exporter
    writes them, compressed or not. OUT gets the same: JSON where JSON came,
    the text unchanged but for our attributes; protobuf requests, each behind its
    length in four bytes, where protobuf came, the bytes unchanged but for our
    attributes. Only a single FILE that is one protobuf request without a length
    comes out so again. Jaeger's JSON and Zipkin's come out as lines of OTLP/JSON.
    Spans that have a vector are treated as the sidecar does.

    OUT is there when it is whole, and not before: until then it is written to
    OUT.partial. A run that was killed goes on with --resume.

    Example: otel-embedder annotate traces-*.jsonl.gz -o embedded.jsonl.zst
    """
    if str(out) == STDIN:
        raise click.UsageError(
            "OUT must be a file: what it has is kept when a run is killed, so it can't be stdout."
        )
    if STDIN in files and (resume or len(files) > 1):
        raise click.UsageError("stdin (-) must be the only FILE, and can't be read on by --resume.")
    settings = settings_with_cache(flags)
    traces = TraceFiles(files, on_cut_off=tell_of_cut_off if skip_cut_off else _refuse, form=form)
    paths = OutputPaths(out)
    paths.refuse_inputs([Path(file) for file in files if file != STDIN])
    renderer = new_renderer(render_options(settings))
    run = _run(files, form, settings, renderer.text_version)
    start = paths.start(run, resume=resume, overwrite=overwrite)
    traces.refuse_mixture()
    output = OutputFile(paths, start)
    skipping = Skipping(output.rejected, is_wanted=skip_damaged or on_error == "skip")
    if not skip_damaged and on_error == "stop":
        traces.refuse_others()
    _annotate(files, traces, output, settings, renderer=renderer, skipping=skipping)
    skipping.finish()


def settings_with_cache(flags: dict[str, object]) -> Settings:
    """Collect the settings; the cache is a large one, unless somebody says otherwise."""
    settings = settings_from(flags)
    if "cache_size" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"cache_size": CACHE_SIZE})


def _refuse(error: CutOffFileError) -> None:
    raise CutOffFileError(f"{error}; --skip-cut-off goes on without the rest") from error


def _run(
    files: Sequence[str], form: Form | None, settings: Settings, text_version: str
) -> dict[str, str]:
    """Give all that decides what is written, in words."""
    return {
        "engine": settings.engine,
        "model": _model(settings.model),
        "text_version": text_version,
        **{name: str(getattr(settings, name)) for name in ATTRIBUTE_SETTINGS},
        **({"form": form.value} if form else {}),
        **{f"file {number}": _identity(file) for number, file in enumerate(files, start=1)},
    }


def _model(model: str) -> str:
    # A directory's model carries only the last part of its path.
    return str(Path(model).resolve()) if Path(model).is_dir() else model_name(model)


def _identity(file: str) -> str:
    if file == STDIN:
        return file
    status = Path(file).stat()
    return f"{Path(file).resolve()} of {status.st_size} bytes, changed at {status.st_mtime_ns} ns"


def _annotate(  # noqa: PLR0913 - each is a part
    files: Sequence[str],
    traces: TraceFiles,
    output: OutputFile,
    settings: Settings,
    *,
    renderer: TextRenderer,
    skipping: Skipping,
) -> None:
    tally = FilesTally()
    with (
        loaded_embedder(settings, max_texts=settings.cache_size) as embedder,
        going_on_later(output),
        output,
        progress_bar("Bytes read", _total_bytes(files)) as advance,
    ):
        started = time.monotonic()
        formats = _formats(settings, renderer.text_version, is_single=len(files) == 1)
        spans = SpanAnnotator(renderer, embedder, formats, tally, on_unreadable=skipping)
        annotate_files(
            traces, spans, output, checkpoint_seconds=CHECKPOINT_SECONDS, advance=advance
        )
    _summarise(tally, embedder.cache_info().misses, time.monotonic() - started)


@contextmanager
def going_on_later(output: OutputFile) -> Iterator[None]:
    """Say how to go on with what is done, when it does not end well."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        click.echo(f"otel-embedder: interrupted; {_remedy(output)}", err=True)
        raise click.Abort from interrupt
    except EmbeddingError as error:
        raise EmbeddingFailedError(f"{error}; {_remedy(output)}") from error


def _remedy(output: OutputFile) -> str:
    return f"--resume goes on behind the first {output.requests:,} requests"


def _total_bytes(files: Sequence[str]) -> int | None:
    return None if STDIN in files else sum(Path(file).stat().st_size for file in files)


def _formats(settings: Settings, text_version: str, *, is_single: bool) -> dict[Form, Format]:
    translated = translated_format(annotator(settings, text_version, JSON))
    return {
        **dict.fromkeys(NAMED.values(), translated),
        Form.JSON: json_format(annotator(settings, text_version, JSON)),
        Form.PROTOBUF: protobuf_format(
            annotator(settings, text_version), with_lengths=not is_single
        ),
    }


def _summarise(tally: FilesTally, texts: int, seconds: float) -> None:
    left = tally.left_alone
    click.echo(
        f"{tally.spans():,} spans: {tally.annotated:,} given vectors; left as they were: "
        f"{left[Standing.CURRENT]:,} that had theirs, {left[Standing.FOREIGN]:,} with another's\n"
        f"{texts:,} texts embedded\n"
        f"{seconds:,.1f} s, {tally.spans() / seconds:,.0f} spans/s",
        err=True,
    )
