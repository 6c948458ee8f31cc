"""`otel-embedder render`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from otel_embedder.annotation.annotator import annotator
from otel_embedder.cli.arguments import requests_in
from otel_embedder.cli.options import TEXT_SETTINGS, settings_from, settings_options
from otel_embedder.search.index import spans_of
from otel_embedder.text.options import render_options
from otel_embedder.text.renderer import Renderer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from otel_embedder.settings import Settings


@click.command("render")
@click.argument("file", type=click.File("rb"))
@settings_options(*TEXT_SETTINGS, "attribute_prefix")
def command(file: BufferedReader, **flags: object) -> None:
    """Print the text of each span in FILE, a line each; - is stdin.

    FILE holds OTLP/JSON lines or OTLP protobuf, as a Collector's file exporter
    writes them, compressed or not.

    Example: otel-embedder render traces.jsonl.gz
    """
    for text in rendered(file, settings_from(flags)):
        click.echo(text)


def rendered(file: BufferedReader, settings: Settings) -> Iterator[str]:
    """Give the text of each span in a file, whether it carries a vector or not."""
    renderer = Renderer(render_options(settings))
    attributes = annotator(settings, renderer.text_version)
    for span, service in spans_of(requests_in(file), renderer):
        yield renderer.render(attributes.stripped(span), service).content
