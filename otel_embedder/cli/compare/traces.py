"""Two traces side by side, for `otel-embedder compare`."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING

import click
from rich.table import Column

from otel_embedder.annotation.annotator import annotator
from otel_embedder.cli.parts.arguments import tell_of_cut_off
from otel_embedder.cli.parts.tables import cell, new_table, show
from otel_embedder.files.trace_files import TraceFiles
from otel_embedder.otlp.spans import span_ids
from otel_embedder.search.changes.telling import in_words
from otel_embedder.search.spans import spans_of
from otel_embedder.search.traces.alignment import align
from otel_embedder.search.traces.trees import node, roots
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otel_embedder.files.named_forms import Form
    from otel_embedder.search.traces.alignment import Pair
    from otel_embedder.search.traces.trees import Node
    from otel_embedder.settings import Settings

ABSENT = "-"
DIGITS = 3  # of milliseconds


def compare_traces(
    sides: Sequence[Sequence[str]],
    files: Sequence[str],
    form: Form | None,
    settings: Settings,
    output: str,
) -> None:
    """Show two traces side by side.

    Args:
        sides: for each of the two the ids in hex of those that will do, the best first.
        files: where they are.
        form: of the files.
        settings: of the text.
        output: table or json.

    Raises:
        click.ClickException: of one none is there.

    """
    wanted = [[name.lower() for name in names] for names in sides]
    found = _found({*chain.from_iterable(wanted)}, files, form, settings)
    first = _there(wanted[0], found, files)
    # Of one text another trace, if there is another.
    second = _there(sorted(wanted[1], key=lambda name: name == first), found, files)
    SHOWN[output]([*align(roots(found[first]), roots(found[second]))])


def _there(names: Sequence[str], found: Mapping[str, Sequence[Node]], files: Sequence[str]) -> str:
    there = next((name for name in names if found[name]), None)
    if there is None:
        raise click.ClickException(f"there is no trace {' or '.join(names)} in {', '.join(files)}.")
    return there


def _found(
    names: Iterable[str], files: Sequence[str], form: Form | None, settings: Settings
) -> dict[str, list[Node]]:
    renderer = new_renderer(render_options(settings))
    attributes = annotator(settings, renderer.text_version)
    found: dict[str, list[Node]] = {name: [] for name in names}
    traces = TraceFiles(files, on_cut_off=tell_of_cut_off, form=form)
    with traces.naming_faults():
        for span, service in spans_of(traces.requests(), renderer):
            nodes = found.get(span_ids(span).trace_id.hex())
            if nodes is not None:
                nodes.append(node(attributes.stripped(span), service, renderer))
    return found


def _show_table(pairs: Sequence[Pair]) -> None:
    numbers = (Column(name, justify="right", no_wrap=True) for name in ("A", "B"))
    table = new_table("span", *numbers, "in B", title="")
    for pair in pairs:
        name = f"{'  ' * pair.depth}{pair.row.service} {pair.row.operation}"
        table.add_row(cell(name), _took(pair.first), _took(pair.second), ", ".join(pair.marks))
    show(table)


def _took(side: Node | None) -> str:
    return ABSENT if side is None else in_words(side.milliseconds)


def _print_json(pairs: Sequence[Pair]) -> None:
    for pair in pairs:
        what = {"service": pair.row.service, "operation": pair.row.operation}
        sides = {"a": _facts(pair.first), "b": _facts(pair.second)}
        click.echo(json.dumps({"depth": pair.depth, **what, "marks": [*pair.marks], **sides}))


def _facts(side: Node | None) -> dict[str, object] | None:
    if side is None:
        return None
    return {
        "span_id": side.span_id.hex(),
        "milliseconds": round(side.milliseconds, DIGITS),
        "self_milliseconds": round(side.self_milliseconds, DIGITS),
        "is_error": side.is_error,
    }


SHOWN: Mapping[str, Callable[[Sequence[Pair]], None]] = {
    "table": _show_table,
    "json": _print_json,
}
