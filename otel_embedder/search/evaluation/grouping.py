"""How well groups of failures agree with causes that somebody knows.

A group should have traces of one cause only (*homogeneity*), and a cause be in one group only
(*completeness*); V is their harmonic mean. And the order in which traces come should change
nothing: *order agreement* is the share of pairs of traces that are together, or apart, in both of
two orders (Rand index), the least over some shuffles.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.search.groups.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from otel_embedder.search.groups.failed import FailedTrace

ORDERS = 10


class GroupingScore(NamedTuple):
    """How well groups agree with causes.

    Attributes:
        traces: how many traces were judged: those that failed and have a cause.
        causes: how many causes these have.
        groups: in how many groups they are.
        homogeneity: 1 if each group has but one cause.
        completeness: 1 if each cause is in but one group.
        order_agreement: 1 if whatever order gives the same groups.
        unlabelled: traces that failed, and nobody said why.
        absent: traces of which somebody said why, and that did not fail.

    """

    traces: int
    causes: int
    groups: int
    homogeneity: float
    completeness: float
    order_agreement: float
    unlabelled: int
    absent: int

    @property
    def v_measure(self) -> float:
        """Both in one: their harmonic mean."""
        total = self.homogeneity + self.completeness
        return 2 * self.homogeneity * self.completeness / total if total else 0.0


def judged(failures: Sequence[FailedTrace], causes: Mapping[str, str]) -> GroupingScore:
    """Put traces that failed into groups, and compare these with their causes.

    Args:
        failures: the traces.
        causes: of some of them, by their ids in hex.

    """
    traces = [each for each in failures if each.trace_id.hex() in causes]
    known = [causes[each.trace_id.hex()] for each in traces]
    groups = grouped(traces)
    shuffled = [
        _agreement(groups, _in_another_order(traces, random.Random(seed)))  # noqa: S311
        for seed in range(ORDERS)
    ]
    return GroupingScore(
        traces=len(traces),
        causes=len({*known}),
        groups=len({*groups}),
        homogeneity=_homogeneity(groups, known),
        completeness=_homogeneity(known, groups),
        order_agreement=min(shuffled),
        unlabelled=len(failures) - len(traces),
        absent=len(causes) - len({each.trace_id for each in traces}),
    )


def grouped(traces: Sequence[FailedTrace]) -> list[str]:
    """Give the ids of the groups of traces, as they come."""
    templates = Templates()
    return [templates.group_of(each.failure)[0].id for each in traces]


def _in_another_order(traces: Sequence[FailedTrace], chance: random.Random) -> list[str]:
    """Give the groups that traces come to in another order, in the order that they have here."""
    order = [*range(len(traces))]
    chance.shuffle(order)
    groups = grouped([traces[place] for place in order])
    return [group for _, group in sorted(zip(order, groups, strict=True))]


def _homogeneity(groups: Sequence[Hashable], causes: Sequence[Hashable]) -> float:
    """Give how little of what is unknown of causes is left once the group is known."""
    unknown = _entropy(Counter(causes))
    if not unknown:
        return 1.0
    left = _entropy(Counter(zip(groups, causes, strict=True))) - _entropy(Counter(groups))
    return 1.0 - left / unknown


def _entropy(counts: Counter[Hashable] | Counter[tuple[Hashable, Hashable]]) -> float:
    total = counts.total()
    return -sum(count / total * math.log(count / total) for count in counts.values())


def _agreement(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    pairs = math.comb(len(one), 2)
    if not pairs:
        return 1.0
    in_one, in_other, in_both = (
        sum(math.comb(count, 2) for count in counts.values())
        for counts in (Counter(one), Counter(other), Counter(zip(one, other, strict=True)))
    )
    return (pairs + 2 * in_both - in_one - in_other) / pairs
