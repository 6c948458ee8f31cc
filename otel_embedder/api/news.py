"""What has come since it was looked last: texts as points, and groups of failures that are new."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from otel_embedder.api.status import Beat
from otel_embedder.search.asking.answers import Points
from otel_embedder.search.asking.browsing import MapQuery
from otel_embedder.search.groups.found import FreshGroups

# Of texts that came within a second; whoever misses some asks for all.
MOST_TEXTS = 500


@dataclass(frozen=True, slots=True)
class NewTexts:
    """Texts that have come.

    Attributes:
        after: since which change; who knows less has missed some.
        points: they; where `total` is greater than their number some are left out.

    """

    after: int
    points: Points


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to tell of a second.

    Attributes:
        beat: how all is.
        texts: those that have come; None if none have.
        groups: those that are new, or have come again.

    """

    beat: Beat
    texts: NewTexts | None
    groups: FreshGroups


class Source(Protocol):
    """A catalogue, of which News needs this much."""

    def points(self, query: MapQuery) -> Points:
        """Give texts as points."""
        ...

    def fresh(self) -> FreshGroups:
        """Give the groups that are new, or have come again."""
        ...


class News:
    """Looks for what is new. Not safe to use from several threads at once."""

    def __init__(self, beat: Callable[[], Beat], catalogue: Callable[[], Source]) -> None:
        """Prepare to look.

        Args:
            beat: tells how all is.
            catalogue: gives what has the texts and the groups.

        """
        self._beat = beat
        self._catalogue = catalogue
        self._looked_at: Source | None = None
        self._told: int | None = None
        self._groups: tuple[int, FreshGroups] | None = None

    def begin(self) -> None:
        """Begin anew: what comes from now on is new."""
        self._told = self._groups = None

    def look(self) -> Seen:
        """Give what is new.

        Raises:
            StoreError: the catalogue can't be read.

        """
        catalogue = self._catalogue()
        if catalogue is not self._looked_at:
            # Another one in its place counts changes of its own.
            self._looked_at = catalogue
            self.begin()
        beat = self._beat()
        if self._groups is None or self._groups[0] != beat.changed:
            self._groups = beat.changed, catalogue.fresh()
        return Seen(beat, self._texts(catalogue, beat.changed), self._groups[1])

    def _texts(self, catalogue: Source, changed: int) -> NewTexts | None:
        after = self._told
        # What is read anew may be another's.
        if after is None or changed < after:
            self._told = changed
            return None
        if changed == after:
            return None
        points = catalogue.points(MapQuery(after=after, count=MOST_TEXTS))
        if not points.total:
            return None
        self._told = points.changed
        return NewTexts(after, points)
