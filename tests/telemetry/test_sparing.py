from __future__ import annotations

from structlog.testing import capture_logs

from otel_embedder.telemetry.sparing import Sparing


def test_what_happens_often_is_a_line_a_minute_that_says_how_often() -> None:
    now = 1_000.0
    sparing = Sparing("odd.thing", seconds=60, clock=lambda: now)
    with capture_logs() as logs:
        for second in range(130):
            now = 1_000.0 + second
            sparing.tell(last=second)

    assert [(line["event"], line["calls"], line["last"]) for line in logs] == [
        ("odd.thing", 1, 0),
        ("odd.thing", 61, 60),
        ("odd.thing", 121, 120),
    ]
    assert {line["log_level"] for line in logs} == {"warning"}


def test_what_happens_once_in_a_while_is_told_each_time() -> None:
    now = 0.0
    sparing = Sparing("odd.thing", clock=lambda: now)
    with capture_logs() as logs:
        for now in (0.0, 100.0, 1_000.0):  # noqa: B007 - the clock reads it
            sparing.tell()

    assert len(logs) == 3
