"""`otel-embedder render`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from otel_embedder.annotation.annotator import annotator
from otel_embedder.cli.arguments import file_argument, refuse_cut_off
from otel_embedder.cli.options import TEXT_SETTINGS, settings_from, settings_options
from otel_embedder.files.trace_files import TraceFiles
from otel_embedder.search.index import spans_of
from otel_embedder.text.options import render_options
from otel_embedder.text.renderer import Renderer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.settings import Settings


@click.command("render")
@file_argument
@settings_options(*TEXT_SETTINGS, "attribute_prefix")
def command(file: str, **flags: object) -> None:
    """Print the text of each span in FILE, a line each; - is stdin.

    FILE holds OTLP/JSON or OTLP protobuf, as a Collector's file exporter
    writes them, compressed or not.

    Example: otel-embedder render traces.jsonl.gz
    """
    traces = TraceFiles([file], on_cut_off=refuse_cut_off)
    for text in rendered(traces, settings_from(flags)):
        click.echo(text)


def rendered(traces: TraceFiles, settings: Settings) -> Iterator[str]:
    """Give the text of each span in files, whether it carries a vector or not.

    Raises:
        UnreadableFileError: a file holds something else. What came before was given.

    """
    renderer = Renderer(render_options(settings))
    attributes = annotator(settings, renderer.text_version)
    with traces.naming_faults():
        for span, service in spans_of(traces.requests(), renderer):
            yield renderer.render(attributes.stripped(span), service).content
