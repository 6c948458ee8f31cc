"""The chart and the plain manifests, judged by the real tools: `make check-deploy`."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import ByteSize, TypeAdapter

from otel_embedder import __version__
from otel_embedder.settings import Settings, load_settings
from otel_embedder.sidecar.checks import CHECKS
from tests.capacity.sizing import (
    INFLIGHT_BYTES,
    INFLIGHT_TIMES,
    REMEMBERED_TEXTS,
    TEXT_BYTES,
    Load,
    size_of,
)
from tests.deploy.manifests import MANIFESTS, VALUES, made
from tests.support.certificates import Authority
from tests.support.charts import (
    CHART,
    DEPLOY,
    KUBERNETES,
    RELEASE,
    collector_config,
    embedder,
    lint,
    manifests,
    named,
    pod_spec,
    rendered,
    settings_of,
    tool,
    validate,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.charts import Manifest

pytestmark = pytest.mark.deploy

SIZE = TypeAdapter(ByteSize)

TLS = {
    "tls": {"name": "own"},
    "clientAuthority": {"name": "clients", "key": "ca.crt"},
    "bearerToken": {"name": "tokens", "key": "token"},
    "nextHopHeaders": {"name": "next-hop", "key": "headers"},
    "telemetryHeaders": {"name": "telemetry", "key": "headers"},
    "nextHopAuthority": {"name": "next-hop", "key": "ca.crt"},
    "nextHopClient": {"name": "next-hop-client"},
}
SETTINGS = {
    "encoding": "bytes",
    "cache_size": 1_000_000,
    "max_inflight_bytes": "128MiB",
    "max_send_bytes": 16_777_216,
    "attach_text": True,
    "volatile_keys": "*.id,tenant",
}
PLACED = {
    "nodeSelector": {"kubernetes.io/arch": "arm64"},
    "tolerations": [{"key": "telemetry", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "priorityClassName": "system-node-critical",
    "podAnnotations": {"team": "observability"},
    "podLabels": {"team": "observability"},
    "image": {"pullSecrets": [{"name": "registry"}]},
}
FILES = {
    "extraVolumes": [{"name": "model", "persistentVolumeClaim": {"claimName": "model"}}],
    "extraVolumeMounts": [{"name": "model", "mountPath": "/models"}],
}
WATCHED = {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboard")}
# Of what a sidecar takes before its settings add to it.
LOAD = Load(1, 1, 1, span_bytes=600, request_spans=512, encoding="array", cores=2)
PAGE: dict[str, object] = {"page": {"enabled": True}}
SHARED = {**PAGE, "secrets": {"pageTls": {"name": "page"}, "pageToken": {"name": "page-tokens"}}}
HERE = [{"podSelector": {"matchLabels": {"app": "collector"}}}]
GATEWAY, SIDECAR, DAEMONSET, OPERATOR = (
    VALUES[mode] for mode in ("gateway", "sidecar", "daemonset", "operator")
)
MATRIX: dict[str, dict[str, object]] = {
    **VALUES,
    **{f"{mode} placed": {**values, **PLACED} for mode, values in VALUES.items()},
    **{f"{mode} watched": {**values, **WATCHED} for mode, values in VALUES.items()},
    **{f"{mode} with settings": {**v, "settings": SETTINGS} for mode, v in VALUES.items()},
    **{f"{mode} with files": {**values, **FILES} for mode, values in VALUES.items()},
    **{f"{mode} with the page": {**values, **PAGE} for mode, values in VALUES.items()},
    **{f"{mode} with the page for all": {**values, **SHARED} for mode, values in VALUES.items()},
    **{
        f"{mode} on loopback": {**VALUES[mode], "pair": {"transport": "loopback"}}
        for mode in ("sidecar", "daemonset", "operator")
    },
    "gateway with secrets": {
        **GATEWAY,
        "nextHop": "https://backend:443",
        "settings": {"metrics_otlp_endpoint": "https://metrics.example.com:4317"},
        "secrets": TLS,
    },
    "gateway that scales": {
        **GATEWAY,
        "gateway": {"autoscaling": {"enabled": True, "queueSize": 50}},
    },
    "gateway of IPv6": {**GATEWAY, "gateway": {"host": "[::]"}},
    "gateway without a policy": {**GATEWAY, "networkPolicy": {"enabled": False}},
    "gateway with a policy": {**GATEWAY, "networkPolicy": {"from": HERE, "metricsFrom": HERE}},
    "gateway at other ports": {**GATEWAY, "ports": {"otlp": 14327, "metrics": 19464}},
    "gateway with the page for some": {
        **GATEWAY,
        **SHARED,
        "networkPolicy": {"pageFrom": HERE},
        "ports": {"page": 14329},
        "settings": {"http_hosts": "traces.example", "catalogue": "memory"},
    },
    "gateway that waits": {**GATEWAY, "shutdown": {"preStopSeconds": 0, "timeoutSeconds": 300}},
    "gateway with headers": {**GATEWAY, "secrets": {"nextHopHeaders": {"name": "h", "key": "h"}}},
    "gateway with other headers": {
        **GATEWAY,
        "settings": {"metrics_otlp_endpoint": "https://metrics.example.com:4317"},
        "secrets": {"telemetryHeaders": {"name": "h", "key": "h"}},
    },
    "gateway that may be drained": {**GATEWAY, "gateway": {"disruptionBudget": {"enabled": False}}},
    "sidecar of a class": {
        **SIDECAR,
        "collector": {"backend": {"endpoint": "b:443"}, "storage": {"className": "fast"}},
    },
    "daemonset on the node's disk": {
        **DAEMONSET,
        "collector": {"backend": {"endpoint": "b:1"}, "storage": {"hostPath": "/var/lib/otelcol"}},
    },
}
FOR_ALL = pytest.mark.parametrize("row", MATRIX)


@cache
def row_manifests(row: str) -> list[Manifest]:
    """Render a row of the matrix, once: helm takes a tenth of a second."""
    return manifests(rendered(MATRIX[row]))


def mount_paths(container: dict[str, Any]) -> list[str]:
    return [mount["mountPath"] for mount in container["volumeMounts"]]


@FOR_ALL
def test_helm_finds_no_fault_and_kubernetes_knows_each_field(row: str) -> None:
    lint(MATRIX[row])
    validate(row_manifests(row))


@FOR_ALL
def test_the_program_takes_the_settings(row: str, tmp_path: Path) -> None:
    settings = settings_of(row_manifests(row))
    file = tmp_path / "otel-embedder.yaml"
    file.write_text(yaml.safe_dump(with_files(settings, tmp_path)))

    assert set(settings) <= set(Settings.model_fields)
    loaded = load_settings({"config": str(file)}, CHECKS)
    wanted = MATRIX[row].get("settings") or {}
    assert isinstance(wanted, dict)
    expected = load_settings(wanted, CHECKS)
    assert {name: getattr(loaded, name) for name in wanted} == {
        name: getattr(expected, name) for name in wanted
    }


def with_files(settings: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Give settings that name files which are there, in place of those in the container."""
    authority = Authority(directory)
    pair = authority.issue("server")
    (directory / "tokens").write_text("s3cret")
    files = {
        "http_certificate": pair.certificate,
        "http_key": pair.key,
        "http_token_file": directory / "tokens",
        **dict.fromkeys(("tls_certificate", "next_hop_client_certificate"), pair.certificate),
        **dict.fromkeys(("tls_key", "next_hop_client_key"), pair.key),
        **dict.fromkeys(("tls_client_authority", "next_hop_certificate"), authority.file),
        "bearer_token_file": directory / "tokens",
    }
    return {**settings, **{name: str(files[name]) for name in files if name in settings}}


