"""That a change which makes each span dearer is noticed, and no other."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.guard.baseline import FILE, PYTHONS, moved
from tests.guard.counting import Count
from tests.support.processes import REPOSITORY, python, uncounted_environment

# Coverage traces, too, and there can be but one.
UNCOVERED = {"COVERAGE_PROCESS_CONFIG": "", "COVERAGE_PROCESS_START": ""}

SLOWER = """
import json
from tests.bench.rendering import SERVICE, spans_by_kind
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.guard.counting import count
from tests.guard.hot import each_of

def slower(span, service):
    [byte for byte in span[:20]]
    return render(span, service)

def copying(span, service):
    return render(bytes(bytearray(1_000_000)) and span, service)

render = new_renderer(RenderOptions()).render
spans = spans_by_kind(4)["an attribute: id"]
acts = [each_of(spans, each) for each in (render, render, slower, copying)]
acts[0]()
print(json.dumps([count(act) for act in acts]))
"""


def test_what_is_done_for_each_span_is_what_it_was() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.guard"],
        env=uncounted_environment(),
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_a_loop_or_a_copy_more_is_noticed_and_nothing_else() -> None:
    first, again, slower, copying = (
        Count(*each) for each in json.loads(python(SLOWER, **UNCOVERED))
    )

    assert not [*moved({"render": again}, {"render": first})]
    assert slower.bytecodes > 1.1 * first.bytecodes
    assert any("bytecodes" in line for line in moved({"render": slower}, {"render": first}))
    assert any("peak" in line for line in moved({"render": copying}, {"render": first}))


def test_what_became_cheaper_is_told_so_that_it_stays_so() -> None:
    lines = [*moved({"render": Count(800, 10, 0)}, {"render": Count(1_000, 10, 0)})]

    assert lines == ["render: bytecodes 1,000 -> 800 (-20%)"]


def test_a_tenth_is_let_pass() -> None:
    before = {"render": Count(1_000, 10, 100_000)}

    assert not [*moved({"render": Count(1_100, 11, 120_000)}, before)]


def test_what_is_new_wants_a_baseline_and_what_is_gone_leaves_it() -> None:
    lines = [*moved({"new": Count(1, 1, 1)}, {"old": Count(1, 1, 1)})]

    assert lines == ["new: not in the baseline", "old: no longer counted"]


def test_each_python_that_is_released_for_has_a_baseline() -> None:
    assert sorted(json.loads(FILE.read_text())) == sorted(PYTHONS)
