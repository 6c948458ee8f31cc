"""`otel-embedder demo --page`, as a process of its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.processes import OTEL_EMBEDDER, Process, free_address, own_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The model is loaded, and a day of spans embedded.
START_SECONDS = 120.0
PAGE, BREAKS = "The page is at ", "it breaks."


@contextmanager
def demo_page(*, begins_after: float, environment: Mapping[str, str]) -> Iterator[str]:
    """Let the demo's shop live, and break so many seconds later; give the page's address."""
    address = free_address()
    command = [*OTEL_EMBEDDER, "demo", "--page", "--http-listen", address]
    command += ["--begins-after", str(begins_after)]
    with Process(command, own_environment(environment)) as demo:
        line = demo.wait_for_line(PAGE, timeout=START_SECONDS)
        yield line.partition(PAGE)[2].strip()
