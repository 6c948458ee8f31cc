"""What the commands of docs/deploy.md make of the chart, run: all of it but Kubernetes.

The gateway's is in test_gateway: a Collector that balances takes long to build.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.support.charts import (
    METRICS_OFF,
    collector_config,
    elsewhere,
    embedder,
    manifests,
    settings_of,
    typed,
)
from tests.support.comparison import delivery, differences, spans_in
from tests.support.documents import typed_commands
from tests.support.generated import requests_of_every_shape
from tests.support.processes import (
    OTEL_EMBEDDER,
    Sidecar,
    Sink,
    free_address,
    own_environment,
    running_collector,
    send,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.deploy


@pytest.mark.parametrize("title", ["The native sidecar", "The DaemonSet", "The Operator"])
def test_spans_pass_through_the_pair_of_the_documents_command(
    title: str, tmp_path: Path, model_cache: Path
) -> None:
    (command,) = typed_commands(title)
    each = manifests(typed(command))
    *words, _ = embedder(each)["args"]
    settings, config = tmp_path / "otel-embedder.yaml", tmp_path / "collector.yaml"
    sent, apps = requests_of_every_shape(50), free_address()
    with Sink() as sink:
        addresses = {
            "0.0.0.0:4317": apps,
            "tempo:4317": sink.address,
            "0.0.0.0:13133": free_address(),
            "0.0.0.0:9464": free_address(),
            "127.0.0.1:4337": free_address(),
            "/run/otel-embedder": str(tmp_path),
            "/var/lib/otelcol/spans": str(tmp_path / "spans"),
        }
        settings.write_text(elsewhere(settings_of(each), addresses))
        config.write_text(elsewhere(collector_config(each), addresses))
        variables = own_environment({"OTEL_EMBEDDER_MODEL_CACHE": str(model_cache)})
        with (
            Sidecar([*OTEL_EMBEDDER, *words, str(settings)], variables) as sidecar,
            running_collector(config, {}, overrides=[METRICS_OFF]),
        ):
            sidecar.wait_for_model()
            send(apps, sent)
            sink.wait_for_all(sent)

    came = delivery(sink.requests)
    assert differences(spans_in(sent), came.spans) == []
    assert came.sources["model"] > 0


def test_the_page_of_the_documents_command_is_shown(tmp_path: Path, model_cache: Path) -> None:
    (command,) = typed_commands("The page")
    each = manifests(typed(command))
    *words, _ = embedder(each)["args"]
    settings = tmp_path / "otel-embedder.yaml"
    listen, page = free_address(), free_address()
    with Sink() as sink:
        addresses = {
            "0.0.0.0:4327": listen,
            "127.0.0.1:4329": page,
            "0.0.0.0:9464": free_address(),
            "tempo:4317": sink.address,
            "/var/lib/otel-embedder": str(tmp_path),
        }
        settings.write_text(elsewhere(settings_of(each), addresses))
        variables = own_environment({"OTEL_EMBEDDER_MODEL_CACHE": str(model_cache)})
        with Sidecar([*OTEL_EMBEDDER, *words, str(settings)], variables) as sidecar:
            sidecar.wait_for_model()
            send(listen, requests_of_every_shape(10))
            with urlopen(f"http://{page}/api/v1/status") as answer:
                status = json.load(answer)

    assert status["sidecar"]["next_hop"] == f"http://{sink.address}"
    assert (tmp_path / "spans.db").exists()
