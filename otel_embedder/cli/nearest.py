"""`otel-embedder nearest`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

import click
from rich.table import Column

from otel_embedder.annotation.annotator import annotator
from otel_embedder.cli.arguments import (
    files_argument,
    form_option,
    output_option,
    span_id_argument,
    tell_of_cut_off,
    tell_of_unknown_words,
    text_argument,
)
from otel_embedder.cli.options import MODEL_SETTINGS, TEXT_SETTINGS, settings_from, settings_options
from otel_embedder.cli.progress import progress_bar
from otel_embedder.cli.tables import COSINE_DIGITS, columns, cut_cell, new_table, show
from otel_embedder.embedder.bulk import BulkEmbedder, window_for
from otel_embedder.embedder.models.engines import load_model, model_choice
from otel_embedder.files.trace_files import TraceFiles
from otel_embedder.otlp.spans import span_milliseconds
from otel_embedder.search.index import MAX_EXAMPLES, TextIndex, has_id, spans_of
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import Renderer, new_renderer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.files.named_forms import Form
    from otel_embedder.search.index import Row

TRACE_ID_COLUMNS = 32
OTHER_COLUMNS = 64  # what a table needs besides the text


class FoundSpan(NamedTuple):
    """The span that was asked for: its text, and how long it took, None if that is unknown."""

    text: str
    milliseconds: float | None


@click.command("nearest")
@files_argument
@click.option("--to", "text", callback=text_argument, metavar="TEXT", help="What to look for.")
@click.option(
    "--to-span",
    "span_id",
    callback=span_id_argument,
    metavar="ID",
    help="Look for what is like this span of the files, 16 hex digits; its own text comes first.",
)
@click.option(
    "-k",
    "--count",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Texts to give at most.",
)
@click.option("--errors-only", is_flag=True, help="Leave spans out whose status is not ERROR.")
@form_option
@output_option("A table with long texts cut, or a line of JSON for each text, whole.")
@settings_options(*TEXT_SETTINGS, "attribute_prefix", *MODEL_SETTINGS)
def command(  # noqa: PLR0913 - an option is an argument
    *,
    files: Sequence[str],
    form: Form | None,
    text: str | None,
    span_id: str | None,
    count: int,
    errors_only: bool,
    output: str,
    **flags: object,
) -> None:
    """Find the spans in FILE... that are nearest to a text or a span; - is stdin.

    Spans that read the same are one row: its score and cosine, how many spans it
    has, the text, and some of their traces. A text counts the words that it has of
    the question beside its cosine; a span how alike the durations are. A span that
    carries a vector of this model and text is taken at that; the text of any other
    is embedded here.

    What is asked for is best put as the spans put it: with the names of things,
    and with what went wrong.

    Example: otel-embedder nearest traces.jsonl.gz --to "the cart is down"
    """
    if (text is None) == (span_id is None):
        raise click.UsageError("say what to look for: --to TEXT or --to-span ID, one of them.")
    settings = settings_from(flags)
    choice = model_choice(settings)
    model = load_model(choice)
    renderer = new_renderer(render_options(settings))
    attributes = annotator(settings, renderer.text_version)
    index = TextIndex(renderer, attributes, dimension=model.dimension, errors_only=errors_only)
    traces = TraceFiles(files, on_cut_off=tell_of_cut_off, form=form)
    found = _read(index, traces, renderer, span_id)
    asked = found if text is None else text
    if asked is None:
        raise click.ClickException(f"there is no span {span_id} in what was read.")
    with BulkEmbedder(model, threads=choice.threads, max_texts=settings.cache_size) as embedder:
        _embed(index, embedder, window=window_for(choice.threads))
        [embedding] = embedder.embed([asked if isinstance(asked, str) else asked.text])
        rows = _nearest(index, asked, embedding.vector, count)
    title = f"Nearest to span {span_id}" if text is None else f"Nearest to: {text}"
    SHOWN[output](title, rows)
    tell_of_unknown_words(int(embedding.source != "model"), ", nor does what is near it")


def _read(
    index: TextIndex, traces: TraceFiles, renderer: Renderer, span_id: str | None
) -> FoundSpan | None:
    """Take the spans in; give the first of this id, None if there is none."""
    wanted = None if span_id is None else bytes.fromhex(span_id)
    found: FoundSpan | None = None
    with traces.naming_faults(), progress_bar("Reading spans") as advance:
        for span, service in spans_of(traces.requests(), renderer):
            text = index.add(span, service)
            if wanted is not None and found is None and has_id(span, wanted):
                found = FoundSpan(text, span_milliseconds(span))
            advance(1)
    return found


def _nearest(index: TextIndex, asked: str | FoundSpan, vector: Vector, count: int) -> Sequence[Row]:
    if isinstance(asked, str):
        return index.nearest_to_words(asked, vector, count)
    return index.nearest_to_span(asked.text, vector, asked.milliseconds, count)


def _embed(index: TextIndex, embedder: BulkEmbedder, *, window: int) -> None:
    missing = len(index.without_vector())
    with progress_bar("Embedding texts", total=missing) as advance:
        for _ in index.embed(embedder, window=window):
            advance(1)
    texts = f"{len(index):,} texts, {missing:,} of them embedded here"
    click.echo(f"{index.spans:,} spans, {texts}", err=True)


def _show_table(title: str, rows: Sequence[Row]) -> None:
    traces = Column("traces", min_width=TRACE_ID_COLUMNS, overflow="fold")
    table = new_table("score", "cosine", "spans", "text", traces, title=title)
    for row in rows:
        text = cut_cell(row.text, width=columns() - OTHER_COLUMNS, lines=MAX_EXAMPLES)
        score, cosine = (f"{number:.{COSINE_DIGITS}f}" for number in (row.score, row.cosine))
        table.add_row(score, cosine, f"{row.spans:,}", text, "\n".join(row.trace_ids))
    show(table)


def _print_json(_: str, rows: Sequence[Row]) -> None:
    for row in rows:
        rounded = {name: round(getattr(row, name), COSINE_DIGITS) for name in ("score", "cosine")}
        click.echo(json.dumps({**asdict(row), **rounded}))


SHOWN = {"table": _show_table, "json": _print_json}
