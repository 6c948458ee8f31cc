"""What was measured of texts, as tables or as lines of JSON."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

import click

from otel_embedder.cli.parts.tables import new_table, show
from otel_embedder.search.evaluation.evaluation import (
    COSINE,
    DISTINCT,
    HIT,
    HIT_BESIDE,
    HYBRID,
    TOKENS,
)
from otel_embedder.search.evaluation.measures import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.cli.eval.profiles import Chosen
    from otel_embedder.search.evaluation.measures import Measure

DIGITS = 3
LEADING_ZERO = re.compile(r"\b0(?=\.)")
DIGITS_OF = {TOKENS: 1, DISTINCT: 0}
# What a table of rules has room for, and whether with an interval.
OF_RULES = {COSINE: True, HYBRID: True} | dict.fromkeys((HIT, HIT_BESIDE, TOKENS, DISTINCT), False)


def _show_tables(measures: Sequence[Measure], chosen: Chosen) -> None:
    data = dict.fromkeys(measure.data for measure in measures)
    for name in data:
        _show_table(name, [each for each in measures if each.data == name], chosen)
    *_, last = data
    of_rules = [each for each in measures if each.data == last and each.name in OF_RULES]
    for profile, changed in chosen.changed.items():
        if changed:
            _show_rules(profile, changed, of_rules)


def _show_table(data: str, measures: Sequence[Measure], chosen: Chosen) -> None:
    first, *others = chosen.profiles
    differences = [f"{first} - {other}" for other in others]
    table = new_table("", *chosen.profiles, *differences, title=data)
    for measure in measures:
        numbers = [measure.estimate(profile) for profile in chosen.profiles]
        apart = [measure.difference(first, other) for other in others]
        cells = [_cell(measure, each) for each in numbers]
        table.add_row(measure.name, *cells, *(_cell(measure, each, sign="+") for each in apart))
    show(table, "")


def _show_rules(profile: str, changed: dict[str, str], measures: Sequence[Measure]) -> None:
    names = [measure.name for measure in measures]
    table = new_table("changed", *names, title=f"{profile}, and what a change of each rule does")
    table.add_row("nothing", *(_rule_cell(each, each.estimate(profile)) for each in measures))
    for change, text in changed.items():
        apart = [(each, each.difference(text, profile)) for each in measures]
        table.add_row(change, *(_rule_cell(each, estimate, sign="+") for each, estimate in apart))
    show(table, "")


def _rule_cell(measure: Measure, estimate: Estimate, sign: str = "") -> str:
    shown = estimate if OF_RULES[measure.name] else Estimate(estimate.value)
    return _cell(measure, shown, sign)


def _cell(measure: Measure, estimate: Estimate, sign: str = "") -> str:
    digits = DIGITS_OF.get(measure.name, DIGITS)
    numbers = [each for each in estimate if each is not None]
    # Without the 0 in front there is room for three profiles.
    value, *interval = (LEADING_ZERO.sub("", f"{number:{sign},.{digits}f}") for number in numbers)
    return f"{value} [{', '.join(interval)}]" if interval else value


def _print_json(measures: Sequence[Measure], chosen: Chosen) -> None:
    for measure in measures:
        for line in _lines(measure, chosen):
            click.echo(json.dumps(line))


def _lines(measure: Measure, chosen: Chosen) -> Iterator[dict[str, object]]:
    """Give a measure's numbers, and the differences of those that are compared."""
    first, *others = chosen.profiles
    pairs = [(first, other) for other in others]
    pairs += [
        (text, profile) for profile, changed in chosen.changed.items() for text in changed.values()
    ]
    for text in chosen.renderers:
        yield _line(measure, measure.estimate(text), text)
    for text, other in pairs:
        yield {**_line(measure, measure.difference(text, other), text), "less": other}


def _line(measure: Measure, estimate: Estimate, text: str) -> dict[str, object]:
    numbers = {
        # JSON has no NaN, which a mean of nothing is.
        name: None if number is None or math.isnan(number) else round(number, DIGITS + 1)
        for name, number in estimate._asdict().items()
    }
    what = {"data": measure.data, "measure": measure.name, "unit": measure.unit or None}
    return {**what, "profile": text, **numbers}


def _show_changes(data: str, measures: Sequence[Measure]) -> None:
    baselines = [*measures[0].values]
    table = new_table("", *baselines, title=f"{data}: changes, by what a window is compared with")
    for measure in measures:
        cells = (_cell(measure, measure.estimate(baseline)) for baseline in baselines)
        table.add_row(measure.name, *cells)
    show(table, "")


def _print_changes(_: str, measures: Sequence[Measure]) -> None:
    for measure in measures:
        for baseline in measure.values:
            line = _line(measure, measure.estimate(baseline), baseline)
            line["baseline"] = line.pop("profile")
            click.echo(json.dumps(line))


SHOWN_CHANGES = {"table": _show_changes, "json": _print_changes}
SHOWN = {"table": _show_tables, "json": _print_json}
