"""`otel-embedder catalogue`."""

from __future__ import annotations

import csv
import json
import sys
import time
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

import click

from otel_embedder.cli.parts.arguments import output_option
from otel_embedder.cli.parts.catalogues import catalogue_store, opened
from otel_embedder.cli.parts.options import settings_from, settings_options
from otel_embedder.cli.parts.progress import progress_bar
from otel_embedder.cli.parts.tables import cell, new_table, show
from otel_embedder.search.asking.information import information
from otel_embedder.search.asking.json_form import rfc3339
from otel_embedder.search.exporting import ExportedText, exported
from otel_embedder.search.merging import merge
from otel_embedder.search.times import kept_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_embedder.search.asking.answers import Info

BYTES_A_MEGABYTE = 1_000_000
BETWEEN_IDS = " "


@click.group("catalogue")
def command() -> None:
    """See to a catalogue: what it holds, and how much of it."""


@command.command("info")
@settings_options("catalogue")
@output_option("A table, or an object of JSON.")
def info_command(*, output: str, **flags: object) -> None:
    """Tell what a catalogue holds, by service and time, and its size.

    Example: otel-embedder catalogue info --catalogue sqlite:///spans.db
    """
    settings = settings_from(flags)
    with catalogue_store(settings, readonly=True) as store:
        info = information(store.columns(), store.rows(), size=store.size())
    if output == "json":
        click.echo(json.dumps(_as_json(info)))
    else:
        _show(info, settings.catalogue or "")


def _as_json(info: Info) -> dict[str, object]:
    services = [
        {
            **asdict(each),
            "first_seen": rfc3339(each.first_seen),
            "last_seen": rfc3339(each.last_seen),
        }
        for each in info.services
    ]
    return {**asdict(info), "services": services}


def _show(info: Info, url: str) -> None:
    table = new_table(
        *("service", "operations", "texts", "failing", "first seen", "last seen"), title=url
    )
    for each in info.services:
        counts = (f"{number:,}" for number in (each.operations, each.texts, each.failing))
        table.add_row(
            cell(each.service), *counts, rfc3339(each.first_seen), rfc3339(each.last_seen)
        )
    models = [f"{count:,} with a vector of {name}" for name, count in info.models.items()]
    waiting = [f"{info.waiting:,} without one yet"] if info.waiting else []
    versions = [f"{count:,} of text version {name}" for name, count in info.text_versions.items()]
    texts = f"{info.texts:,} texts, {info.bytes / BYTES_A_MEGABYTE:,.1f} MB"
    show(table, "", *map(cell, (texts, *models, *waiting, *versions)))


@command.command("prune")
@settings_options(
    *("catalogue", "catalogue_retention", "catalogue_minutes", "catalogue_hours"),
    "catalogue_texts",
)
def prune_command(**flags: object) -> None:
    """Let go what is older than it is to be kept, as a sidecar does by itself.

    Example: otel-embedder catalogue prune --catalogue sqlite:///spans.db --catalogue-retention 3
    """
    settings = settings_from(flags)
    with catalogue_store(settings, readonly=False) as store:
        before = len(store.columns().keys)
        store.tidy(kept_by(settings), now=int(time.time()), most_texts=settings.catalogue_texts)
        after = len(store.columns().keys)
    click.echo(f"{before - after:,} texts went, {after:,} are left", err=True)


@command.command("delete-service")
@click.argument("service")
@settings_options("catalogue")
def delete_service_command(*, service: str, **flags: object) -> None:
    """Take out all that SERVICE said: its texts, vectors, examples and counts.

    What others said when they called it stays. While spans of it still pass, a
    sidecar that fills the catalogue begins to keep them anew.

    Example: otel-embedder catalogue delete-service payment --catalogue sqlite:///spans.db
    """
    with catalogue_store(settings_from(flags), readonly=False) as store:
        if service not in {row.service for row in store.rows().values()}:
            raise click.ClickException(f"the catalogue holds nothing of a service {service!r}.")
        texts = store.delete_service(service)
    click.echo(f"{texts:,} texts went", err=True)


@command.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="A line of JSON for each text, or a table with commas.",
)
@settings_options("catalogue")
def export_command(*, form: str, **flags: object) -> None:
    """Write what a catalogue holds to stdout, text by text, without the vectors.

    Example: otel-embedder catalogue export --catalogue sqlite:///spans.db > spans.jsonl
    """
    with catalogue_store(settings_from(flags), readonly=True) as store:
        WRITTEN[form](exported(store))


def _write_jsonl(texts: Iterable[ExportedText]) -> None:
    for text in texts:
        click.echo(json.dumps(asdict(text)))


def _write_csv(texts: Iterable[ExportedText]) -> None:
    writer = csv.DictWriter(sys.stdout, [field.name for field in fields(ExportedText)])
    writer.writeheader()
    for text in texts:
        writer.writerow({**asdict(text), "trace_ids": BETWEEN_IDS.join(text.trace_ids)})


WRITTEN = {"jsonl": _write_jsonl, "csv": _write_csv}


@command.command("merge")
@click.argument("sources", metavar="URL...", nargs=-1, required=True)
@settings_options("catalogue")
def merge_command(*, sources: Sequence[str], **flags: object) -> None:
    """Take what the catalogues at URL... hold over into the one of --catalogue.

    Each writer's counts are taken once, however often and by whatever ways they
    come: done again it changes nothing but for what has come since.

    Example: otel-embedder catalogue merge sqlite:///b.db --catalogue sqlite:///a.db
    """
    settings = settings_from(flags)
    if settings.catalogue in sources:
        raise click.UsageError("a catalogue can't be taken over into itself.")
    with catalogue_store(settings, readonly=False) as target:
        for url in sources:
            with opened(url, readonly=True) as source, progress_bar("Taking texts") as advance:
                merged = merge(source, target, advance=advance)
            click.echo(
                f"{url}: {merged.texts:,} texts, counts of {merged.writers:,} writers, of "
                f"{merged.known:,} more nothing new",
                err=True,
            )