@FOR_ALL
def test_every_file_that_is_named_is_mounted(row: str) -> None:
    each = row_manifests(row)
    container, settings = embedder(each), settings_of(each)
    *_, config = container["args"]
    words = " ".join(str(value) for name, value in settings.items() if name != "model_cache")
    paths = [config, *re.findall(r"(?<![\w*])(?:/[\w.-]+){2,}", words)]

    assert container["args"][:2] == ["serve", "--config"]
    for path in paths:
        assert str(Path(path).parent) in mount_paths(container)
    volumes = {volume["name"] for volume in pod_spec(each)["volumes"]}
    claims = {"embedder-config", "embedder-run", "embedder-tmp"}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert claims <= mounted <= volumes


@FOR_ALL
def test_every_port_agrees(row: str) -> None:
    each = row_manifests(row)
    container, settings = embedder(each), settings_of(each)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    assert settings["metrics_listen"].endswith(f":{ports['metrics']}")
    if "otlp" in ports:
        assert f":{ports['otlp']}" in settings["listen"]
    if "page" in ports:
        assert settings["http_listen"].endswith(f":{ports['page']}")
    for port in named_ports(each):
        assert port in {*ports, *ports.values(), "otlp", "health", 4317}
    allowed = {
        port["port"]
        for manifest in each
        if manifest["kind"] == "NetworkPolicy"
        for rule in manifest["spec"]["ingress"]
        for port in rule["ports"]
    }
    is_shared = not settings.get("http_listen", "127.0.0.1").startswith("127.0.0.1")
    shared = {ports["page"]} if is_shared else set()
    assert allowed in (set(), {ports.get("otlp", 4317), ports["metrics"], *shared})
    assert shared <= {ports.get(str(port), port) for port in named_ports(each)}


