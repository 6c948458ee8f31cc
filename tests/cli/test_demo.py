"""The demo tells its story by itself: what went in comes out, and the faults are found first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli import run
from otel_embedder.cli.demo.story import QUESTIONS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

# What must stand first below each question.
FAULTS = (
    "failed: northbank did not answer",
    "failed: errno no space left on device os error",
    "failed: canceling statement due to statement timeout",
)


@pytest.fixture
def story(
    model_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setenv("OTEL_EMBEDDER_MODEL_CACHE", str(model_cache))
    # So wide that no text is wrapped.
    monkeypatch.setenv("COLUMNS", "400")

    assert run(["demo"]) == 0

    return capsys.readouterr().out


def test_each_question_finds_its_fault_first(story: str) -> None:
    for question, fault in zip(QUESTIONS, FAULTS, strict=True):
        below = story.split(question)[1].splitlines()
        first = next(line for line in below if re.match(r"\s*0\.\d\d ", line))

        assert fault in first


def test_every_span_comes_out_with_a_vector_and_few_texts_cost_anything(story: str) -> None:
    numbers = re.search(
        r"(\d+) spans in, (\d+) out, (\d+) of them with the model's vector. "
        r"The model ran for (\d+) texts only: a hit rate of (\d+)%",
        story,
    )

    assert numbers
    sent, came, with_vector, computed, rate = map(int, numbers.groups())
    assert sent == came == with_vector == 480
    assert computed < 100
    assert rate == round(100 * (1 - computed / sent))
