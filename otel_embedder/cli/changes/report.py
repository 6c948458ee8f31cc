"""What has changed, for a terminal or as JSON."""

from __future__ import annotations

import json
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from otel_embedder.cli.parts.tables import columns, for_terminal
from otel_embedder.search.changes.json_form import changes_as_json
from otel_embedder.search.changes.telling import in_words, percent
from otel_embedder.search.times import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from otel_embedder.search.asking.answers import FoundExample
    from otel_embedder.search.changes.answers import Change, Changes, Operation, Period, Shifted

INDENT = "   "
MOST_TRACES = 2  # of each time
LEAST_Z = 1.0


def _show(changes: Changes) -> None:
    for line in report(changes, columns()):
        click.echo(line)


def report(changes: Changes, width: int) -> Iterator[str]:
    """Give a report by lines of a width at most."""
    for line in _lines(changes):
        yield from textwrap.wrap(line, width, subsequent_indent=2 * INDENT) or [""]


def _lines(changes: Changes) -> Iterator[str]:
    yield f"{_period(changes.window)} against {_period(changes.baseline)}"
    yield ""
    if changes.certain:
        for number, change in enumerate(changes.certain, 1):
            yield from _told(f"{number}.", change)
    else:
        yield _nothing(changes)
        yield ""
    if changes.uncertain:
        yield "not certain:"
        for change in changes.uncertain:
            yield f"{INDENT}{_named(change.operation)}: {_reasons(change)}"
        yield ""
    yield from _beside(changes)


def _period(period: Period) -> str:
    if not period.finest:
        return "no spans"
    since, until = (
        f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M}"
        for second in (period.since, period.until)
    )
    coarse = "" if period.finest <= MINUTE else f", counted by {period.finest // MINUTE} minutes"
    same_day = since[:10] == until[:10]
    return f"{since} - {until[11:] if same_day else until} UTC ({period.spans:,} spans{coarse})"


def _told(number: str, change: Change) -> Iterator[str]:
    yield f"{number} {_named(change.operation)}"
    yield f"{INDENT}{_reasons(change)}"
    yield f"{INDENT}{change.spans_after:,} spans, {change.spans_before:,} before"
    if change.text:
        yield f"{INDENT}reads: {for_terminal(change.text)}"
    yield from _examples("now", change.examples_after)
    yield from _examples("before", change.examples_before)
    if change.group:
        yield f"{INDENT}its failures: groups show {change.group}"
    for alike in change.reads_like[:1]:
        read = f"{alike.cosine:.2f} {alike.service} {alike.operation}: {alike.text}"
        yield f"{INDENT}reads like: {for_terminal(read)}"
    yield ""


def _named(operation: Operation) -> str:
    calls = f" -> {operation.calls}" if operation.calls else ""
    return for_terminal(f"{operation.service} {operation.operation}{calls}")


def _reasons(change: Change) -> str:
    first, *others = change.reasons
    worth_telling = [first, *(each for each in others if each.z >= LEAST_Z)]
    return for_terminal("; ".join(f"{each.said} (z {each.z:.0f})" for each in worth_telling))


def _examples(when: str, examples: Sequence[FoundExample]) -> Iterator[str]:
    for example in examples[:MOST_TRACES]:
        took = "" if example.milliseconds is None else f" {in_words(example.milliseconds)}"
        yield f"{INDENT}{when}: {example.trace_id}{took} {example.link}".rstrip()


def _nothing(changes: Changes) -> str:
    """Say that nothing was found, and what could have been."""
    if not changes.window.spans or not changes.baseline.spans:
        when = "the window" if not changes.window.spans else "the time before"
        return f"nothing can be told: no spans were counted in {when}"
    if changes.visible is None:
        return "no change found; with so few spans none could be certain"
    visible = changes.visible
    return (
        f"no change found: of the {visible.spans:,} spans of {_named(visible.operation)} "
        f"{percent(visible.failing)} would have had to fail"
    )


def _beside(changes: Changes) -> Iterator[str]:
    shifts = {"gone": changes.gone, "fewer": changes.fewer, "more": changes.more}
    for word, shifted in shifts.items():
        for each in shifted:
            yield f"{word}: {_named(each.operation)} {_frequency(each)}"
    for each in changes.faster:
        took = f"p50 {in_words(each.before)} -> {in_words(each.after)}"
        yield f"faster: {_named(each.operation)} {took}"


def _frequency(shifted: Shifted) -> str:
    return f"{shifted.before:.2g} -> {shifted.after:.2g} spans a trace"


def _print_json(changes: Changes) -> None:
    click.echo(json.dumps(changes_as_json(changes)))


SHOWN: Mapping[str, Callable[[Changes], None]] = {"table": _show, "json": _print_json}
