"""Tells of groups of failures that are new, or have come again: in the log, as a number, by a hook.

Of each it is told once, by whoever wrote it to the catalogue first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from otel_embedder.search.times import NANOSECONDS
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_embedder.search.groups.kept import Came
    from otel_embedder.search.links import TraceLink

Event = Literal["error-group.new", "error-group.regressed"]
GROUP_NEW: Event = "error-group.new"
GROUP_REGRESSED: Event = "error-group.regressed"

log = get_logger()


class AlertMetrics(Protocol):
    """What is told of groups."""

    def error_group_came(self, service: str) -> None:
        """Count a group that is new, or has come again."""
        ...


class GroupAlert(NamedTuple):
    """A group that somebody may want to know of now.

    Attributes:
        event: `error-group.new` or `error-group.regressed`.
        id: its id.
        title: its words.
        service: at which it fails.
        time: when it did, in nanoseconds since 1970.
        trace_id: of a trace of it, in hex.
        link: where that can be looked at; empty where no `trace_link` is set.
        silent_seconds: for how long it was not seen before; 0 if it is new.
        was_resolved: whether somebody had resolved it.

    """

    event: Event
    id: str
    title: str
    service: str
    time: int
    trace_id: str
    link: str
    silent_seconds: int
    was_resolved: bool


class GroupAlerts:
    """Chooses what is to be told of groups, and tells it."""

    def __init__(
        self,
        *,
        quiet_after: int,
        link: TraceLink,
        metrics: AlertMetrics,
        told: Callable[[GroupAlert], None] | None,
    ) -> None:
        """Prepare to tell.

        Args:
            quiet_after: nanoseconds; what comes again after it was silent for so long is regressed.
            link: makes links to traces.
            metrics: gets told.
            told: gets each alert; None: nobody else is to be told.

        """
        self._quiet_after = quiet_after
        self._link = link
        self._metrics = metrics
        self._told = told

    def came(self, groups: Iterable[Came]) -> None:
        """Tell of those groups that are new, or have come again after long; never of muted ones."""
        for group in groups:
            event = self._event(group)
            if event is None or group.is_muted:
                continue
            self._metrics.error_group_came(group.service)
            alert = self._alert(event, group)
            log.warning(
                event,
                group=alert.id,
                title=alert.title,
                service=alert.service,
                trace_id=alert.trace_id,
            )
            if self._told is not None:
                self._told(alert)

    def _event(self, group: Came) -> Event | None:
        if group.was_resolved or group.silence >= self._quiet_after:
            return GROUP_REGRESSED
        return None if group.silence else GROUP_NEW

    def _alert(self, event: Event, group: Came) -> GroupAlert:
        trace_id = group.trace_id.hex()
        return GroupAlert(
            event=event,
            id=group.id,
            title=group.title,
            service=group.service,
            time=group.time,
            trace_id=trace_id,
            link=self._link(trace_id, group.span_id.hex()),
            silent_seconds=group.silence // NANOSECONDS,
            was_resolved=group.was_resolved,
        )
