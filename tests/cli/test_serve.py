from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli.serve import TRIED_GRPC, WITHOUT_IO_THREADS
from tests.support.processes import own_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = """
import os
from otel_embedder.cli.serve import loading_server
with loading_server():
    print(os.environ.get("GRPC_EXPERIMENTS"))
"""


def chosen(environment: Mapping[str, str]) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=own_environment(environment),
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    return finished.stdout.strip()


def test_grpc_reads_and_writes_on_one_thread_where_that_was_tried() -> None:
    is_tried = version("grpcio").startswith(TRIED_GRPC)

    assert chosen({}) == (WITHOUT_IO_THREADS if is_tried else "None")


@pytest.mark.parametrize("wanted", ["", "tcp_frame_size_tuning"])
def test_whoever_has_chosen_for_grpc_has_chosen(wanted: str) -> None:
    assert chosen({"GRPC_EXPERIMENTS": wanted}) == wanted
