"""The checks by name. They need neither atheris nor hypothesis, so that anything can run them."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tests.fuzz.check_json import check_json
from tests.fuzz.check_reader import check_reader
from tests.fuzz.check_receiver import check_receiver
from tests.fuzz.check_render import check_render
from tests.fuzz.check_wire import check_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[bytes], None]

CORPUS = Path(__file__).parent / "corpus"

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "wire": check_wire,
        "render": check_render,
        "receiver": check_receiver,
        "json": check_json,
        "reader": check_reader,
    }
)
