"""A catalogue that is opened when it is asked for the first time: it may not be there before."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from otel_embedder.errors import StoreError
from otel_embedder.search.links import trace_link
from otel_embedder.search.times import quiet_nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.search.catalogue import Catalogue
    from otel_embedder.search.settings import CatalogueSettings
    from otel_embedder.search.store import Store


def catalogue_of(
    store: Store,
    embedder: TextEmbedder,
    settings: CatalogueSettings,
    *,
    model: str,
    text_version: str,
) -> Catalogue:
    """Give a catalogue to be asked, as settings have it.

    Args:
        store: what keeps it.
        embedder: embeds questions.
        settings: say where traces can be looked at, and when a failure has been quiet.
        model: the name of the model that embeds.
        text_version: of texts that are compared.

    """
    # A sidecar that fills one may never be asked: a tenth of a second at its start.
    from otel_embedder.search.catalogue import Catalogue  # noqa: PLC0415

    return Catalogue(
        store,
        embedder,
        model=model,
        text_version=text_version,
        link=trace_link(settings.trace_link),
        quiet_after=quiet_nanoseconds(settings),
    )


class LazyCatalogue:
    """Opens a catalogue, and closes what it has opened. Safe to use from several threads."""

    def __init__(
        self, opened: Callable[[], Store], catalogue: Callable[[Store], Catalogue]
    ) -> None:
        """Prepare.

        Args:
            opened: opens what keeps it.
            catalogue: makes it of that.

        """
        self._opened = opened
        self._new = catalogue
        self._lock = Lock()
        self._store: Store | None = None
        self._catalogue: Catalogue | None = None

    def get(self) -> Catalogue:
        """Give the catalogue.

        Raises:
            StoreError: it can't be opened; the next time it is tried again.

        """
        with self._lock:
            if self._store is not None and not _can_be_read(self._store):
                self._close()
            if self._catalogue is None:
                self._store = self._opened()
                self._catalogue = self._new(self._store)
            return self._catalogue

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = self._catalogue = None


def _can_be_read(store: Store) -> bool:
    """Tell whether a catalogue is still what was opened: its file may have gone since."""
    try:
        return store.generation >= 0
    except StoreError:
        return False
