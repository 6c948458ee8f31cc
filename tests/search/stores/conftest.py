from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.search.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_embedder.search.store import Store


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give an empty store of each kind."""
    url = "memory" if request.param == "memory" else f"sqlite:///{tmp_path / 'catalogue.db'}"
    opened = open_store(url)
    yield opened
    opened.close()
