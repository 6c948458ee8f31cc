"""Runs one check under atheris, which looks for inputs that take branches not taken before.

`python -m tests.fuzz.guided CHECK FINDINGS [libFuzzer's options]` is how `python -m tests.fuzz`
calls it.
"""

from __future__ import annotations

import hashlib
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import atheris

# What numpy compares under it is never freed.
with atheris.instrument_imports(
    include=["otel_embedder"], exclude=["otel_embedder.files.brackets"]
):
    from tests.fuzz.checks import CHECKS

from tests.fuzz import mutators

if TYPE_CHECKING:
    from tests.fuzz.checks import Check

# How often libFuzzer changes an input in its own ways, which know the numbers compared with.
BLIND = 0.2

# libFuzzer's own.
FINDING = 77


def main() -> None:
    name, findings, *options = sys.argv[1:]
    atheris.Setup(
        [name, f"-artifact_prefix={findings}/", *options],
        partial(check, CHECKS[name], Path(findings)),
        custom_mutator=partial(mutate, name),
        custom_crossover=partial(cross, name),
    )
    atheris.Fuzz()


def check(check: Check, findings: Path, data: bytes) -> None:
    """Check an input; keep it and end if that fails."""
    try:
        check(data)
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding
        traceback.print_exc()
        (findings / f"crash-{hashlib.sha1(data).hexdigest()}").write_bytes(data)  # noqa: S324 - a name
        # libFuzzer would save it on the way out, which at times leads nowhere.
        os._exit(FINDING)


def mutate(name: str, data: bytes, max_size: int, seed: int) -> bytes:
    """Give an input made of another one; libFuzzer asks for it."""
    random = Random(seed)
    if not data or random.random() < BLIND:
        return bytes(atheris.Mutate(data, max_size))
    return mutators.mutated(name, data, random, scramble)[:max_size]


def cross(name: str, data: bytes, other: bytes, max_size: int, seed: int) -> bytes:
    """Give an input made of two others; libFuzzer asks for it."""
    return mutators.crossed(name, data, other, Random(seed), scramble)[:max_size]


def scramble(data: bytes) -> bytes:
    """Change bytes that nothing is known of."""
    return bytes(atheris.Mutate(data, len(data) + 64))


if __name__ == "__main__":
    main()
