"""Hits as JSON: the same from the command line and from whatever else gives them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_embedder.search.asking.answers import FoundExample, Hit
    from otel_embedder.search.groups.found import FoundGroup

DIGITS = 4
NANOSECONDS = 1_000_000_000


def hit_as_json(hit: Hit) -> dict[str, object]:
    """Give a hit as JSON has it; `trace_ids` are those of its examples, each once."""
    return {
        **asdict(hit),
        "score": round(hit.score, DIGITS),
        "cosine": round(hit.cosine, DIGITS),
        "first_seen": rfc3339(hit.first_seen),
        "last_seen": rfc3339(hit.last_seen),
        "milliseconds": _rounded(hit.milliseconds),
        "trace_ids": [*dict.fromkeys(each.trace_id for each in hit.examples)],
        "examples": [example_as_json(each) for each in hit.examples],
    }


def group_as_json(group: FoundGroup) -> dict[str, object]:
    """Give a group of failures as JSON has it."""
    times = {
        name: None if time is None else rfc3339(time)
        for name, time in (
            ("first_seen", group.first_seen),
            ("last_seen", group.last_seen),
            ("came_again", group.came_again),
            ("muted_until", group.muted_until),
        )
    }
    return {
        **asdict(group),
        **times,
        "growth": _rounded(group.growth),
        "examples": [example_as_json(each) for each in group.examples],
        "related": [
            {**asdict(each), "cosine": round(each.cosine, DIGITS)} for each in group.related
        ],
    }


def example_as_json(example: FoundExample) -> dict[str, object]:
    """Give an example as JSON has it."""
    return {
        **asdict(example),
        "time": rfc3339(example.time),
        "milliseconds": _rounded(example.milliseconds),
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else float(f"{milliseconds:.{DIGITS}g}")


def rfc3339(nanoseconds: int) -> str:
    """Give a time since 1970 as RFC 3339 has it, in milliseconds."""
    moment = datetime.fromtimestamp(nanoseconds // NANOSECONDS, UTC)
    moment = moment.replace(microsecond=nanoseconds % NANOSECONDS // 1_000_000 * 1_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
