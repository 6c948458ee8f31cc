from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from otel_embedder.errors import StoreError
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.search.stores.opening import open_store, sqlite_path


def test_a_url_names_a_file() -> None:
    assert sqlite_path("sqlite:///catalogue.db") == Path("catalogue.db")
    assert sqlite_path("sqlite:////var/lib/catalogue.db") == Path("/var/lib/catalogue.db")
    assert sqlite_path("memory") is None


@pytest.mark.parametrize(
    "url",
    ["", "sqlite", "sqlite://", "sqlite:///", "sqlite:///folder/", "/path.db", "postgresql://"],
)
def test_what_names_nothing_is_told_the_forms(url: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite:///relative/to.db, .*, or memory"):
        sqlite_path(url)
    with pytest.raises(StoreError, match="names no catalogue"):
        open_store(url)


def test_each_memory_is_one_of_its_own() -> None:
    with closing(open_store("memory")) as store:
        assert isinstance(store, MemoryStore)
        assert open_store("memory") is not store
