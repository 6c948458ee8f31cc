"""Tools for an assistant that has started this process, over stdin and stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.server.stdio import stdio_server

from otel_embedder.api.pool import Pool
from otel_embedder.api.tools import new_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.api.counting import QuestionMetrics
    from otel_embedder.search.catalogue import Catalogue

WAITING = 16


async def speak(catalogue: Callable[[], Catalogue], metrics: QuestionMetrics) -> None:
    """Answer until stdin ends: `catalogue` gives what is asked, `metrics` counts questions."""
    with Pool(threads=1, waiting=WAITING) as pool:
        server = new_server(catalogue, pool, metrics)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())
