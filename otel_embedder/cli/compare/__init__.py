"""`otel-embedder compare`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.table import Table

from otel_embedder.annotation.annotator import annotator
from otel_embedder.cli.compare.named import TRACE_ID, named_traces
from otel_embedder.cli.compare.traces import compare_traces
from otel_embedder.cli.parts.arguments import (
    FILE,
    SPAN_ID,
    form_option,
    output_option,
    tell_of_cut_off,
    tell_of_unknown_words,
    text_argument,
)
from otel_embedder.cli.parts.options import (
    MODEL_SETTINGS,
    TEXT_SETTINGS,
    settings_from,
    settings_options,
)
from otel_embedder.cli.parts.tables import COSINE_DIGITS, cell, columns, cut_cell, new_table, show
from otel_embedder.embedder.models.engines import load_model, model_choice
from otel_embedder.files.trace_files import TraceFiles
from otel_embedder.search.comparison import Side, compare
from otel_embedder.search.spans import find_spans, spans_of
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import TextRenderer, new_renderer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from otel_embedder.files.named_forms import Form
    from otel_embedder.search.comparison import Comparison, Difference
    from otel_embedder.settings import Settings
    from otel_embedder.text.renderer import Saying

VALUE_LINES = 3
OTHER_COLUMNS = 22  # what a table needs besides name and values
NAME_COLUMNS = 26
ABSENT = "-"


@click.command("compare")
@click.argument("a", callback=text_argument)
@click.argument("b", callback=text_argument)
@click.option(
    "--in",
    "files",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="The file of the spans, or of the traces; - is stdin. May be repeated.",
)
@form_option
@output_option("A table with long values cut, or a line of JSON, whole.")
@settings_options("catalogue", *TEXT_SETTINGS, "attribute_prefix", *MODEL_SETTINGS)
def command(
    *, a: str, b: str, files: tuple[str, ...], form: Form | None, output: str, **flags: object
) -> None:
    """Show how near two texts or spans are, and what sets spans or traces apart.

    A and B are texts, or with --in the ids of spans in FILE, or of traces; what is
    not 16 or 32 hex digits is a text even then. Of two spans it lists each field and attribute in
    which they differ, and whether the text shows it: it does, it has both masked
    or rounded to the same words, or it leaves the key out. What lies beyond a
    text's first 1,000 characters or so the model does not read.

    Two traces stand side by side as trees: what is missing in B, what was added,
    fails, or took longer by itself, without what it waited for. With --catalogue
    16 hex digits are the id of one of its texts, and stand for an example of it; the
    spans are FILE's even so, such as what a trace store answers.

    Example: otel-embedder compare 5fb397be34d26b51 051581bf3cb55c13 --in t.bin
    """
    settings = settings_from(flags)
    if flags["catalogue"] is not None:
        traces = named_traces((a, b), settings)
        _want_spans_of(traces, files)
        compare_traces(traces, files, form, settings, output)
        return
    if files and TRACE_ID.fullmatch(a) and TRACE_ID.fullmatch(b):
        compare_traces(((a,), (b,)), files, form, settings, output)
        return
    found = _spans(files, form, (a, b), settings) if files else {}
    first, second = (found.get(word, Side(word)) for word in (a, b))
    comparison = compare(first, second, load_model(model_choice(settings)))
    SHOWN[output](first.text, second.text, comparison)
    tell_of_unknown_words(comparison.unknown, ", nor does the cosine")


def _want_spans_of(traces: Sequence[Sequence[str]], files: Sequence[str]) -> None:
    """Refuse to go on without spans, which no catalogue keeps; tell which are wanted."""
    if not files:
        first, second = (" or ".join(each) for each in traces)
        raise click.UsageError(
            "a catalogue has no spans: give those of both with --in FILE, - for stdin, as a trace "
            f"store answers them.\nA is trace {first}\nB is trace {second}"
        )


def _spans(
    files: Sequence[str], form: Form | None, words: Sequence[str], settings: Settings
) -> dict[str, Side]:
    """Give the spans that are named by their ids."""
    span_ids = [word for word in words if SPAN_ID.fullmatch(word)]
    if not span_ids:
        raise click.UsageError(
            "--in FILE needs a span's id, 16 hex digits, as A or B, or those of two traces."
        )
    renderer = new_renderer(render_options(settings))
    attributes = annotator(settings, renderer.text_version)
    traces = TraceFiles(files, on_cut_off=tell_of_cut_off, form=form)
    with traces.naming_faults():
        found = {
            span_id: _side(renderer, attributes.stripped(span), service)
            for span_id, span, service in find_spans(
                spans_of(traces.requests(), renderer), span_ids
            )
        }
    for span_id in span_ids:
        if span_id not in found:
            raise click.ClickException(f"there is no span {span_id} in {', '.join(files)}.")
    return found


def _side(renderer: TextRenderer, span: bytes, service: str) -> Side:
    return Side(renderer.render(span, service).content, renderer.sayings(span, service))


def _show_table(a: str, b: str, comparison: Comparison) -> None:
    texts = Table.grid(padding=(0, 2))
    texts.add_row("A", cell(a))
    texts.add_row("B", cell(b))
    texts.add_row("", "")
    shown: list[RenderableType] = [texts, cell(f"cosine {comparison.cosine:.{COSINE_DIGITS}f}")]
    if comparison.differences is not None:
        shown.append(_table(comparison.differences))
    show(*shown)


def _table(differences: Sequence[Difference]) -> RenderableType:
    if not differences:
        return "They say the same."
    table = new_table("they differ in", "A", "B", "in the text", title="")
    width = (columns() - NAME_COLUMNS - OTHER_COLUMNS) // 2
    for difference in differences:
        sides = (difference.first, difference.second)
        values = [
            cut_cell(_shown(side, difference), width=width, lines=VALUE_LINES) for side in sides
        ]
        name = cut_cell(difference.name, width=NAME_COLUMNS, lines=VALUE_LINES)
        table.add_row(name, *values, difference.effect)
    return table


def _shown(saying: Saying | None, difference: Difference) -> str:
    """Give what a side says: as the text has it, where the difference shows in the text."""
    if saying is None:
        return ABSENT
    return saying.value if difference.effect != "differs" or saying.words is None else saying.words


def _print_json(a: str, b: str, comparison: Comparison) -> None:
    found = comparison.differences
    line = {
        "a": a,
        "b": b,
        "model": comparison.model,
        "cosine": round(comparison.cosine, COSINE_DIGITS),
        "differences": None if found is None else [_facts(difference) for difference in found],
    }
    click.echo(json.dumps(line))


def _facts(difference: Difference) -> dict[str, object]:
    first, second = (
        saying and {"value": saying.value, "text": saying.words}
        for saying in (difference.first, difference.second)
    )
    return {"name": difference.name, "effect": difference.effect, "a": first, "b": second}


SHOWN = {"table": _show_table, "json": _print_json}
