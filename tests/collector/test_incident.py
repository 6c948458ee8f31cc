"""An incident in a shop behind a real Collector: named, told of, repaired, resolved, back again.

No clock is waited for: spans carry times that the test chooses, and what they come to is asked for
once all of them were counted.
"""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from otel_embedder.search.asking.queries import ChangesQuery, GroupsQuery, Stretch
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.links import trace_link
from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.times import MINUTE
from tests.collector.test_collector import SIDECAR_YAML, Topology
from tests.support.hooks import hook
from tests.support.made_up import FakeEmbedder
from tests.support.processes import OTEL_EMBEDDER, Sink, own_environment, send
from tests.support.traffic import BANK, CHARGE, SPANS_A_MINUTE, WELL, Fault, traffic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from otel_embedder.search.changes.answers import Changes
    from otel_embedder.search.groups.found import FoundGroup
    from otel_embedder.search.store import Store

pytestmark = [pytest.mark.collector, pytest.mark.integration, pytest.mark.timeout(300)]

INTERVALS = 3
# Minutes from now on. Three are over when somebody resolves what happened in them; of the last one
# the spans are later than that, whatever time the test takes.
HOUR, INCIDENT, AFTERWARDS, AGAIN = range(-90, -30), range(-30, -29), range(-29, -14), range(10, 11)
BROKEN = Fault(failing=0.6)
TITLE = "the card was refused"
LOOK_SECONDS = 0.2


class Asking:
    """Asks the catalogue that a sidecar fills, while it does."""

    def __init__(self, store: Store, begin: int) -> None:
        self._store = store
        self._begin = begin
        self._catalogue = Catalogue(
            store, FakeEmbedder(), model="any", text_version="any", link=trace_link(None)
        )

    def intervals(self) -> int:
        """Give how many intervals brought spans: those of none write nothing."""
        return sum(self._store.writers().values())

    def changes(self, minutes: range) -> Changes:
        since, until = (
            datetime.fromtimestamp(self._begin + MINUTE * minute, UTC)
            for minute in (minutes.start, minutes.stop)
        )
        window = Stretch(since, until)
        return self._catalogue.changes(ChangesQuery(window=window, against=timedelta(hours=1)))

    def groups(self) -> Sequence[FoundGroup]:
        return self._catalogue.groups(GroupsQuery()).groups

    def wait_until_counted(self, minutes: range) -> Changes:
        """Wait until all spans of some minutes were counted; give what is different then."""
        while (found := self.changes(minutes)).window.spans < len(minutes) * SPANS_A_MINUTE:
            time.sleep(LOOK_SECONDS)
        return found


@pytest.fixture(autouse=True)
def _model_cache(model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_MODEL_CACHE", str(model_cache))


def made(minutes: Iterable[int], begin: int, fault: Fault = WELL) -> Sequence[bytes]:
    """Give the requests of some minutes; no two have a trace in common."""
    return [
        each.SerializeToString()
        for minute in minutes
        for each in traffic([minute], fault, seed=minute, begin=begin)
    ]


def resolve(group: str, url: str) -> None:
    """Resolve a group as somebody would by hand."""
    command = [*OTEL_EMBEDDER, "groups", "resolve", group, "--catalogue", url]
    subprocess.run(command, env=own_environment({}), check=True)


def test_an_incident_is_named_and_told_of_once_and_again_when_it_comes_back(
    tmp_path: Path,
) -> None:
    begin = int(time.time()) // MINUTE * MINUTE
    url = f"sqlite:///{tmp_path / 'spans.db'}"
    open_store(url).close()
    asking = Asking(open_store(url, readonly=True), begin)
    with Sink() as sink, hook() as hooked:
        topology = Topology(SIDECAR_YAML, tmp_path, sink.address)
        filling = ("--catalogue", url, "--catalogue-interval", "1", "--group-webhook", hooked.url)
        with topology.sidecar(*filling) as sidecar, topology.collector() as collector:
            send(collector.address, made(HOUR, begin))
            asking.wait_until_counted(HOUR)
            healthy = asking.groups()

            before = asking.intervals()
            send(collector.address, made(INCIDENT, begin, BROKEN))
            incident = asking.wait_until_counted(INCIDENT)
            took = asking.intervals() - before
            [new] = asking.groups()
            hooked.wait()

            send(collector.address, made(AFTERWARDS, begin))
            afterwards = asking.wait_until_counted(AFTERWARDS)
            [quiet] = asking.groups()

            resolve(new.id, url)
            [resolved] = asking.groups()
            send(collector.address, made(AGAIN, begin, BROKEN))
            asking.wait_until_counted(AGAIN)
            [back] = asking.groups()
            hooked.wait()
        told = [json.loads(line) for line in sidecar.lines_with('"event": "error-group.')]

    assert healthy == ()
    first = incident.certain[0]
    assert (first.operation.service, first.operation.operation) == (BANK, CHARGE)
    assert first.reasons[0].test == "fails"
    assert first.examples_after
    assert took <= INTERVALS
    assert (new.state, new.service, new.title) == ("new", BANK, TITLE)
    assert afterwards.certain == ()
    assert [each.last_seen for each in (quiet, resolved)] == [new.last_seen] * 2
    assert (resolved.state, back.state) == ("resolved", "regressed")
    events = [("error-group.new", new.id), ("error-group.regressed", new.id)]
    assert [(line["event"], line["group"]) for line in told] == events
    posted = [json.loads(body) for body, _ in hooked.posts]
    assert [(each["event"], each["id"]) for each in posted] == events
