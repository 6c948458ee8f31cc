"""The demo tells its story by itself: what went in comes out, and what broke stands first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli import run
from otel_embedder.cli.demo.story import QUESTION

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
def story(
    model_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setenv("OTEL_EMBEDDER_MODEL_CACHE", str(model_cache))
    # So wide that no text is wrapped.
    monkeypatch.setenv("COLUMNS", "400")

    assert run(["demo"]) == 0

    return capsys.readouterr().out


def test_what_broke_stands_first_with_what_it_rests_on(story: str) -> None:
    assert re.search(r"\n1\. payment charge card\n   .*fails \S+ % -> \d\d % \(z \d+\)", story)
    assert "\n2. " not in story
    assert "   reads: failed: northbank did not answer" in story


def test_the_failure_that_is_new_is_told(story: str) -> None:
    [told] = re.findall(r"since then\?\n\n(.*)\n\n", story)

    assert told.startswith("payment: northbank did not answer within # ms (")


def test_such_traces_are_shown(story: str) -> None:
    below = story.split(QUESTION)[1].splitlines()
    first = next(line for line in below if re.match(r"\s*0\.\d\d ", line))

    assert re.search(r"failed: northbank did not answer .* [0-9a-f]{32}", first)


def test_every_span_comes_out_with_a_vector_and_few_texts_cost_anything(story: str) -> None:
    numbers = re.search(
        r"(\d+) spans in, (\d+) out, (\d+) of them with the model's vector. "
        r"The model ran for (\d+) texts only: a hit rate of (\d+)%",
        story,
    )

    assert numbers
    sent, came, with_vector, computed, rate = map(int, numbers.groups())
    assert sent == came == with_vector == 1_440
    assert computed < 100
    assert rate == round(100 * (1 - computed / sent))
