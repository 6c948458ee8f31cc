"""A page that shows a made-up catalogue, served for real, and who looks at it."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from otel_embedder.api.http.app import Site, new_app
from otel_embedder.api.http.serving import serving
from otel_embedder.api.news import News
from otel_embedder.api.pool import Pool
from otel_embedder.api.telling import Telling
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.links import trace_link
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.telemetry.metrics import Metrics
from tests.support.fakes import PATIENCE
from tests.support.made_up import MODEL, TEXT_VERSION, FakeEmbedder, write

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from otel_embedder.credentials.tokens import Tokens
    from tests.support.made_up import Seen

ANY_PORT = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Served:
    """A page that is served.

    Attributes:
        client: asks it.
        port: where it is.
        store: keeps the catalogue that it shows.
        catalogue: what it shows.

    """

    client: httpx2.Client
    port: int
    store: MemoryStore
    catalogue: Catalogue


def a_catalogue(store: MemoryStore) -> Catalogue:
    return Catalogue(
        store,
        FakeEmbedder(),
        model=MODEL,
        text_version=TEXT_VERSION,
        link=trace_link("https://traces.example/{trace_id}?span={span_id}"),
    )


@contextmanager
def served(
    *seen: Seen,
    tokens: Tokens | None = None,
    hosts: str = "localhost",
    context: ssl.SSLContext | None = None,
) -> Iterator[Served]:
    """Serve a page of these texts."""
    store = MemoryStore()
    write(store, *seen)
    catalogue = a_catalogue(store)
    with ExitStack() as parts:
        pool = parts.enter_context(Pool(threads=2, waiting=8))
        closing = threading.Event()
        telling = Telling(lambda: catalogue, "memory", None)
        news = News(telling.beat, lambda: catalogue)
        site = Site(lambda: catalogue, telling, news, pool, closing, Metrics())
        app = new_app(site, hosts=hosts, tokens=tokens)
        port = parts.enter_context(serving(app, ANY_PORT, context))
        parts.callback(closing.set)
        client = parts.enter_context(
            httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE)
        )
        yield Served(client, port, store, catalogue)
