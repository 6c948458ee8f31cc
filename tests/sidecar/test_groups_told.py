from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from otel_embedder.search.stores.opening import open_store
from tests.support.failing import BEGIN, CAUSES, failing_request
from tests.support.hooks import hook
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.peers import FakeNextHop

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.timeout(120), pytest.mark.integration]

BANK = CAUSES[2]


def resolved(url: str) -> str:
    """Resolve the one group of a catalogue; give its id."""
    store = open_store(url)
    [group] = store.groups.all()
    store.groups.decide(group.group.id, "resolved", now=time.time_ns())
    store.close()
    return group.group.id


async def test_a_failure_is_told_once_when_it_is_new_and_again_after_it_was_resolved(
    tmp_path: Path, tiny_bert: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'catalogue.db'}"
    now = time.time() - BEGIN
    with hook() as server, capture_logs() as lines:
        async with (
            FakeNextHop() as next_hop,
            sidecar_in_process(
                next_hop.url,
                **tiny_model(tiny_bert),
                catalogue=url,
                catalogue_interval=0.1,
                group_webhook=server.url,
            ) as sidecar,
        ):
            for number in range(3):
                await sidecar.client.export(failing_request(BANK, number, at=now - 9))
            await asyncio.to_thread(server.wait)
            id_ = await asyncio.to_thread(resolved, url)
            await sidecar.client.export(failing_request(BANK, 9, at=now + 60))
            await asyncio.to_thread(server.wait)
        counted = sidecar.metrics.value("new_error_groups_total", service="bank")

    told = [(line["event"], line["group"]) for line in lines if "group" in line]
    assert told == [
        ("error-group.new", id_),
        ("error-group.regressed", id_),
    ]
    posted = [json.loads(body) for body, _ in server.posts]
    assert [each["event"] for each in posted] == ["error-group.new", "error-group.regressed"]
    assert [each["title"] for each in posted] == ["card of user u# was declined by the bank"] * 2
    assert counted == 2