def test_a_policy_lets_out_what_the_sidecar_tells_of_itself() -> None:
    settings = {
        "metrics_otlp_endpoint": "http://collector:14317",
        "traces_otlp_endpoint": "http://collector:24317",
    }

    [policy] = [
        manifest
        for manifest in manifests(rendered({**GATEWAY, "settings": settings}))
        if manifest["kind"] == "NetworkPolicy"
    ]

    ports = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 4317, 14317, 24317]


def named_ports(each: list[Manifest]) -> Iterator[str | int]:
    """Give what the ports of Services lead to."""
    for manifest in each:
        if manifest["kind"] == "Service":
            yield from (port["targetPort"] for port in manifest["spec"]["ports"])
        if manifest["kind"] == "OpenTelemetryCollector":
            yield from (port["targetPort"] for port in manifest["spec"]["ports"])


@FOR_ALL
def test_probes_ask_where_it_listens(row: str) -> None:
    each = row_manifests(row)
    container, listen = embedder(each), settings_of(each)["listen"]
    probes = [container[name] for name in container if name.endswith("Probe")]

    assert len(probes) >= 2
    for probe in probes:
        if "grpc" in probe:
            assert listen.endswith(f":{probe['grpc']['port']}")
        else:
            *command, address = probe["exec"]["command"]
            assert command == ["otel-embedder", "health", "--to"]
            assert address in listen.split(",")


@FOR_ALL
def test_there_is_time_to_stop(row: str) -> None:
    each = row_manifests(row)
    spec, container = pod_spec(each), embedder(each)
    pre_stop = max(
        each_container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        for each_container in (container, *spec["containers"])
    )

    wanted = pre_stop + settings_of(each)["shutdown_timeout"]
    assert spec["terminationGracePeriodSeconds"] > wanted


@FOR_ALL
def test_there_is_memory_for_what_its_settings_may_take(row: str) -> None:
    each = row_manifests(row)
    given, resources = settings_of(each), embedder(each)["resources"]
    texts = given.get("catalogue_texts", Settings.model_fields["catalogue_texts"].default)
    load = replace(LOAD, catalogue=texts if given.get("catalogue") else 0)
    load = replace(load, has_page="http_listen" in given)
    more = TEXT_BYTES * (given.get("cache_size", REMEMBERED_TEXTS) - REMEMBERED_TEXTS)
    inflight = SIZE.validate_python(given.get("max_inflight_bytes", INFLIGHT_BYTES))
    worst = more + INFLIGHT_TIMES * (inflight - INFLIGHT_BYTES)
    size = size_of(load)

    assert in_bytes(resources["limits"]["memory"]) >= size.limit_bytes + worst
    assert in_bytes(resources["requests"]["memory"]) >= size.resident_bytes + more


def in_bytes(quantity: str) -> int:
    return int(quantity.removesuffix("Mi")) * 2**20


def test_several_workers_have_memory_each() -> None:
    one, three = (
        in_bytes(embedder(manifests(rendered(values)))["resources"]["limits"]["memory"])
        for values in (GATEWAY, {**GATEWAY, "settings": {"workers": 3}})
    )

    assert three - one == pytest.approx(300e6, rel=0.01)


@pytest.mark.parametrize(
    "size", [268_435_456, "268435456", "256MiB", "256 mib", ".25GiB", "268.435456MB", "1MiB"]
)
def test_what_may_be_in_flight_has_its_memory(size: str | int) -> None:
    limit, larger = (
        resources_of({**GATEWAY, "settings": {"max_inflight_bytes": each}})
        for each in ("64MiB", size)
    )
    more = SIZE.validate_python(size) - INFLIGHT_BYTES

    assert larger["requests"] == limit["requests"]
    added = in_bytes(larger["limits"]["memory"]) - in_bytes(limit["limits"]["memory"])
    assert added == max(0, INFLIGHT_TIMES * more)


def test_whoever_says_how_much_memory_has_that() -> None:
    limited = {**GATEWAY, **PAGE, "resources": {"limits": {"memory": "2Gi"}}}
    both = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}

    # As much is then asked for, too, by Kubernetes.
    assert resources_of(limited) == {"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}}
    assert resources_of({**GATEWAY, "resources": both}) == both


def resources_of(values: dict[str, object]) -> dict[str, dict[str, str]]:
    resources: dict[str, dict[str, str]] = embedder(manifests(rendered(values)))["resources"]
    return resources


@FOR_ALL
def test_every_pod_keeps_to_the_restricted_standard(row: str) -> None:
    spec = pod_spec(row_manifests(row))

    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}


