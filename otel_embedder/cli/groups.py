"""`otel-embedder groups`."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from otel_embedder.cli.parts.arguments import output_option
from otel_embedder.cli.parts.catalogues import catalogue_store
from otel_embedder.cli.parts.embedding import loaded_embedder
from otel_embedder.cli.parts.options import MODEL_SETTINGS, settings_from, settings_options
from otel_embedder.cli.parts.queries import query_from, query_options
from otel_embedder.cli.parts.remote import TOKEN_SETTINGS, page_at, said_by, url_option
from otel_embedder.cli.parts.tables import cell, columns, cut_cell, new_table, show, sparkline
from otel_embedder.errors import EmbeddingError
from otel_embedder.search.asking.deciding import Mute, Reopen, Resolve
from otel_embedder.search.asking.json_form import example_as_json, group_as_json, rfc3339
from otel_embedder.search.asking.queries import GroupsQuery
from otel_embedder.search.groups.asking import Groups
from otel_embedder.search.groups.found import GroupsAnswer
from otel_embedder.search.links import trace_link
from otel_embedder.search.times import quiet_nanoseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_embedder.search.asking.deciding import Decision
    from otel_embedder.search.groups.found import FoundGroup
    from otel_embedder.search.store import Store
    from otel_embedder.settings import Settings

OTHER_COLUMNS = 47  # what a table needs besides the failure
TITLE_LINES = 3
MOST_NAMES = 5
MOST_MEMBERS = 1_000

ASKING = ("catalogue", "trace_link", "group_quiet_after")


@click.group("groups", invoke_without_command=True)
@query_options(GroupsQuery)
@click.option(
    "--members",
    is_flag=True,
    help="Which trace is in which group, a line for each: the trace's id, a blank, the group's.",
)
@url_option
@output_option("A table with long words cut, or a line of JSON for each group, whole.")
@settings_options(*ASKING, *TOKEN_SETTINGS)
def command(*, members: bool, url: str | None, output: str, **flags: object) -> None:
    """Tell which failures there are, by the words of their causes.

    Traces that fail alike are one group, with an id that stays. New and regressed
    groups come first, of each kind the one that grows most. What is decided about
    one is kept: see the commands.

    Example: otel-embedder groups --since 1d --catalogue sqlite:///spans.db
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    asked = {name: flags.pop(name) for name in [*flags] if name in GroupsQuery.model_fields}
    query = query_from(GroupsQuery, asked)
    if url is not None:
        answer = _of_page(url, query, asked, flags, members=members)
    else:
        with _asked(flags) as (groups, _):
            answer = groups.find(query)
            if members:
                _print_members(answer, groups)
                return
    if output == "json":
        for group in answer.groups:
            click.echo(json.dumps(group_as_json(group)))
    else:
        _show_table(answer)


def _of_page(
    url: str,
    query: GroupsQuery,
    asked: Mapping[str, object],
    flags: dict[str, object],
    *,
    members: bool,
) -> GroupsAnswer:
    """Ask a page.

    Raises:
        click.UsageError: a catalogue is named, too, or what a page does not tell is asked for.

    """
    if flags["catalogue"] is not None:
        raise click.UsageError("ask --url or --catalogue, one of them.")
    if members:
        raise click.UsageError("--members is of a catalogue: a page tells a few traces of each.")
    with page_at(url, settings_from(flags)) as page:
        return page.ask("groups", said_by(query, asked), GroupsAnswer)


@contextmanager
def _asked(flags: dict[str, object]) -> Iterator[tuple[Groups, Settings]]:
    settings = settings_from(flags)
    with catalogue_store(settings, readonly=True) as store:
        yield (
            Groups(
                store,
                link=trace_link(settings.trace_link),
                quiet_after=quiet_nanoseconds(settings),
            ),
            settings,
        )


@contextmanager
def _written(flags: dict[str, object]) -> Iterator[Store]:
    with catalogue_store(settings_from(flags), readonly=False) as store:
        yield store


def _decide(group: str, decision: Decision, flags: dict[str, object]) -> None:
    with _written(flags) as store:
        decision.apply(store.groups, group, datetime.now(UTC))


def _print_members(answer: GroupsAnswer, groups: Groups) -> None:
    for group in answer.groups:
        for member in groups.members(group.id, most=MOST_MEMBERS):
            click.echo(f"{member.trace_id} {group.id}")


def _show_table(answer: GroupsAnswer) -> None:
    table = new_table("group", "state", "traces", "failure", "last", title="Failures")
    table.padding = (0, 1, 0, 0)
    width = columns() - OTHER_COLUMNS
    for group in answer.groups:
        text = cut_cell(f"{group.service}: {group.title}", width=width, lines=TITLE_LINES)
        text.append(f"\n{cut_cell(_facts(group), width=width, lines=2)}", style="dim")
        last = rfc3339(group.last_seen)[:-5].replace("T", "\n")
        table.add_row(group.id, group.state, f"{group.count:,}", text, last)
    show(table)
    left = answer.total - len(answer.groups)
    if left:
        click.echo(f"and {left:,} more: --count says how many are shown")


