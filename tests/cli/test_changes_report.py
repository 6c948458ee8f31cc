from __future__ import annotations

from dataclasses import replace

import pytest

from otel_embedder.cli.changes.report import report
from otel_embedder.search.asking.held import Held
from otel_embedder.search.changes.answers import (
    Changes,
    Operation,
    Period,
    Shifted,
    Visible,
)
from otel_embedder.search.changes.comparing import Compared
from otel_embedder.search.changes.finding import Evidence, Found, RowChange, Shift
from otel_embedder.search.changes.telling import Telling, in_words
from otel_embedder.search.changes.texts import Texts
from otel_embedder.search.links import trace_link
from otel_embedder.search.stores.memory import MemoryStore
from tests.support.catalogues import a_row
from tests.support.made_up import MODEL, NOON, TEXT_VERSION

CHARGE = Operation("bank", "charge", "SERVER", "")
ASK = Operation("shop", "ask", "CLIENT", "bank")
WINDOW, BASELINE = Period(NOON, NOON + 600, 100, 60), Period(NOON - 3_600, NOON, 600, 60)
NOTHING = Changes(WINDOW, BASELINE, (), (), (), (), (), (), None)
ROWS = {1: a_row("bank", "charge"), 2: a_row("shop", "ask")}


def lines(changes: Changes) -> str:
    return "\n".join(report(changes, 100))


def test_what_is_beside_is_told_in_words() -> None:
    changes = replace(
        NOTHING,
        gone=(Shifted(CHARGE, 1.0, 0.0, -9),),
        fewer=(Shifted(ASK, 1.0, 0.25, -9),),
        more=(Shifted(ASK, 1.0, 2.5, 9),),
        faster=(Shifted(CHARGE, 1_200.0, 0.05, -9),),
    )

    assert lines(changes).splitlines()[-4:] == [
        "gone: bank charge 1 -> 0 spans a trace",
        "fewer: shop ask -> bank 1 -> 0.25 spans a trace",
        "more: shop ask -> bank 1 -> 2.5 spans a trace",
        "faster: bank charge p50 1.2 s -> 50 us",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            replace(NOTHING, visible=Visible(CHARGE, 90, 0.125)),
            "no change found: of the 90 spans of bank charge 12 % would have had to fail",
        ),
        (NOTHING, "no change found; with so few spans none could be certain"),
        (
            replace(NOTHING, window=replace(WINDOW, spans=0)),
            "nothing can be told: no spans were counted in the window",
        ),
        (
            replace(NOTHING, baseline=Period(0, 0, 0, 0)),
            "against no spans\n\nnothing can be told: no spans were counted in the time before",
        ),
        (
            replace(NOTHING, baseline=Period(NOON - 90_000, NOON, 600, 3_600)),
            "2026-02-28 11:00 - 2026-03-01 12:00 UTC (600 spans,\n      counted by 60 minutes)",
        ),
    ],
)
def test_where_nothing_is_certain_it_is_said_why(changes: Changes, said: str) -> None:
    assert said in lines(changes)


def told(*evidence: Evidence, group: str = "") -> Changes:
    """Tell of row 1, of which no text is left."""
    store = MemoryStore()
    held = Held(store, model=MODEL, text_version=TEXT_VERSION)
    texts = Texts(store, held, trace_link(None), text_id=str)
    change = RowChange(1, 2.0, is_certain=True, spans_before=9, spans_after=3, evidence=evidence)
    found = Found((change,), (Shift(2, 5, 1, -9),), (), (), (), 0.25, busiest=1)
    compared = Compared((), (), ROWS, {}, BASELINE, WINDOW)
    return Telling(compared, before=texts, after=texts, groups={("bank", "charge"): group}).tell(
        found, most=5
    )


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (Evidence("median", 3.14159, 310.4, 9, 0), "p50 3.1 ms -> 310 ms"),
        (Evidence("p95", 0.02, 1_500, 9, 0), "p95 20 us -> 1.5 s"),
        (Evidence("fails", 0.005, 0.4, 9, 0), "fails 0.5 % -> 40 %"),
        (Evidence("new", 0.0, 0.12, 9, 0), "new, in 12 % of traces at most"),
        (Evidence("ends", 0.02, 0.6, 9, 2), "last call of shop ask 2 % -> 60 %"),
        (Evidence("ends", 0.0, 0.5, 9, 1), "calls nobody 0 % -> 50 %"),
    ],
)
def test_evidence_is_told_in_words(evidence: Evidence, said: str) -> None:
    [change] = told(evidence).certain

    assert change.reasons[0].said == said
    assert (change.text, change.examples_after, change.reads_like) == ("", (), ())


def test_only_the_first_reason_is_printed_if_the_others_say_little() -> None:
    changes = told(Evidence("fails", 0, 0.4, 9, 0), Evidence("median", 1, 2, 0.4, 0))

    assert "   fails 0 % -> 40 % (z 9)\n   3 spans, 9 before" in lines(changes)


def test_a_duration_is_told_in_the_unit_that_it_is_read_best_in() -> None:
    assert [in_words(each) for each in (0, 0.0004, 12.3, 999, 1_000, 1e6)] == [
        "0 us",
        "0.4 us",
        "12 ms",
        "999 ms",
        "1 s",
        "1,000 s",
    ]


def test_a_change_leads_to_the_group_of_its_failures() -> None:
    failing = Evidence("fails", 0.0, 0.4, 9, 0)

    assert "\n   its failures: groups show 7f3a1c09\n" in lines(told(failing, group="7f3a1c09"))
    assert "its failures" not in lines(told(failing))
