"""Tries every input of the corpus again, those that were findings among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.fuzz.checks import CHECKS, CORPUS
from tests.fuzz.encoded import part
from tests.fuzz.make_corpus import ARRAY, ATTRIBUTES, EVENTS, NAME, STATUS, attribute
from tests.support.cpu import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INPUTS = sorted(CORPUS.glob("*/*"))

# Spans of about so many bytes that grow in one thing each.
SHAPES: dict[str, Callable[[int], bytes]] = {
    "name": lambda size: part(NAME, b"a1-:@." * (size // 6)),
    "status message": lambda size: part(STATUS, part(2, b"password= " * (size // 10))),
    "value": lambda size: attribute(ATTRIBUTES, b"key", b"a." * (size // 2)),
    "key": lambda size: attribute(ATTRIBUTES, b"token." * (size // 6), b"value"),
    "attributes": lambda size: attribute(ATTRIBUTES, b"key", b"value") * (size // 16),
    "exceptions": lambda size: part(EVENTS, part(2, b"exception")) * (size // 13),
    "array": lambda size: part(ATTRIBUTES, part(2, part(ARRAY, part(1, b"") * (size // 2)))),
}
# More than the renderer reads of any.
SMALL, LARGE = 32 * 1024, 256 * 1024


def ids(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", INPUTS, ids=ids)
def test_no_input_of_the_corpus_is_a_finding(path: Path) -> None:
    CHECKS[path.parent.name](path.read_bytes())


def test_every_check_has_its_corpus() -> None:
    assert {path.parent.name for path in INPUTS} == {*CHECKS}


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in INPUTS) < 200_000


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_time_that_a_span_takes_grows_no_faster_than_its_bytes(
    shape: Callable[[int], bytes],
) -> None:
    small, large = seconds(shape(SMALL)), seconds(shape(LARGE))

    # Were it to grow with their square, it would be 64 times as long.
    assert large < 20 * small + 0.01


def seconds(span: bytes) -> float:
    """Give the CPU time that it takes to render a span never seen before, the least of some."""
    return min(_seconds(span) for _ in range(5))


def _seconds(span: bytes) -> float:
    renderer = new_renderer(RenderOptions())
    return cpu_seconds(lambda: renderer.render(span, "shop"))