def _facts(group: FoundGroup) -> str:
    reached = [name for name in group.reached if name != group.service]
    reach = f", reached {_some(reached)}" if reached else ""
    note = f"; {group.note}" if group.note else ""
    return f"{sparkline(group.trend)} at {_some(group.operations)}{reach}{note}"


def _some(names: list[str] | tuple[str, ...]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


@command.command("show")
@click.argument("group", metavar="ID")
@click.option("--members", is_flag=True, help="All of its traces that are known, not only some.")
@output_option("Words, or an object of JSON.")
@settings_options(*ASKING, *MODEL_SETTINGS)
def show_command(*, group: str, members: bool, output: str, **flags: object) -> None:
    """Tell all of a group of failures, and which others read alike.

    Example: otel-embedder groups show 9c1d4e --catalogue sqlite:///spans.db
    """
    with _asked(flags) as (groups, settings):
        found = _with_related(groups, group, settings)
        traces = groups.members(group, most=MOST_MEMBERS) if members else found.examples
    if output == "json":
        told = {**group_as_json(found), "examples": [example_as_json(each) for each in traces]}
        click.echo(json.dumps(told))
        return
    lines = {
        "group": found.id,
        "failure": found.title,
        "state": found.state,
        "service": found.service,
        "exception": found.type,
        "operations": ", ".join(found.operations),
        "reached": ", ".join(found.reached),
        "traces": f"{found.count:,} {sparkline(found.trend)}",
        "first": rfc3339(found.first_seen),
        "last": rfc3339(found.last_seen),
        "came again": "" if found.came_again is None else rfc3339(found.came_again),
        "muted until": "" if found.muted_until is None else rfc3339(found.muted_until),
        "merged": ", ".join(found.merged),
        "note": found.note,
    }
    show(*(cell(f"{name:<12}{value}") for name, value in lines.items() if value))
    for trace in traces:
        click.echo(f"{'trace':<12}{trace.link or trace.trace_id}  {rfc3339(trace.time)}")
    for other in found.related:
        show(
            cell(f"{'reads alike':<12}{other.cosine:.2f} {other.id} {other.service}: {other.title}")
        )


def _with_related(groups: Groups, name: str, settings: Settings) -> FoundGroup:
    """Give a group, without those that read alike where there is no model."""
    found = groups.show(name)
    try:
        with loaded_embedder(settings) as embedder:
            return groups.show(name, embedder)
    except EmbeddingError as error:
        click.echo(f"otel-embedder: which others read alike is not told: {error}", err=True)
        return found


@command.command("mute")
@click.argument("group", metavar="ID")
@query_options(Mute)
@settings_options("catalogue")
def mute_command(*, group: str, until: str | None, **flags: object) -> None:
    """Tell no more of a group: it comes last, and nobody is alerted.

    Example: otel-embedder groups mute 9c1d4e --until 7d --catalogue sqlite:///spans.db
    """
    _decide(group, query_from(Mute, {"until": until}), flags)


@command.command("resolve")
@click.argument("group", metavar="ID")
@settings_options("catalogue")
def resolve_command(*, group: str, **flags: object) -> None:
    """Say that a group is settled: if it comes again, it is told of as regressed.

    Example: otel-embedder groups resolve 9c1d4e --catalogue sqlite:///spans.db
    """
    _decide(group, Resolve(), flags)


@command.command("reopen")
@click.argument("group", metavar="ID")
@settings_options("catalogue")
def reopen_command(*, group: str, **flags: object) -> None:
    """Take back that a group is muted or resolved.

    Example: otel-embedder groups reopen 9c1d4e --catalogue sqlite:///spans.db
    """
    _decide(group, Reopen(), flags)


@command.command("merge")
@click.argument("group", metavar="ID")
@click.argument("into", metavar="INTO")
@settings_options("catalogue")
def merge_command(*, group: str, into: str, **flags: object) -> None:
    """Let the group ID count as the group INTO from now on; split takes it back.

    Example: otel-embedder groups merge 9c1d4e 77ab02 --catalogue sqlite:///spans.db
    """
    with _written(flags) as store:
        store.groups.merge(group, into)


@command.command("split")
@click.argument("group", metavar="ID")
@click.option(
    "--place",
    type=click.IntRange(min=1),
    help="Which <*> of its words, counted from 1: each word there is a group of its own from now "
    "on. Without it, a merge is taken back.",
)
@settings_options("catalogue")
def split_command(*, group: str, place: int | None, **flags: object) -> None:
    """Take back a merge, or tell apart what differs in a word.

    Of what was counted only the traces that are still known by their ids, the
    latest 1,000, move to the new groups.

    Example: otel-embedder groups split 9c1d4e --place 1 --catalogue sqlite:///spans.db
    """
    with _written(flags) as store:
        for id_ in store.groups.split(group, place):
            click.echo(id_)


@command.command("note")
@click.argument("group", metavar="ID")
@click.argument("text")
@settings_options("catalogue")
def note_command(*, group: str, text: str, **flags: object) -> None:
    """Write TEXT to a group, in the place of what was there.

    Example: otel-embedder groups note 9c1d4e "see INC-7" --catalogue sqlite:///spans.db
    """
    with _written(flags) as store:
        store.groups.note(group, text)
