"""A text id in a real Collector: a plain string by which it could group and filter."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.otlp_samples import request, span
from tests.support.processes import (
    Collector,
    collector_binary,
    free_address,
    own_environment,
    running_sidecar,
    send,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.collector, pytest.mark.integration]

# As the debug exporter prints an attribute.
TEXT_ID = re.compile(r"-> embedding\.text_id: Str\(([0-9a-f]{16})\)")


def test_a_collector_sees_by_one_attribute_which_spans_read_alike(model_cache: Path) -> None:
    alike = [span("pay order", {"order.id": number}, milliseconds=number) for number in (1, 2, 3)]
    others = [span("ship order"), span("ship order", {"thread.id": 7})]
    address = free_address()
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": address}}}},
        "exporters": {"debug": {"verbosity": "detailed"}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}},
        },
    }
    command = [str(collector_binary()), f"--config=yaml:{json.dumps(config)}"]
    settings = ("--model-cache", str(model_cache), "--embed-timeout", "10")
    with Collector(command, own_environment({})) as collector:
        collector.wait_for_line("Everything is ready")
        with running_sidecar(address, settings=settings) as sidecar:
            sidecar.wait_for_model()
            send(sidecar.address, [request(*alike, *others).SerializeToString()])
        collector.stop()
        found = Counter(TEXT_ID.findall("".join(collector.lines_with("embedding.text_id"))))

    assert sorted(found.values()) == [2, 3]
