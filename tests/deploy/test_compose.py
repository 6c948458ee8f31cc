"""The compose file and what it mounts: by the real tool, and started without it."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder import __version__
from otel_embedder.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from otel_embedder.sidecar.checks import CHECKS
from tests.support.charts import DEPLOY, ToolError, tool
from tests.support.comparison import delivery, differences, spans_in
from tests.support.generated import requests_of_every_shape
from tests.support.processes import (
    CONFIGURATIONS,
    OTEL_EMBEDDER,
    Sidecar,
    Sink,
    free_address,
    own_environment,
    running_collector,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.processes import Collector

pytestmark = pytest.mark.deploy

# A busy machine takes so long to start and end a program.
PATIENCE = 60.0
# Of the application: two of each order.
SPANS = 40
COMPOSE = DEPLOY / "compose" / "compose.yaml"
PROVISIONING = PurePosixPath("/etc/grafana/provisioning")


def services_in(requests: Iterable[bytes]) -> set[str]:
    """Give who sent, as requests tell it."""
    return {
        attribute.value.string_value
        for request in requests
        for resource in ExportTraceServiceRequest.FromString(request).resource_spans
        for attribute in resource.resource.attributes
        if attribute.key == "service.name"
    }


def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())["services"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("profiles", [(), ("store",), ("example",), ("store", "example")])
def test_compose_takes_the_file(profiles: tuple[str, ...]) -> None:
    asked = [word for profile in profiles for word in ("--profile", profile)]

    assert tool("docker-compose", "-f", COMPOSE, *asked, "config", "--quiet") == ""


def test_a_typo_in_the_compose_file_is_found(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE.read_text().replace("cap_drop", "cap_drops"))

    with pytest.raises(ToolError, match="cap_drops"):
        tool("docker-compose", "-f", file, "config", "--quiet")


def test_every_file_that_compose_mounts_or_builds_from_is_there() -> None:
    here = COMPOSE.parent
    mounted = [
        volume.partition(":")[0] for s in services().values() for volume in s.get("volumes", ())
    ]

    assert [path for path in mounted if path.startswith(".") and not (here / path).exists()] == []
    build = services()["otel-embedder"]["build"]
    assert (here / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert services()["otel-embedder"]["image"] == f"otel-embedder:{__version__}"


def test_composes_variables_are_settings_and_there_is_time_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = services()["otel-embedder"]
    for name, value in service["environment"].items():
        assert name.removeprefix(ENVIRONMENT_PREFIX).lower() in Settings.model_fields
        monkeypatch.setenv(name, value)

    settings = load_settings({}, CHECKS)
    assert float(service["stop_grace_period"].rstrip("s")) > settings.shutdown_timeout


@contextmanager
def started(storage: Path, model_cache: Path, sink: Sink) -> Iterator[Collector]:
    """Run Collector and sidecar, each with the variables that it has there, but for addresses."""
    embedder, collector = (
        services()[name]["environment"] for name in ("otel-embedder", "collector")
    )
    sidecar_address, embedded = free_address(), free_address()
    assert embedder["OTEL_EMBEDDER_NEXT_HOP"] == "http://collector:4337"
    assert collector["OTELCOL_EMBEDDED_ENDPOINT"] == "0.0.0.0:4337"
    assert collector["OTELCOL_SIDECAR_ENDPOINT"].rpartition(":")[2] == "4327"
    variables = {
        **embedder,
        "OTEL_EMBEDDER_LISTEN": sidecar_address,
        "OTEL_EMBEDDER_NEXT_HOP": f"http://{embedded}",
        "OTEL_EMBEDDER_METRICS_LISTEN": free_address(),
        "OTEL_EMBEDDER_LOG_FORMAT": "json",
        "OTEL_EMBEDDER_MODEL_CACHE": str(model_cache),
    }
    with Sidecar([*OTEL_EMBEDDER, "serve"], own_environment(variables)) as sidecar:
        sidecar.wait_for_event("service.started")
        addresses = {
            "OTELCOL_SIDECAR_ENDPOINT": sidecar_address,
            "OTELCOL_EMBEDDED_ENDPOINT": embedded,
            "OTELCOL_BACKEND_ENDPOINT": sink.address,
            "OTELCOL_STORAGE_DIRECTORY": str(storage),
        }
        variables = {**collector, **addresses}
        for name in ("OTELCOL_APPS_ENDPOINT", "OTELCOL_HEALTH_ENDPOINT"):
            variables.pop(name)
        with running_collector(CONFIGURATIONS / "sidecar.yaml", variables) as sender:
            yield sender


def test_spans_pass_through_what_compose_would_start(tmp_path: Path, model_cache: Path) -> None:
    sent = requests_of_every_shape(50)
    with Sink() as sink, started(tmp_path / "spans", model_cache, sink) as sender:
        send(sender.address, sent)
        sink.wait_for_all(sent)

    assert differences(spans_in(sent), delivery(sink.requests).spans) == []


def test_an_application_sends_by_its_environment_alone(tmp_path: Path, model_cache: Path) -> None:
    application = services()["application"]
    [(inside, program)] = mounted("application").items()
    host, _, port = services()["collector"]["environment"]["OTELCOL_APPS_ENDPOINT"].rpartition(":")
    endpoint = application["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert (host, endpoint) == ("0.0.0.0", f"http://collector:{port}")
    assert application["command"][-1].endswith(f"&& python {inside}")
    with Sink() as sink, started(tmp_path / "spans", model_cache, sink) as sender:
        own = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{sender.address}"}
        environment = own_environment({**application["environment"], **own})
        subprocess.run([sys.executable, program], env=environment, check=True, timeout=PATIENCE)
        sink.wait_for_any(SPANS)

    delivered = delivery(sink.requests)
    assert (delivered.spans.total(), delivered.sources.total()) == (SPANS, SPANS)
    assert services_in(sink.requests) == {"orders"}


def mounted(service: str) -> dict[PurePosixPath, Path]:
    """Give the files of ours that a service sees, by where it sees them."""
    volumes = [volume.split(":") for volume in services()[service]["volumes"]]
    return {
        PurePosixPath(inside): (COMPOSE.parent / outside).resolve()
        for outside, inside, *_ in volumes
        if outside.startswith(".")
    }


def port_of(service: str, container: str) -> bool:
    """Tell whether a service publishes this port of its container."""
    return any(port.endswith(f":{container}") for port in services()[service]["ports"])


def test_grafana_finds_the_dashboard_at_its_first_start() -> None:
    files = mounted("grafana")
    (provider,) = yaml.safe_load(files[PROVISIONING / "dashboards/dashboards.yaml"].read_text())[
        "providers"
    ]
    folder = PurePosixPath(provider["options"]["path"])
    (dashboard,) = [file for inside, file in files.items() if inside.parent == folder]

    assert provider["type"] == "file"
    assert dashboard == DEPLOY / "observability" / "dashboard.json"
    uid = json.loads(dashboard.read_text())["uid"]
    assert f"127.0.0.1:3000/d/{uid}" in COMPOSE.read_text()


def test_grafana_asks_services_that_there_are_and_the_dashboard_one_of_them() -> None:
    sources = yaml.safe_load(
        mounted("grafana")[PROVISIONING / "datasources/datasources.yaml"].read_text()
    )["datasources"]
    for source in sources:
        host, _, port = source["url"].removeprefix("http://").partition(":")
        assert port_of(host, port)

    (default,) = [source for source in sources if source.get("isDefault")]
    dashboard = json.loads((DEPLOY / "observability" / "dashboard.json").read_text())
    (variable, *_) = dashboard["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", default["type"])


def test_prometheus_asks_the_sidecar_where_it_tells() -> None:
    files = mounted("prometheus")
    settings = yaml.safe_load(files[PurePosixPath("/etc/prometheus/prometheus.yml")].read_text())
    (job,) = settings["scrape_configs"]
    ((target,),) = (each["targets"] for each in job["static_configs"])
    host, _, port = target.partition(":")
    told = services()[host]["environment"]["OTEL_EMBEDDER_METRICS_LISTEN"]

    assert told == f"0.0.0.0:{port}"
    assert [files[PurePosixPath(rule)] for rule in settings["rule_files"]] == [
        DEPLOY / "observability" / "rules.yaml"
    ]
