from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from otel_embedder.errors import StoreError
from otel_embedder.search.asking.opening import LazyCatalogue
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.links import trace_link
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.stores.sqlite import SqliteStore
from tests.support.made_up import MODEL, TEXT_VERSION, FakeEmbedder

if TYPE_CHECKING:
    from pathlib import Path


def test_a_path_is_from_the_root_or_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///here.db", f"sqlite:///{tmp_path / 'root.db'}"):
        open_store(url).close()

    assert {path.name for path in tmp_path.iterdir()} == {"here.db", "root.db"}


@pytest.mark.parametrize(
    "url", ["", "sqlite", "sqlite://", "sqlite:///", "/path.db", "postgresql://"]
)
def test_what_names_nothing_is_told_the_forms(url: str) -> None:
    with pytest.raises(
        StoreError, match=r"names no catalogue: it must be sqlite:///PATH, .*memory"
    ):
        open_store(url)


def test_each_memory_is_one_of_its_own() -> None:
    with closing(open_store("memory")) as store:
        assert isinstance(store, MemoryStore)
        assert open_store("memory") is not store


def test_one_that_is_asked_is_opened_anew_when_another_file_is_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    asked = LazyCatalogue(
        lambda: SqliteStore(path),
        lambda store: Catalogue(
            store, FakeEmbedder(), model=MODEL, text_version=TEXT_VERSION, link=trace_link(None)
        ),
    )
    first = asked.get()
    again = asked.get()
    for file in tmp_path.iterdir():
        file.unlink()
    other = asked.get()

    assert (first is again, first is other) == (True, False)
    assert other.info().texts == 0
    asked.close()