@FOR_ALL
def test_no_secret_is_in_what_is_rendered_but_by_its_name(row: str) -> None:
    each = row_manifests(row)

    assert {"Secret"} & {manifest["kind"] for manifest in each} == set()
    assert {"bearer_token", "next_hop_headers", "http_token"} & set(settings_of(each)) == set()


@pytest.mark.parametrize("mode", ["sidecar", "daemonset", "operator"])
def test_in_a_pair_the_collector_and_the_sidecar_find_each_other(mode: str) -> None:
    each = manifests(rendered(VALUES[mode]))
    settings = settings_of(each)
    config = collector_config(each)
    spec = pod_spec(each)
    (sidecar,), (collector,) = spec["initContainers"], spec["containers"]

    assert config["exporters"]["otlp_grpc/sidecar"]["endpoint"] == settings["listen"].replace(
        "unix:", "unix://"
    )
    embedded = config["receivers"]["otlp/embedded"]["protocols"]["grpc"]["endpoint"]
    assert settings["next_hop"] == f"http://{embedded}"
    assert sidecar["restartPolicy"] == "Always"
    assert "/run/otel-embedder" in mount_paths(collector)
    assert config["extensions"]["file_storage"]["directory"] in mount_paths(collector)
    assert "${" not in yaml.safe_dump(config)


def test_the_collectors_of_a_gateway_find_it() -> None:
    each = manifests(rendered(MATRIX["gateway at other ports"]))
    content = named(each, "ConfigMap", "-loadbalancing")["data"]["collector.yaml"]
    exporter = yaml.safe_load(content)["exporters"]["load_balancing"]
    service = named(each, "Service")

    assert exporter["routing_key"] == "service"
    assert exporter["resolver"]["dns"] == {
        "hostname": f"{RELEASE}.observability.svc",
        "port": "14327",
    }
    assert service["spec"]["clusterIP"] == "None"
    assert exporter["protocol"]["otlp"]["tls"]["insecure"]


def test_with_the_page_the_image_is_the_one_that_has_it() -> None:
    assert embedder(row_manifests("gateway"))["image"].endswith(f":{__version__}")
    assert embedder(row_manifests("gateway with the page"))["image"].endswith(
        f":{__version__}-page"
    )


def test_the_page_is_asked_for_by_the_name_of_its_service() -> None:
    hosts = settings_of(row_manifests("operator with the page for all"))["http_hosts"]

    assert f"{RELEASE}-collector.observability.svc" in hosts.split(",")


@pytest.mark.parametrize(
    "file", sorted(path for path in MANIFESTS.glob("*.yaml")), ids=lambda path: path.name
)
def test_the_plain_manifests_are_valid_and_current(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert text == made()[file]
    if file.stem != "native-sidecar":
        validate(manifests(text))


def test_what_the_chart_takes_over_is_current() -> None:
    for file, text in made().items():
        assert file.read_text(encoding="utf-8") == text, f"{file}: run `make manifests`"


def test_the_native_sidecar_goes_into_anybodys_pod(tmp_path: Path) -> None:
    # kubectl patch is told which; a kustomization's patch says it itself.
    whose = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: otelcol}\n"
    patch = (MANIFESTS / "native-sidecar.yaml").read_text()
    (tmp_path / "native-sidecar.yaml").write_text(whose + patch)
    (tmp_path / "collector.yaml").write_text(SOMEBODYS_COLLECTOR)
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": ["collector.yaml"],
                "patches": [{"path": "native-sidecar.yaml"}],
            }
        )
    )
    patched = manifests(tool("kubectl", "kustomize", tmp_path))

    validate(patched)
    spec = pod_spec(patched)
    assert [container["name"] for container in spec["initContainers"]] == ["otel-embedder"]
    assert [container["name"] for container in spec["containers"]] == ["otelcol"]
    assert {"config", "embedder-run"} <= {volume["name"] for volume in spec["volumes"]}


SOMEBODYS_COLLECTOR = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: otelcol}
spec:
  selector: {matchLabels: {app: otelcol}}
  template:
    metadata: {labels: {app: otelcol}}
    spec:
      containers:
        - name: otelcol
          image: otelcol
          volumeMounts: [{name: config, mountPath: /etc/otelcol}]
      volumes: [{name: config, configMap: {name: otelcol}}]
"""


def test_the_chart_has_the_programs_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_dockerfile_is_clean() -> None:
    tool("hadolint", DEPLOY / "Dockerfile")


def test_the_schemas_are_of_a_kubernetes_that_the_chart_admits() -> None:
    admitted = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    lowest = tuple(map(int, re.findall(r"\d+", admitted)[:2]))

    assert lowest <= tuple(map(int, KUBERNETES.split(".")))
