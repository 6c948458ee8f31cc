"""Changes judged by incidents: where the faulty service stands, and what ordinary windows raise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.search.changes.callees import most_called
from otel_embedder.search.changes.finding import find_changes
from otel_embedder.search.evaluation.labels import IN_CALLERS
from otel_embedder.search.evaluation.measures import Shares, measured
from otel_embedder.search.times import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from otel_embedder.search.changes.finding import RowChange
    from otel_embedder.search.evaluation.incidents import CountedWindow, Incidents
    from otel_embedder.search.evaluation.labels import Fault
    from otel_embedder.search.evaluation.measures import Measure

    Baseline = Callable[[CountedWindow], list[CountedWindow]]

SEED = 17
INCIDENT, ORDINARY = "incident", "ordinary window"
SERVICE_NAMED, ROW = "service named", "row"
AMONG = {"first": 1, "in three": 3, "in five": 5}
FALSE_ALARMS, ALARMS = "false alarms", "incidents above the line"
OF_THE_DAY, THREE_BEFORE, HOUR_BEFORE = "all of its day", "three before", "hour before"
BEFORE = 3  # windows
NOWHERE = 10**9


class Place(NamedTuple):
    """Where the fault stands among what has changed, from 0; NOWHERE if it does not.

    Attributes:
        of_row: the first row that is right: of the faulty service, or for a delayed network of
            one that calls it.
        of_service: the first row that names the faulty service, as its own or as whom it calls.
        is_certain: whether anything is.

    """

    of_row: int
    of_service: int
    is_certain: bool


class Judging:
    """Asks for changes in each window, and looks where the fault stands."""

    def __init__(self, incidents: Incidents) -> None:
        """Prepare to judge.

        Args:
            incidents: windows, counted.

        """
        self._rows = incidents.rows
        self._faulty = [each for each in incidents.windows if each.window.is_faulty]
        self._ordinary = [each for each in incidents.windows if not each.window.is_faulty]
        called = most_called(each.counts for each in incidents.windows)
        self._called = {row: incidents.services[service] for row, service in called.items()}
        self.baselines: Mapping[str, Baseline] = {
            OF_THE_DAY: self._of_the_day,
            THREE_BEFORE: lambda window: self._before(window)[-BEFORE:],
            HOUR_BEFORE: self._in_the_hour,
        }

    def _of_the_day(self, window: CountedWindow) -> list[CountedWindow]:
        """Give the ordinary windows of a window's day, but not itself."""
        return [
            each
            for each in self._ordinary
            if each.start // DAY == window.start // DAY and each is not window
        ]

    def _before(self, window: CountedWindow) -> list[CountedWindow]:
        """Give those that began before it: one of the same minute did, being its own."""
        return [
            each for each in self._ordinary if each.start <= window.start and each is not window
        ]

    def _in_the_hour(self, window: CountedWindow) -> list[CountedWindow]:
        return [each for each in self._before(window) if each.start >= window.start - HOUR]

    def places(self, baseline: Baseline) -> list[Place]:
        """Give where the fault of each incident stands."""
        return [
            self._place(each.window.fault, self._ranked(each, baseline)) for each in self._faulty
        ]

    def alarms(self, baseline: Baseline) -> list[bool]:
        """Tell of each ordinary window whether something in it is told as certain."""
        return [
            any(change.is_certain for change in self._ranked(each, baseline))
            for each in self._ordinary
        ]

    @staticmethod
    def _ranked(window: CountedWindow, baseline: Baseline) -> Sequence[RowChange]:
        before = [each.counts for each in baseline(window)]
        return find_changes(before, [window.counts]).ranked if before else ()

    def _place(self, fault: Fault, ranked: Sequence[RowChange]) -> Place:
        own = [self._rows[each.row].service == fault.service for each in ranked]
        calling = [self._called.get(each.row) == fault.service for each in ranked]
        named = [a or b for a, b in zip(own, calling, strict=True)]
        right = named if fault.type == IN_CALLERS else own
        return Place(_first(right), _first(named), any(each.is_certain for each in ranked))


def _first(flags: Sequence[bool]) -> int:
    return flags.index(True) if True in flags else NOWHERE


def judge_changes(data: str, incidents: Incidents) -> Iterator[Measure]:
    """Judge changes by incidents; what is measured is by the name of the baseline.

    Args:
        data: the name of the files.
        incidents: windows, counted.

    """
    judging = Judging(incidents)
    places = {name: judging.places(each) for name, each in judging.baselines.items()}
    alarms = {name: judging.alarms(each) for name, each in judging.baselines.items()}

    def told(name: str, value: Callable[[Place], bool]) -> Measure:
        shares = {
            by: Shares.each([float(value(each)) for each in found]) for by, found in places.items()
        }
        return measured(name, data, INCIDENT, shares, seed=SEED)

    for among, count in AMONG.items():
        yield told(f"{SERVICE_NAMED}, {among}", partial(_is_named, count=count))
    for among, count in AMONG.items():
        yield told(f"{ROW}, {among}", partial(_is_right, count=count))
    yield told(ALARMS, lambda each: each.is_certain)
    shares = {by: Shares.each([*map(float, each)]) for by, each in alarms.items()}
    yield measured(FALSE_ALARMS, data, ORDINARY, shares, seed=SEED)


def _is_named(place: Place, *, count: int) -> bool:
    return place.of_service < count


def _is_right(place: Place, *, count: int) -> bool:
    return place.of_row < count
