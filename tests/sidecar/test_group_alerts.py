from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from otel_embedder.search.groups.kept import Came
from otel_embedder.sidecar.group_alerts import GROUP_NEW, GROUP_REGRESSED, GroupAlerts
from tests.support.fakes import FakeMetrics

if TYPE_CHECKING:
    from otel_embedder.sidecar.group_alerts import GroupAlert

DAY = 86_400 * 1_000_000_000
NEW = Came(
    id="9c1d4e",
    title="no card",
    service="bank",
    silence=0,
    was_resolved=False,
    is_muted=False,
    trace_id=b"\x01" * 16,
    span_id=b"\x02" * 8,
    time=5,
)


def test_what_is_new_or_came_again_after_long_is_told_and_nothing_else() -> None:
    told: list[GroupAlert] = []
    metrics = FakeMetrics()
    alerts = GroupAlerts(
        quiet_after=7 * DAY,
        link=lambda trace, span: f"http://jaeger/{trace}/{span}",
        metrics=metrics,
        told=told.append,
    )
    with capture_logs() as lines:
        alerts.came(
            [
                NEW,
                NEW._replace(id="again", silence=7 * DAY),
                NEW._replace(id="soon", silence=7 * DAY - 1),
                NEW._replace(id="resolved", was_resolved=True),
                NEW._replace(id="muted", is_muted=True),
            ]
        )

    assert [(line["event"], line["group"]) for line in lines] == [
        (GROUP_NEW, "9c1d4e"),
        (GROUP_REGRESSED, "again"),
        (GROUP_REGRESSED, "resolved"),
    ]
    assert [each.id for each in told] == ["9c1d4e", "again", "resolved"]
    assert told[0].link == f"http://jaeger/{'01' * 16}/{'02' * 8}"
    assert told[1].silent_seconds == 7 * 86_400
    assert metrics.counts["error_group_came bank"] == 3
