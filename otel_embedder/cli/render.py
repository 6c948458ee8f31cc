"""`otel-embedder render`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from otel_embedder.annotation.annotator import annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.annotation.text_id import text_id
from otel_embedder.cli.parts.arguments import file_argument, form_option, refuse_cut_off
from otel_embedder.cli.parts.options import TEXT_SETTINGS, settings_from, settings_options
from otel_embedder.cli.parts.tables import columns, cut_cell, for_terminal, new_table, show
from otel_embedder.embedder.models.engines import model_choice
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.files.trace_files import TraceFiles
from otel_embedder.otlp.spans import span_ids
from otel_embedder.search.spans import spans_of
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.files.named_forms import Form
    from otel_embedder.settings import Settings
    from otel_embedder.text.renderer import Saying
    from otel_embedder.text.rendering import TextRenderer

NAME_COLUMNS = 32
RULE_COLUMNS = 24
VALUE_LINES = 2
ABSENT = "-"


class RenderedSpan(NamedTuple):
    """A span with its text.

    Attributes:
        encoded: the span, without attributes of ours.
        text: how it reads.
        sayings: what it says, and what became of that; None where nobody asked.

    """

    encoded: bytes
    text: str
    sayings: list[Saying] | None


@click.command("render")
@file_argument
@form_option
@click.option(
    "--explain", is_flag=True, help="Tell what became of each attribute, and by which rule."
)
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The text of each span on a line, or a JSON object with its ids, text id and tokens.",
)
@settings_options(*TEXT_SETTINGS, "attribute_prefix", "model", "model_cache")
def command(*, file: str, form: Form | None, explain: bool, output: str, **flags: object) -> None:
    """Print the text of each span in FILE, a line each; - is stdin.

    FILE holds OTLP/JSON or OTLP protobuf, as a Collector's file exporter
    writes them, compressed or not. Only --output json needs the model, whose
    tokens it counts.

    Example: otel-embedder render traces.jsonl.gz
    """
    settings = settings_from(flags)
    traces = TraceFiles([file], on_cut_off=refuse_cut_off, form=form)
    renderer = new_renderer(render_options(settings))
    version = renderer.text_version
    print_ = _printing_json(settings, version) if output == "json" else _print_text
    for span in rendered(traces, renderer, annotator(settings, version), explain=explain):
        print_(span)


def rendered(
    traces: TraceFiles, renderer: TextRenderer, attributes: Annotator, *, explain: bool
) -> Iterator[RenderedSpan]:
    """Give each span in files with its text, whether it carries a vector or not.

    Raises:
        UnreadableFileError: a file holds something else. What came before was given.

    """
    with traces.naming_faults():
        for span, service in spans_of(traces.requests(), renderer):
            bare = attributes.stripped(span)
            text = renderer.render(bare, service).content
            yield RenderedSpan(bare, text, renderer.sayings(bare, service) if explain else None)


def _print_text(span: RenderedSpan) -> None:
    click.echo(for_terminal(span.text) if sys.stdout.isatty() else span.text)
    if span.sayings is None:
        return
    table = new_table("", "says", "in the text", "rule", title="")
    width = (columns() - NAME_COLUMNS - RULE_COLUMNS) // 2
    for saying in span.sayings:
        table.add_row(
            cut_cell(saying.name, width=NAME_COLUMNS, lines=VALUE_LINES),
            cut_cell(saying.value, width=width, lines=VALUE_LINES),
            cut_cell(saying.words or ABSENT, width=width, lines=VALUE_LINES),
            cut_cell(saying.rule, width=RULE_COLUMNS, lines=VALUE_LINES),
        )
    show(table)


def _printing_json(settings: Settings, text_version: str) -> Callable[[RenderedSpan], None]:
    # It loads a tokenizer, and so half of an engine.
    from otel_embedder.embedder.models.tokens import TokenCounter  # noqa: PLC0415

    tokens = TokenCounter(model_choice(settings))
    origin = Origin(model_name(settings.model), text_version)

    def print_json(span: RenderedSpan) -> None:
        ids = span_ids(span.encoded)
        line: dict[str, object] = {
            "trace_id": ids.trace_id.hex(),
            "span_id": ids.span_id.hex(),
            "text": span.text,
            "text_id": text_id(origin, span.text),
            "tokens": tokens.counts([span.text])[0],
        }
        if span.sayings is not None:
            line["explained"] = [
                {"name": each.name, "says": each.value, "text": each.words, "rule": each.rule}
                for each in span.sayings
            ]
        click.echo(json.dumps(line))

    return print_json
