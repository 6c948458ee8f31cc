"""The store that a URL names."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from otel_embedder.errors import StoreError
from otel_embedder.search.settings import MEMORY, SQLITE_SCHEME, check_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.search.store import Store


def opener(url: str) -> Callable[[], Store]:
    """Give what opens a catalogue for each of those who share it in a process."""
    opened = partial(open_store, url)
    return _Once(opened) if url == MEMORY else opened


class _Once:
    """Opens a store when it is first wanted, and gives the same one from then on."""

    def __init__(self, opened: Callable[[], Store]) -> None:
        self._opened = opened
        self._lock = Lock()
        self._store: Store | None = None

    def __call__(self) -> Store:
        with self._lock:
            if self._store is None:
                self._store = self._opened()
            return self._store


def open_store(url: str, *, readonly: bool = False) -> Store:
    """Open a catalogue, and make it if it is not there and may be written.

    Raises:
        StoreError: it can't be opened, or no store is called so.

    """
    try:
        check_catalogue(url)
    except ValueError as error:
        raise StoreError(f"{url!r} names no catalogue: it {error}") from error
    # Each only for those who use it.
    if url == MEMORY:
        from otel_embedder.search.stores.memory import MemoryStore  # noqa: PLC0415

        return MemoryStore()
    from otel_embedder.search.stores.sqlite import SqliteStore  # noqa: PLC0415

    return SqliteStore(Path(url.removeprefix(SQLITE_SCHEME)), readonly=readonly)
