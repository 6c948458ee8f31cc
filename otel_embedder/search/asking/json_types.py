"""How times and numbers of answers stand in JSON: one description, to write, to read, to document.

An answer is a plain dataclass. Annotated so, pydantic gives it as JSON, makes it of that
JSON again, and tells an API's document what it looks like.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from otel_embedder.search.times import NANOSECONDS, nanoseconds

DIGITS = 4
MOMENT = WithJsonSchema({"type": "string", "format": "date-time"})


def rfc3339(nanoseconds: int) -> str:
    """Give a time since 1970 as RFC 3339 has it, in milliseconds."""
    moment = datetime.fromtimestamp(nanoseconds // NANOSECONDS, UTC)
    moment = moment.replace(microsecond=nanoseconds % NANOSECONDS // 1_000_000 * 1_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_nanoseconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    return nanoseconds(datetime.fromisoformat(value))


def _seconds(value: object) -> object:
    read = _in_nanoseconds(value)
    return read // NANOSECONDS if isinstance(read, int) else read


def _rfc3339_of_seconds(seconds: int) -> str:
    return rfc3339(seconds * NANOSECONDS)


def _likeness(value: float) -> float:
    return round(value, DIGITS)


def _significant(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


# Nanoseconds since 1970, and seconds since then; in JSON both are as RFC 3339 has them.
Time = Annotated[
    int, BeforeValidator(_in_nanoseconds), PlainSerializer(rfc3339, when_used="json"), MOMENT
]
Second = Annotated[
    int, BeforeValidator(_seconds), PlainSerializer(_rfc3339_of_seconds, when_used="json"), MOMENT
]
# Between -1 and 1, or a sum of such: more digits say nothing.
Likeness = Annotated[float, PlainSerializer(_likeness, when_used="json")]
# What was measured by steps that are coarser than these digits.
Measured = Annotated[float, PlainSerializer(_significant, when_used="json")]
