"""A catalogue that is opened when it is asked for the first time: it may not be there before."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.search.catalogue import Catalogue
    from otel_embedder.search.store import Store


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
            if self._catalogue is None:
                self._store = self._opened()
                self._catalogue = self._new(self._store)
            return self._catalogue

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = self._catalogue = None
