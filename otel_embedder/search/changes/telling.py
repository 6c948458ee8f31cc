"""Makes of numbers that were found what is told: names, words, examples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from otel_embedder.search.changes.answers import (
    Change,
    Changes,
    Operation,
    Reason,
    Shifted,
    Visible,
)
from otel_embedder.search.times import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_embedder.search.changes.comparing import Compared
    from otel_embedder.search.changes.failing import Where
    from otel_embedder.search.changes.finding import Evidence, Found, RowChange, Shift
    from otel_embedder.search.changes.texts import Shown, Texts

MOST_UNCERTAIN = 3
QUANTILE_WORDS = {"median": "p50", "p95": "p95"}
EARLIEST = 0
SMALLEST = "us"
UNITS = {"s": 1_000.0, "ms": 1.0, SMALLEST: 0.001}  # of milliseconds
WHOLE = 100  # from here on no part of one matters


class Telling:
    """Tells what was found."""

    def __init__(
        self, compared: Compared, *, before: Texts, after: Texts, groups: Mapping[Where, str]
    ) -> None:
        """Prepare to tell.

        Args:
            compared: what was compared.
            before: texts of the time before.
            after: texts of the time in question.
            groups: of failures, by service and operation; none if nobody can look at them.

        """
        self._compared = compared
        self._before = before
        self._after = after
        self._groups = groups
        self._called = compared.called()

    def tell(self, found: Found, *, most: int) -> Changes:
        """Tell it, and of each kind no more than so many operations.

        Raises:
            StoreError: the catalogue can't be read.

        """
        certain = [each for each in found.ranked if each.is_certain][:most]
        uncertain = [each for each in found.ranked if not each.is_certain][:MOST_UNCERTAIN]
        faster, gone, more, fewer = (
            tuple(map(self._shifted, shifts[:most]))
            for shifts in (found.faster, found.gone, found.more, found.fewer)
        )
        return Changes(
            window=self._compared.after,
            baseline=self._compared.before,
            certain=tuple(map(self._change, certain)),
            uncertain=tuple(map(self._change, uncertain)),
            faster=faster,
            gone=gone,
            more=more,
            fewer=fewer,
            visible=self._visible(found),
        )

    def _operation(self, row: int) -> Operation:
        key = self._compared.rows[row]
        return Operation(key.service, key.operation, key.kind, self._called.get(row, ""))

    def _change(self, change: RowChange) -> Change:
        before, after = self._shown_before(change.row), self._shown_after(change.row)
        key = self._compared.rows[change.row]
        is_told = change.is_certain and after.entry is not None
        return Change(
            operation=self._operation(change.row),
            score=change.score,
            is_certain=change.is_certain,
            spans_before=change.spans_before,
            spans_after=change.spans_after,
            reasons=tuple(self._reason(each, change.row) for each in change.evidence),
            text=after.entry.words if after.entry else "",
            examples_before=before.examples,
            examples_after=after.examples,
            reads_like=self._after.alike(after.entry) if is_told and after.entry else (),
            group=self._groups.get((key.service, key.operation), ""),
        )

    def _shown_before(self, row: int) -> Shown:
        until = self._compared.before.until * NANOSECONDS
        key = self._compared.rows[row]
        return self._before.shown(key, EARLIEST, until, is_ordinary=True)

    def _shown_after(self, row: int) -> Shown:
        period, key = self._compared.after, self._compared.rows[row]
        since, until = period.since * NANOSECONDS, period.until * NANOSECONDS
        return self._after.shown(key, since, until, is_ordinary=False)

    def _reason(self, evidence: Evidence, row: int) -> Reason:
        test, before, after, z, _ = evidence
        return Reason(test, before, after, z, self._said(evidence, row))

    def _said(self, evidence: Evidence, row: int) -> str:
        test, before, after, _, caller = evidence
        if test in QUANTILE_WORDS:
            return f"{QUANTILE_WORDS[test]} {in_words(before)} -> {in_words(after)}"
        shares = f"{percent(before)} -> {percent(after)}"
        if test == "fails":
            return f"fails {shares}"
        if test == "new":
            return f"new, in {percent(after)} of traces at most"
        if caller == row:
            return f"calls nobody {shares}"
        of = self._compared.rows[caller]
        return f"last call of {of.service} {of.operation} {shares}"

    def _shifted(self, shift: Shift) -> Shifted:
        return Shifted(self._operation(shift.row), shift.before, shift.after, shift.z)

    def _visible(self, found: Found) -> Visible | None:
        if math.isnan(found.visible_share):
            return None
        row = found.busiest
        return Visible(self._operation(row), self._spans_in_window(row), found.visible_share)

    def _spans_in_window(self, row: int) -> int:
        tables = (bucket.counts.table("rows") for bucket in self._compared.window)
        return sum(int(each.values[each.keys[:, 0] == row, 0].sum()) for each in tables)


def in_words(milliseconds: float) -> str:
    """Give a duration in the unit that it is read best in."""
    unit = next((unit for unit in UNITS if milliseconds >= UNITS[unit]), SMALLEST)
    return f"{_digits(milliseconds / UNITS[unit])} {unit}"


def _digits(number: float) -> str:
    return f"{number:.2g}" if number < WHOLE else f"{number:,.0f}"


def percent(share: float) -> str:
    """Give a share in percent."""
    return f"{_digits(share * 100)} %"
