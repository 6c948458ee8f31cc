"""What `page` and `mcp` ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from otel_embedder.cli.parts.asked import asked_catalogue
from otel_embedder.cli.parts.options import settings_from
from otel_embedder.search.asking.queries import SearchQuery
from otel_embedder.search.stores.sqlite import SqliteStore
from tests.support.in_process import tiny_model
from tests.support.made_up import Seen, write

if TYPE_CHECKING:
    from pathlib import Path


def filled(path: Path, *words: str) -> None:
    store = SqliteStore(path)
    write(store, *(Seen(each, model=None) for each in words))
    store.close()


@pytest.mark.parametrize("readonly", [True, False])
def test_a_catalogue_whose_file_is_replaced_is_followed(
    tmp_path: Path, tiny_bert: Path, *, readonly: bool
) -> None:
    path = tmp_path / "catalogue.db"
    filled(path, "a")
    settings = settings_from({"catalogue": f"sqlite:///{path}", **tiny_model(tiny_bert)})
    with asked_catalogue(settings, readonly=readonly) as catalogue:
        before = catalogue.get().search(SearchQuery(question="a"))
        path.unlink()
        filled(path, "b", "c", "d")
        after = catalogue.get().search(SearchQuery(question="a"))

    assert (before.left_out.waiting, after.left_out.waiting) == (1, 3)


def test_one_that_lives_elsewhere_is_refused_before_there_is_a_model(tmp_path: Path) -> None:
    settings = settings_from({"catalogue": "memory", "model": str(tmp_path)})
    with (
        pytest.raises(click.UsageError, match="own process"),
        asked_catalogue(settings, readonly=True),
    ):
        pass
