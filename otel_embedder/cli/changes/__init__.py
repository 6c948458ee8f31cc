"""`otel-embedder changes`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from otel_embedder.annotation.standing import Origin
from otel_embedder.cli.changes.report import SHOWN
from otel_embedder.cli.parts.arguments import FILE, form_option, output_option, tell_of_cut_off
from otel_embedder.cli.parts.catalogues import catalogue_store
from otel_embedder.cli.parts.indexing import WRITER, indexer_of, read_files
from otel_embedder.cli.parts.options import (
    MODEL_SETTINGS,
    TEXT_SETTINGS,
    settings_from,
    settings_options,
)
from otel_embedder.cli.parts.queries import query_from, query_options
from otel_embedder.cli.parts.remote import TOKEN_SETTINGS, page_at, said_by, url_option
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.files.trace_files import TraceFiles
from otel_embedder.search.asking.held import Held
from otel_embedder.search.asking.queries import ChangesQuery
from otel_embedder.search.asking.targets import Targets
from otel_embedder.search.changes.answers import Changes
from otel_embedder.search.changes.comparing import of_one_store, of_two_stores
from otel_embedder.search.changes.failing import groups_by_place
from otel_embedder.search.changes.telling import Telling
from otel_embedder.search.changes.texts import Texts
from otel_embedder.search.links import trace_link
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.text.options import render_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.files.named_forms import Form
    from otel_embedder.search.store import Store
    from otel_embedder.settings import Settings

OF_FILES = ("--before", "--after")


class WithFiles(click.Command):
    """Lets several files stand behind one option, as a shell's pattern leaves them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the option before each file."""
        given: list[str] = []
        option = None
        for word in args:
            if word.startswith("-") and word != "-":
                option = word if word in OF_FILES else None
            elif option is not None and given[-1] != option:
                given.append(option)
            given.append(word)
        return super().parse_args(ctx, given)


@click.command("changes", cls=WithFiles)
@query_options(ChangesQuery)
@click.option(
    "--before",
    type=FILE,
    multiple=True,
    metavar="FILE...",
    help="Instead of a catalogue's times: files of a run that was good.",
)
@click.option(
    "--after",
    type=FILE,
    multiple=True,
    metavar="FILE...",
    help="Files of the run in question.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["certain"]),
    help="Exit with 1 if an operation has changed for certain: for deployments and cron.",
)
@url_option
@form_option
@output_option("A report, or one line of JSON.")
@settings_options(
    *("catalogue", "trace_link", *TOKEN_SETTINGS, *TEXT_SETTINGS, "attribute_prefix"),
    *MODEL_SETTINGS,
)
def command(  # noqa: PLR0913 - an option is an argument
    *,
    before: tuple[str, ...],
    after: tuple[str, ...],
    fail_on: str | None,
    url: str | None,
    form: Form | None,
    output: str,
    **flags: object,
) -> None:
    """Tell what is different now: slower, failing more, new, or the end of calls.

    The likeliest cause stands first, with whom it calls, what that rests on, and
    traces before and after. It is told from what a catalogue has counted, or of
    two runs in files. Below the line stands what may be chance.

    Example: otel-embedder changes --window 15m --catalogue sqlite:///spans.db
    """
    asked = {name: flags.pop(name) for name in [*flags] if name in ChangesQuery.model_fields}
    query = query_from(ChangesQuery, asked)
    if bool(before) != bool(after):
        raise click.UsageError("--before and --after go together: a good run and another.")
    if before and {"window", "against", "at"} & query.model_fields_set:
        raise click.UsageError("--window, --against and --at are of a catalogue, not of files.")
    if url is not None and (before or flags["catalogue"] is not None):
        raise click.UsageError("ask --url, --catalogue or files, one of them.")
    settings = settings_from(flags)
    if url is not None:
        with page_at(url, settings) as page:
            changes = page.ask("changes", said_by(query, asked), Changes)
    elif before:
        good, other = (_counted(files, form, settings) for files in (before, after))
        changes = _of_files(good, other, settings, query)
    else:
        with catalogue_store(settings, readonly=True) as store:
            changes = _of_catalogue(store, settings, query)
    SHOWN[output](changes)
    if fail_on and changes.certain:
        raise click.ClickException(f"changed for certain: {len(changes.certain):,} operations.")


def _of_catalogue(store: Store, settings: Settings, query: ChangesQuery) -> Changes:
    compared = of_one_store(store, *query.times(datetime.now(UTC)))
    texts = _texts(store, settings)
    groups = groups_by_place(store.groups.all(), compared)
    telling = Telling(compared, before=texts, after=texts, groups=groups)
    return telling.tell(compared.find(), most=query.count)


def _texts(store: Store, settings: Settings) -> Texts:
    version = render_options(settings).version()
    held = Held(store, model=model_name(settings.model), text_version=version)
    held.refresh()
    targets = Targets(store, Origin(model_name(settings.model), version))
    return Texts(store, held, trace_link(settings.trace_link), text_id=targets.remember)


def _of_files(good: Store, other: Store, settings: Settings, query: ChangesQuery) -> Changes:
    compared = of_two_stores(good, other)
    before, after = _texts(good, settings), _texts(other, settings)
    # Their groups are of no catalogue: nobody could look at them.
    telling = Telling(compared, before=before, after=after, groups={})
    return telling.tell(compared.find(), most=query.count)


def _counted(files: Sequence[str], form: Form | None, settings: Settings) -> MemoryStore:
    """Put files into a catalogue in memory, without vectors."""
    store = MemoryStore()
    traces = TraceFiles(files, on_cut_off=tell_of_cut_off, form=form)
    read_files(indexer_of(store, settings, dimension=0), WRITER, traces)
    return store
