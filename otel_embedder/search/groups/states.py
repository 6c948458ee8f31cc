"""What is to be known first of a group of failures: whether it is new, came again, is settled.

What somebody decided goes before what was seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.search.groups.kept import FOR_EVER, NEVER
from otel_embedder.search.times import DAY, NANOSECONDS

if TYPE_CHECKING:
    from otel_embedder.search.asking.queries import State
    from otel_embedder.search.groups.kept import Decision, Seen

# So long after it was seen first, or came again, it is new or regressed; then it is ongoing.
NEW = DAY * NANOSECONDS
QUIET_AFTER = 7 * DAY * NANOSECONDS

# In the order in which they are told.
URGENCY: dict[State, int] = {
    "new": 0,
    "regressed": 0,
    "ongoing": 1,
    "resolved": 2,
    "muted": 3,
}


def state_of(seen: Seen, decision: Decision, *, now: int, quiet_after: int = QUIET_AFTER) -> State:
    """Give the state of a group.

    Args:
        seen: when it was seen.
        decision: what somebody decided about it.
        now: nanoseconds since 1970.
        quiet_after: nanoseconds; what comes again after it was silent for so long is regressed.

    """
    if decision.state == "muted" and (decision.until == FOR_EVER or now < decision.until):
        return "muted"
    if decision.state == "resolved" and seen.last <= decision.decided:
        return "resolved"
    came_again = came_again_at(seen, decision, quiet_after=quiet_after)
    if came_again is not None and now - came_again < NEW:
        return "regressed"
    return "new" if now - seen.first < NEW else "ongoing"


def came_again_at(seen: Seen, decision: Decision, *, quiet_after: int) -> int | None:
    """Give when a group came again after it was silent or resolved, None if it did not."""
    times = [decision.decided] if decision.state == "regressed" else []
    if seen.came_again != NEVER and seen.silence >= quiet_after:
        times.append(seen.came_again)
    return max(times, default=None)
