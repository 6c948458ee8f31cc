"""The store that a URL names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from otel_embedder.errors import StoreError

if TYPE_CHECKING:
    from otel_embedder.search.store import Store

FORMS = "sqlite:///relative/to.db, sqlite:////absolute/path.db, or memory"
_SQLITE = "sqlite:///"


def sqlite_path(url: str) -> Path | None:
    """Give the file that a URL names; None for memory.

    Raises:
        ValueError: it is of neither form.

    """
    if url == "memory":
        return None
    path = url.removeprefix(_SQLITE)
    if path in (url, "") or path.endswith("/"):
        raise ValueError(f"{url!r} names no catalogue: it is {FORMS}")
    return Path(path)


def open_store(url: str, *, readonly: bool = False) -> Store:
    """Open a catalogue, and make it if it is not there and may be written.

    Raises:
        StoreError: it can't be opened, or the URL is of no form that is known.

    """
    try:
        path = sqlite_path(url)
    except ValueError as error:
        raise StoreError(str(error)) from error
    # Each only for those who use it.
    if path is None:
        from otel_embedder.search.stores.memory import MemoryStore  # noqa: PLC0415

        return MemoryStore()
    from otel_embedder.search.stores.sqlite import SqliteStore  # noqa: PLC0415

    return SqliteStore(path, readonly=readonly)
