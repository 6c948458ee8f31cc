"""What changed and which failures there are, made up as the API tells it, for tests of the page."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, object]
LINK = "https://traces.example/"


def rfc3339(seconds_ago: float) -> str:
    """Give a time so many seconds ago as the API says it."""
    moment = datetime.fromtimestamp(time.time() - seconds_ago, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def an_example(number: int, ago: float, milliseconds: float | None = 306.0) -> Json:
    trace = f"{number:08x}{number:024x}"
    return {
        "trace_id": trace,
        "span_id": f"{number:016x}",
        "time": rfc3339(ago),
        "milliseconds": milliseconds,
        "link": LINK + trace,
    }


def a_group(id_: str, title: str, *, state: str = "ongoing", **more: object) -> Json:
    return {
        "id": id_,
        "title": title,
        "state": state,
        "service": "payment",
        "type": "",
        "count": 24,
        "trend": [0, 1, 0, 2, 3, 18],
        "growth": 3.5,
        "first_seen": rfc3339(780),
        "last_seen": rfc3339(20),
        "came_again": None,
        "reached": ["checkout", "frontend"],
        "operations": ["POST /v1/charges"],
        "examples": [an_example(11, 20), an_example(12, 90), an_example(13, 160)],
        "note": "",
        "muted_until": None,
        "merged": [],
        "related": [],
        **more,
    }


def groups_answer(groups: Sequence[Json]) -> Json:
    return {"groups": groups, "total": len(groups), "since": rfc3339(86_400), "step": 14_400}


def an_operation(service: str, operation: str, calls: str = "", kind: str = "CLIENT") -> Json:
    return {"service": service, "operation": operation, "kind": kind, "calls": calls}


def a_reason(test: str, before: float, after: float, z: float, said: str = "") -> Json:
    return {"test": test, "before": before, "after": after, "z": z, "said": said}


def a_change(
    operation: Json, reasons: Sequence[Json], *, is_certain: bool = True, group: str = ""
) -> Json:
    return {
        "operation": operation,
        "score": 3.0,
        "is_certain": is_certain,
        "spans_before": 960,
        "spans_after": 240,
        "reasons": reasons,
        "text": "failed charge card bank timeout",
        "examples_before": [an_example(21, 1_800, 41.0)],
        "examples_after": [an_example(22, 60), an_example(23, 30)],
        "reads_like": [
            {
                "cosine": 0.83,
                "service": "invoices",
                "operation": "POST /bank",
                "text": "bank transfer deadline exceeded",
            }
        ],
        "group": group,
    }


SLOW_BANK = a_change(
    an_operation("payment", "POST /v1/charges", "bank"),
    [a_reason("median", 41, 306, 9.2), a_reason("fails", 0.0, 0.1, 7.0)],
    group="7f3a1c09",
)
NEW_RETRY = a_change(
    an_operation("payment", "RetryCharge", "bank", "INTERNAL"),
    [a_reason("new", 0, 0.12, 6.1, "new: 1.9 a minute, in 12 % of traces")],
)
PERHAPS = a_change(
    an_operation("shipping", "GET /quote", "carrier"),
    [a_reason("p95", 88, 104, 2.3)],
    is_certain=False,
)


def changes_answer(certain: Sequence[Json], uncertain: Sequence[Json] = ()) -> Json:
    checkout = an_operation("checkout", "PlaceOrder", "payment", "SERVER")
    return {
        "window": {"since": rfc3339(900), "until": rfc3339(0), "spans": 9_000, "finest": 60},
        "baseline": {"since": rfc3339(4_500), "until": rfc3339(900), "spans": 38_000, "finest": 60},
        "certain": certain,
        "uncertain": uncertain,
        "faster": [{"operation": checkout, "before": 12.0, "after": 8.0, "z": 5.0}],
        "gone": [],
        "more": [],
        "fewer": [{"operation": checkout, "before": 1.0, "after": 0.4, "z": 5.0}],
        "visible": {"operation": checkout, "spans": 240, "failing": 0.04},
    }


GROUPS = (
    a_group("7f3a1c09", "charge <*> failed: bank timed out", state="new", type="TimeoutError"),
    a_group("2b90de51", "card <*> was declined", state="regressed", came_again=rfc3339(300)),
    a_group("c4417e20", "carrier does not answer", service="shipping", growth=1.0),
    a_group("0000aaaa", "health check failed", state="muted", service="catalog", reached=[]),
)
