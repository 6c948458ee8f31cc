"""Hits as JSON: the same from the command line and from whatever else gives them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_embedder.search.asking.answers import FoundExample, Hit

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
        "examples": [_example(each) for each in hit.examples],
    }


def _example(example: FoundExample) -> dict[str, object]:
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
