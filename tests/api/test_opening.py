from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from otel_embedder.api.opening import showing
from otel_embedder.api.telling import Telling
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.settings import load_settings
from otel_embedder.telemetry.metrics import Metrics
from tests.support.fakes import PATIENCE
from tests.support.made_up import Seen, write
from tests.support.sites import ANY_PORT, a_catalogue

if TYPE_CHECKING:
    from otel_embedder.search.catalogue import Catalogue


def test_the_catalogue_is_read_before_anybody_asks() -> None:
    store = MemoryStore()
    write(store, Seen("pay a bill"))
    known = a_catalogue(store)
    was_asked = threading.Event()

    def catalogue() -> Catalogue:
        was_asked.set()
        return known

    settings = load_settings({"http_listen": ANY_PORT, "catalogue": "memory"})
    with showing(settings, catalogue, Telling(catalogue, "memory", None), Metrics()):
        assert was_asked.wait(PATIENCE)
