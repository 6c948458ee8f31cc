"""Patterns that are compiled late."""

from __future__ import annotations

import sys
from subprocess import run

import pytest

import otel_embedder.text.rendering  # noqa: F401 - LATE has what is imported
from otel_embedder.text.patterns import LATE, late

# Tells how many of them a process of its own has compiled.
COMPILED = """
from otel_embedder.text.patterns import LATE
from otel_embedder.text.rendering import prepare
import otel_embedder.sidecar.sidecar
{}
print(sum(compiled.cache_info().currsize for compiled in LATE))
"""


def test_it_is_compiled_once() -> None:
    compiled = late("a+", 0)

    assert compiled() is compiled()
    assert compiled().fullmatch("aaa")


@pytest.mark.parametrize(("done", "count"), [("", 0), ("prepare()", len(LATE))])
def test_a_start_compiles_none_of_them_and_preparing_all(done: str, count: int) -> None:
    told = run([sys.executable, "-c", COMPILED.format(done)], capture_output=True, check=True)

    assert int(told.stdout) == count
