"""A row of the table: what is done, what may come of it, and what came."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.ledger import MALFORMED
from tests.faults.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.faults.collector_metrics import Counts
    from tests.faults.ledger import Account

    Inject = Callable[[Stage], None]

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and what docs/guarantees.md allows to come of it.

    Attributes:
        name: what it is called in the table.
        inject: sends spans and does something to them, to the sidecar or to its neighbours.
        may_duplicate: whether spans may come more than once.
        may_reject: whether spans may be refused for good.
        max_bytes: what the sidecar may hold at most.
        is_alone: whether nothing else should run beside it, as it measures times.
        note: why that is allowed.

    """

    name: str
    inject: Inject
    may_duplicate: bool
    may_reject: bool
    max_bytes: float
    is_alone: bool
    note: str

    def run(self, directory: Path, model_cache: Path) -> Row:
        """Let it happen, and say what came of it."""
        stage = Stage(directory, model_cache)
        problems = []
        try:
            self.inject(stage)
        except Exception as error:  # noqa: BLE001 - the other rows are to run all the same
            traceback.print_exc(file=sys.stderr)
            problems.append(str(error).splitlines()[0] if str(error) else repr(error))
        account = stage.ledger.account()
        problems += self._problems(account, stage)
        return Row(self, account, stage.peak_bytes, problems)

    def _problems(self, account: Account, stage: Stage) -> Iterator[str]:
        if account.lost:
            yield f"{account.lost} spans are lost"
        if account.changed:
            yield f"{account.changed} spans are changed"
        if malformed := account.sources[MALFORMED]:
            yield f"{malformed} spans do not say what their vector is"
        if account.duplicates and not self.may_duplicate:
            yield f"{account.duplicates} spans came more than once"
        if account.rejected and not self.may_reject:
            yield f"{account.rejected} spans were refused for good"
        if stage.peak_bytes > self.max_bytes:
            yield f"the sidecar held {stage.peak_bytes / MEGABYTE:.0f} MB"
        if stage.counts:
            yield from _disagreements(stage.counts, account)


def fault(
    name: str,
    *,
    may_duplicate: str = "",
    may_reject: str = "",
    max_bytes: float = float("inf"),
    is_alone: bool = False,
) -> Callable[[Inject], Fault]:
    """Make a row of a function; what is allowed is the reason for it."""
    note = "; ".join(filter(None, (may_duplicate, may_reject)))
    return lambda inject: Fault(
        name, inject, bool(may_duplicate), bool(may_reject), max_bytes, is_alone, note
    )


def _disagreements(counts: Counts, account: Account) -> Iterator[str]:
    """Tell what the Collector's own metrics say that the ledger doesn't."""
    if (given_up := counts.dropped + counts.partially_rejected) != account.rejected:
        yield f"the Collector gave up {given_up} spans, {account.rejected} were refused for good"
    if unexplained := counts.accepted - counts.sent - counts.dropped:
        yield f"of {unexplained} spans the Collector says neither that they were sent nor dropped"
    if counts.not_enqueued:
        yield f"the Collector's queue had no room for {counts.not_enqueued} spans"
    if counts.refused:
        yield f"the Collector refused {counts.refused} spans"
    if counts.waiting:
        yield f"{counts.waiting} bytes still wait in the Collector"


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a fault.

    Attributes:
        fault: which.
        account: of the spans.
        peak_bytes: the most memory that a sidecar held.
        problems: what should not have come of it.

    """

    fault: Fault
    account: Account
    peak_bytes: int
    problems: list[str] = field(default_factory=list)
