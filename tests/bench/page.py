"""How soon the page can be used, and how soon it answers who types, of 100,000 texts.

In a real browser, over loopback. Texts and vectors are made up.
"""

from __future__ import annotations

import argparse
import statistics
from time import perf_counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from otel_embedder.embedder.embedding import Embedding
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.links import trace_link
from tests.bench.catalogue import DIMENSION, batches
from tests.support.browser import a_browser, looking
from tests.support.catalogues import MODEL
from tests.support.made_up import vector_of
from tests.support.page_site import page_site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser, Request

    from otel_embedder.search.stores.memory import MemoryStore
    from tests.support.browser import Looking

TEXT_VERSION = "1"
ROUNDS = 5
MILLISECONDS = 1_000
QUESTION = "word7 word21 and word3"


class MadeUpEmbedder:
    """Embeds a question as some vector of the right length, in no time."""

    def embed(self, contents: Sequence[str]) -> list[Embedding]:
        return [Embedding(vector_of(each, DIMENSION), MODEL, "model") for each in contents]


def catalogue_of(store: MemoryStore) -> Catalogue:
    """Ask a store of made-up texts."""
    embedder = MadeUpEmbedder()
    return Catalogue(store, embedder, model=MODEL, text_version=TEXT_VERSION, link=trace_link(None))


def opening(browser: Browser, url: str, way: str) -> tuple[float, float]:
    """Give the milliseconds until a view is shown, and the bytes of what it needs for that."""
    with looking(browser, url) as look:
        finished: list[Request] = []
        # Playwright puts a mark on a handler, which a method of a list does not bear.
        look.page.on("requestfinished", lambda request: finished.append(request))  # noqa: PLW0108
        begin = perf_counter()
        look.go(way)
        took = (perf_counter() - begin) * MILLISECONDS
        files = [request for request in finished if "/api/" not in request.url]
        return took, sum(request.sizes()["responseBodySize"] for request in files)


def typing(look: Looking) -> list[float]:
    """Give the milliseconds of each answer while somebody types."""
    took = []
    look.go("search")
    look.page.locator("#q").focus()
    for letter in QUESTION:
        begin = perf_counter()
        with look.page.expect_response("**/api/v1/search*"):
            look.page.keyboard.type(letter)
        took.append((perf_counter() - begin) * MILLISECONDS)
    return took


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.page", description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    texts = parser.parse_args().texts
    table = Table("what", "median", "most", title=f"The page of {texts:,} texts")
    made: list[Catalogue] = []

    def a_catalogue(store: MemoryStore) -> Catalogue:
        made.append(catalogue_of(store))
        return made[-1]

    with page_site([], catalogue=a_catalogue) as site, a_browser() as browser:
        for batch in batches(texts):
            site.store.write(batch)
        # As is done when the API is opened.
        begin = perf_counter()
        site.thread.submit(made[0].warm).result()
        table.add_row("read at the start", f"{(perf_counter() - begin) * MILLISECONDS:.0f} ms", "")
        first, _ = opening(browser, site.url, "")
        table.add_row("the first view of all", f"{first:.0f} ms", "")
        for way in ("", "errors", "search?q=word7", "map", "now"):
            took, weights = zip(
                *(opening(browser, site.url, way) for _ in range(ROUNDS)), strict=True
            )
            name = way.partition("?")[0] or "changes"
            weight = f"{max(weights) / MILLISECONDS:.0f} kB"
            table.add_row(f"{name} usable ({weight})", *_row(took))
        with looking(browser, site.url) as look:
            answers = typing(look)
        table.add_row("an answer while typing", *_row(answers))
        table.add_row("  p95", f"{statistics.quantiles(answers, n=20)[-1]:.0f} ms", "")
    Console().print(table)


def _row(took: Sequence[float]) -> tuple[str, str]:
    return f"{statistics.median(took):.0f} ms", f"{max(took):.0f} ms"


if __name__ == "__main__":
    main()
