"""Changes as JSON: the same from the command line and from whatever else gives them."""

from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING

from otel_embedder.search.asking.answers import FoundExample
from otel_embedder.search.asking.json_form import example_as_json, rfc3339
from otel_embedder.search.changes.answers import Period
from otel_embedder.search.store import NANOSECONDS

if TYPE_CHECKING:
    from otel_embedder.search.changes.answers import Changes

DIGITS = 4


def changes_as_json(changes: Changes) -> dict[str, object]:
    """Give changes as JSON has them: the names of the fields, and times as RFC 3339 has them."""
    return {each.name: _plain(getattr(changes, each.name)) for each in fields(changes)}


def _plain(value: object) -> object:
    if isinstance(value, Period):
        times = {name: rfc3339(getattr(value, name) * NANOSECONDS) for name in ("since", "until")}
        return {**asdict(value), **times}
    if isinstance(value, FoundExample):
        return example_as_json(value)
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, tuple):
        return [*map(_plain, value)]
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value
