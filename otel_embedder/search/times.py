"""Steps of time, and how long what is counted in them is kept."""

from __future__ import annotations

from typing import NamedTuple

MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds; each a level
NANOSECONDS = 1_000_000_000  # of a second
END_OF_TIME = 2**33  # seconds since 1970: the year 2242


class Kept(NamedTuple):
    """How long counts are kept in which steps, in seconds back from now.

    Attributes:
        minutes: after that minutes become hours.
        hours: after that hours become days.
        all: what was not seen for so long goes.

    """

    minutes: int
    hours: int
    all: int
