"""Opens the page and the API: settings become an application that is served."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from otel_embedder.api.http.app import Site, new_app
from otel_embedder.api.http.serving import serving
from otel_embedder.api.http.tls import tls_context
from otel_embedder.api.news import News
from otel_embedder.api.pool import Pool
from otel_embedder.api.settings import DEFAULT_LISTEN
from otel_embedder.credentials.tls_files import TlsFiles
from otel_embedder.credentials.tokens import tokens_of
from otel_embedder.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_embedder.api.counting import QuestionMetrics
    from otel_embedder.api.settings import PageSettings
    from otel_embedder.api.telling import Telling
    from otel_embedder.search.catalogue import Catalogue

# Searches wait for memory rather than for a core; more at once only take it from spans.
THREADS = 2
WAITING = 64


@contextmanager
def showing(
    settings: PageSettings,
    catalogue: Callable[[], Catalogue],
    telling: Telling,
    metrics: QuestionMetrics,
    *,
    rest: float = 0.0,
) -> Iterator[str]:
    """Show a catalogue over HTTP; give the page's address.

    Args:
        settings: where, and to whom.
        catalogue: gives it.
        telling: tells how all is.
        metrics: who counts questions.
        rest: for so many times the CPU that an answer took none is begun.

    Raises:
        ListenError: the address can't be had.
        SettingsError: the certificate can't be used any more.
        CredentialsError: the tokens can't be read any more.

    """
    listen = settings.http_listen or DEFAULT_LISTEN
    tls = TlsFiles(None, settings.http_certificate, settings.http_key)
    closing = threading.Event()
    with ExitStack() as parts:
        pool = parts.enter_context(Pool(threads=THREADS, waiting=WAITING, rest=rest))
        news = News(telling.beat, catalogue)
        site = Site(catalogue, telling, news, pool, closing, metrics)
        tokens = tokens_of(settings.http_token, settings.http_token_file)
        app = new_app(site, hosts=settings.http_hosts, tokens=tokens and tokens())
        context = parts.enter_context(tls_context(tls)) if tls.certificate else None
        port = parts.enter_context(serving(app, listen, context))
        parts.callback(closing.set)
        pool.begin(lambda: _warm(catalogue))
        scheme = "http" if context is None else "https"
        yield f"{scheme}://{listen.rpartition(':')[0]}:{port}/"


def _warm(catalogue: Callable[[], Catalogue]) -> None:
    # Whoever asks is told why it can't be read.
    with suppress(StoreError):
        catalogue().warm()
