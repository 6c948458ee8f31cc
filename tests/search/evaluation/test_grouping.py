from __future__ import annotations

import pytest

from otel_embedder.search.evaluation.grouping import judged
from tests.support.failing import failed


def test_groups_that_hold_several_causes_or_parts_of_one_are_worth_less() -> None:
    traces = [
        failed("the bank is away", trace=1),
        failed("the bank is away", trace=2),
        failed("no route to it", trace=3),
        failed("who knows what", trace=4),
    ]
    ids = [each.trace_id.hex() for each in traces]
    right = judged(traces, {ids[0]: "a", ids[1]: "a", ids[2]: "b", "ff" * 16: "c"})
    mixed = judged(traces, {ids[0]: "a", ids[1]: "b", ids[2]: "c"})
    torn = judged(traces, {ids[0]: "a", ids[1]: "a", ids[2]: "a"})

    assert (right.v_measure, right.groups, right.unlabelled, right.absent) == (1, 2, 1, 1)
    # ln 3 is unknown; two thirds of the traces leave ln 2 of it.
    assert mixed.homogeneity == pytest.approx(1 - 2 / 3 * 0.6931472 / 1.0986123)
    assert (mixed.completeness, torn.homogeneity, torn.completeness) == (1, 1, 0)
    assert (torn.v_measure, torn.order_agreement) == (0, 1)


def test_nothing_to_judge_is_judged_as_nothing() -> None:
    assert judged([], {}) == (0, 0, 0, 1, 1, 1, 0, 0)
