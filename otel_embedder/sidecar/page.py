"""The page and the API beside the way of the spans: in a thread and a loop of their own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from otel_embedder.embedder.models.weights import model_name
from otel_embedder.search.asking.opening import LazyCatalogue, catalogue_of
from otel_embedder.sidecar.background import beside
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from otel_embedder.search.store import Store
    from otel_embedder.settings import Settings
    from otel_embedder.sidecar.embedding import NestTextEmbedder
    from otel_embedder.sidecar.watching import Watch
    from otel_embedder.telemetry.metrics import Metrics

PAGE_SHOWN = "page.shown"
# Spans share the interpreter with whoever asks: answers get half of the time at most.
REST = 1.0

log = get_logger()


def asked_catalogue(
    settings: Settings,
    opened: Callable[[], Store],
    embedder: NestTextEmbedder,
    *,
    text_version: str,
) -> LazyCatalogue:
    """Give the catalogue that a sidecar fills, to be asked.

    Args:
        settings: say which model embeds, and where traces can be looked at.
        opened: opens what keeps it.
        embedder: embeds questions.
        text_version: of texts that are compared.

    """
    return LazyCatalogue(
        opened,
        lambda store: catalogue_of(
            store,
            embedder,
            settings,
            model=model_name(settings.model),
            text_version=text_version,
        ),
    )


@asynccontextmanager
async def page(
    settings: Settings, catalogue: LazyCatalogue, metrics: Metrics
) -> AsyncIterator[None]:
    """Show the catalogue, where the settings say so.

    Raises:
        ListenError: the address can't be had.
        SettingsError: the certificate can't be used any more.

    """
    if settings.http_listen is None:
        yield
        return
    async with AsyncExitStack() as parts:
        shown = ExitStack()
        # A question that is being answered waits for this loop, to embed it.
        parts.push_async_callback(asyncio.to_thread, shown.close)
        watch, address = await asyncio.to_thread(_show, settings, catalogue, metrics, shown)
        await parts.enter_async_context(beside(watch.run()))
        log.info(PAGE_SHOWN, address=address)
        yield


def _show(
    settings: Settings, catalogue: LazyCatalogue, metrics: Metrics, shown: ExitStack
) -> tuple[Watch, str]:
    # Of an extra, which a sidecar alone does not need.
    from otel_embedder.api.opening import showing  # noqa: PLC0415
    from otel_embedder.api.telling import Telling  # noqa: PLC0415
    from otel_embedder.sidecar.watching import Watch  # noqa: PLC0415

    watch = Watch(settings, metrics)
    telling = Telling(catalogue.get, settings.catalogue or "", watch)
    return watch, shown.enter_context(showing(settings, catalogue.get, telling, metrics, rest=REST))
