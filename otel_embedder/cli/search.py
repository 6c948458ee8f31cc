"""`otel-embedder search`, and `nearest`, which is an older name of it."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import click
from rich.table import Column

from otel_embedder.cli.parts.arguments import (
    FILE,
    form_option,
    span_id_argument,
    tell_of_cut_off,
    tell_of_unknown_words,
    text_argument,
)
from otel_embedder.cli.parts.asked import kept_in
from otel_embedder.cli.parts.catalogues import catalogue_store
from otel_embedder.cli.parts.embedding import loaded_embedder
from otel_embedder.cli.parts.filled import FilledStore, SoughtSpan, fill
from otel_embedder.cli.parts.options import (
    MODEL_SETTINGS,
    TEXT_SETTINGS,
    settings_from,
    settings_options,
)
from otel_embedder.cli.parts.queries import query_from, query_options
from otel_embedder.cli.parts.remote import TOKEN_SETTINGS, page_at, said_by, url_option
from otel_embedder.cli.parts.tables import (
    COSINE_DIGITS,
    columns,
    cut_cell,
    new_table,
    show,
    sparkline,
)
from otel_embedder.files.trace_files import TraceFiles
from otel_embedder.search.asking.answers import Answer
from otel_embedder.search.asking.json_form import hit_as_json, rfc3339
from otel_embedder.search.asking.queries import LikeQuery, SearchQuery
from otel_embedder.search.asking.targets import SPAN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from otel_embedder.files.named_forms import Form
    from otel_embedder.search.asking.answers import Hit
    from otel_embedder.search.catalogue import Catalogue
    from otel_embedder.search.store import Store
    from otel_embedder.settings import Settings

TRACE_ID_COLUMNS = 32
OTHER_COLUMNS = 59  # what a table needs besides the text
TEXT_LINES = 3
MAX_TRACES = 3


class Wanted(NamedTuple):
    """What is looked for, and where.

    Attributes:
        question: in words; None if it is the like of something.
        like: a trace, a text of the catalogue or any text; None if it is a question.
        span_id: a span of the files; None if it is none.
        files: where; none if it is the catalogue.
        form: of the files, if it is not OTLP's.

    """

    question: str | None
    like: str | None
    span_id: str | None
    files: tuple[str, ...]
    form: Form | None


@click.command("search")
@click.argument("words", metavar="[QUESTION] [FILE]...", nargs=-1)
@click.option("--like", metavar="ID", help=LikeQuery.model_fields["like"].description)
@click.option("--to", "text", callback=text_argument, metavar="TEXT", help="The question, too.")
@click.option(
    "--to-span",
    "span_id",
    callback=span_id_argument,
    metavar="ID",
    help="What to look for the like of: any span of FILE..., 16 hex digits.",
)
@click.option("--errors-only", is_flag=True, help="The same as --status ERROR.")
@url_option
@form_option
@query_options(SearchQuery, without=("question",))
@click.option(
    "--output",
    type=click.Choice(["table", "json", "ids"]),
    default="table",
    show_default=True,
    help="A table with long texts cut, a line of JSON for each text, whole, or trace ids alone.",
)
@settings_options(
    "catalogue",
    "trace_link",
    *TOKEN_SETTINGS,
    *TEXT_SETTINGS,
    "attribute_prefix",
    *MODEL_SETTINGS,
)
def command(  # noqa: PLR0913 - an option is an argument
    *,
    words: tuple[str, ...],
    like: str | None,
    text: str | None,
    span_id: str | None,
    errors_only: bool,
    url: str | None,
    form: Form | None,
    output: str,
    **flags: object,
) -> None:
    """Find spans that answer QUESTION, in a catalogue or FILE...; - is stdin.

    Spans that read the same are one row: how well it answers, how near it is, how
    many spans it had and when, how long they took, and some of their traces. A
    text counts the words that it has of the question beside its cosine; with --like,
    which takes the place of QUESTION, how alike durations are.

    What is asked for is best put as the spans put it: with the names of things,
    and with what went wrong.

    Example: otel-embedder search "card payments time out" --catalogue sqlite:///spans.db
    """
    filters = {name: flags.pop(name) for name in [*flags] if name in SearchQuery.model_fields}
    if errors_only:
        filters["status"] = ("ERROR",)
    wanted = _wanted(words, text, like, span_id, form)
    query = _query(wanted, filters)
    if wanted.files and flags["catalogue"] is not None:
        raise click.UsageError("ask FILE... or --catalogue, not both.")
    if wanted.span_id is not None and not wanted.files:
        raise click.UsageError("--to-span is of FILE...; a catalogue is asked by --like.")
    settings = settings_from(flags)
    if url is not None:
        if wanted.files or flags["catalogue"] is not None:
            raise click.UsageError("ask --url, FILE... or --catalogue, one of them.")
        with page_at(url, settings) as page:
            name = "search" if isinstance(query, SearchQuery) else "like"
            answer = page.ask(name, said_by(query, filters), Answer)
        _tell_of_left_out(answer, ())
        _show(answer, output)
        return
    if not wanted.files and settings.catalogue is None:
        raise click.UsageError(
            "say where to look: FILE... or --catalogue sqlite:///PATH, or --url."
        )
    with _asking(settings, wanted) as (catalogue, filled):
        answer = _answer(catalogue, filled, query)
        if not wanted.files:
            _tell_of_left_out(answer, catalogue.info().models)
    _show(answer, output)


def _show(answer: Answer, output: str) -> None:
    SHOWN[output](answer)
    tell_of_unknown_words(int(not answer.is_understood), ", and only words are compared")


def _wanted(
    words: tuple[str, ...],
    text: str | None,
    like: str | None,
    span_id: str | None,
    form: Form | None,
) -> Wanted:
    given = [each for each in (text, like, span_id) if each is not None]
    if len(given) > 1 or not (given or words):
        raise click.UsageError(
            "say what to look for: QUESTION, --like ID, --to TEXT or --to-span ID, one of them."
        )
    question, files = (text, words) if given else (words[0], words[1:])
    context = click.get_current_context()
    paths = tuple(str(FILE.convert(file, None, context)) for file in files)
    return Wanted(question, like, span_id, paths, form)


def _query(wanted: Wanted, filters: Mapping[str, object]) -> SearchQuery | LikeQuery:
    if wanted.question is not None:
        return query_from(SearchQuery, {**filters, "question": wanted.question})
    return query_from(LikeQuery, {**filters, "like": wanted.like or wanted.span_id})


@contextmanager
def _asking(settings: Settings, wanted: Wanted) -> Iterator[tuple[Catalogue, FilledStore | None]]:
    """Give the catalogue that is asked; and if it is of files, what was made of them."""
    with ExitStack() as parts:
        store: Store | None = None
        if not wanted.files:
            store = parts.enter_context(catalogue_store(settings, readonly=True))
        embedder = parts.enter_context(loaded_embedder(settings))
        if store is not None:
            yield kept_in(store, settings, embedder), None
            return
        traces = TraceFiles(wanted.files, on_cut_off=tell_of_cut_off, form=wanted.form)
        filled = fill(traces, settings, embedder, sought=_sought(wanted))
        yield kept_in(filled.store, settings, embedder), filled


def _sought(wanted: Wanted) -> SoughtSpan | None:
    """Give the span that is looked for in files, which need not be an example of its text."""
    if wanted.span_id is not None:
        return SoughtSpan(b"", bytes.fromhex(wanted.span_id))
    named = SPAN.fullmatch(wanted.like or "")
    return named and SoughtSpan(bytes.fromhex(named["trace"]), bytes.fromhex(named["span"] or ""))


def _answer(
    catalogue: Catalogue, filled: FilledStore | None, query: SearchQuery | LikeQuery
) -> Answer:
    if isinstance(query, SearchQuery):
        return catalogue.search(query)
    return catalogue.like(query, target=None if filled is None else filled.target)


def _tell_of_left_out(answer: Answer, models: Iterable[str]) -> None:
    """Tell which texts were not compared, and how they can be."""
    left_out = answer.left_out
    if not left_out.total:
        return
    others = ", ".join(name for name in models if name != answer.model)
    reasons = {
        f"with vectors of another model{others and f' ({others})'}": left_out.other_model,
        "of another text version": left_out.other_text_version,
        "without a vector yet": left_out.waiting,
    }
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    click.echo(
        f"otel-embedder: left out: {told}. The question is {answer.model}'s, text version "
        f"{answer.text_version}; otel-embedder reembed brings them over",
        err=True,
    )


def _show_table(answer: Answer) -> None:
    traces = Column("traces", min_width=TRACE_ID_COLUMNS, no_wrap=True)
    title = f"Nearest to: {answer.asked}"
    table = new_table("score", "cosine", "spans", "text", traces, title=title)
    table.padding = (0, 1, 0, 0)
    width = columns() - OTHER_COLUMNS
    for hit in answer.hits:
        text = cut_cell(hit.text, width=width, lines=TEXT_LINES)
        text.append(f"\n{cut_cell(_facts(hit), width=width, lines=2)}", style="dim")
        score, cosine = (f"{number:.{COSINE_DIGITS}f}" for number in (hit.score, hit.cosine))
        trace_ids = dict.fromkeys(each.trace_id for each in hit.examples)
        table.add_row(score, cosine, f"{hit.spans:,}", text, "\n".join([*trace_ids][:MAX_TRACES]))
    show(table)
    for hit in answer.hits:
        if hit.examples and hit.examples[0].link:
            click.echo(hit.examples[0].link)


def _facts(hit: Hit) -> str:
    """Give when it was seen, and how long it took, in a line."""
    took = "" if hit.milliseconds is None else f"{hit.milliseconds:,.3g} ms, "
    return f"{sparkline(hit.trend)} {took}last {rfc3339(hit.last_seen)[:-5].replace('T', ' ')}"


def _print_json(answer: Answer) -> None:
    for hit in answer.hits:
        click.echo(json.dumps(hit_as_json(hit)))


def _print_ids(answer: Answer) -> None:
    for trace_id in dict.fromkeys(each.trace_id for hit in answer.hits for each in hit.examples):
        click.echo(trace_id)


SHOWN: Mapping[str, Callable[[Answer], None]] = {
    "table": _show_table,
    "json": _print_json,
    "ids": _print_ids,
}
