"""Steps of time, and how long what is counted in them is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from otel_embedder.search.settings import CatalogueSettings

MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds; each a level
NANOSECONDS = 1_000_000_000  # of a second
END_OF_TIME = 2**33  # seconds since 1970: the year 2242
EPOCH = datetime.fromtimestamp(0, UTC)


def nanoseconds(moment: datetime) -> int:
    """Give the nanoseconds since 1970, exactly: as a float they would be off."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1_000


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


def kept_by(settings: CatalogueSettings) -> Kept:
    """Give how long counts are kept in which steps."""
    return Kept(
        minutes=round(settings.catalogue_minutes * DAY),
        hours=round(settings.catalogue_hours * DAY),
        all=round(settings.catalogue_retention * DAY),
    )


def quiet_nanoseconds(settings: CatalogueSettings) -> int:
    """Give after how long a failure that comes again is regressed."""
    return round(settings.group_quiet_after * DAY) * NANOSECONDS
