"""Runs the tools that judge what stands in `deploy/`: helm, kubectl, kubernetes-validate."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.processes import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Manifest = dict[str, Any]

DEPLOY = REPOSITORY / "deploy"
CHART = DEPLOY / "helm" / "otel-embedder"
TOOLS = REPOSITORY / "build" / "deploy" / "bin"
KUBERNETES = "1.37"
RELEASE, NAMESPACE = "otel-embedder", "observability"

# To be laid over a Collector's configuration: another on this host may have the port.
METRICS_OFF = "service::telemetry::metrics::level: none"

# What has no schema in Kubernetes: of the OpenTelemetry and the Prometheus Operator.
CUSTOM_KINDS = {"OpenTelemetryCollector", "PrometheusRule", "ServiceMonitor"}


class ToolError(Exception):
    """Raised when a tool did not accept what it was given; says what it said."""


def tool(name: str, *words: str | Path, stdin: str | None = None) -> str:
    """Run a tool of `build/deploy`; give what it printed.

    Raises:
        ToolError: it failed.

    """
    finished = subprocess.run(
        [str(TOOLS / name), *map(str, words)],
        input=stdin,
        capture_output=True,
        check=False,
        cwd=REPOSITORY,
        encoding="utf-8",
        timeout=60,
    )
    if finished.returncode:
        raise ToolError(f"{finished.stdout}{finished.stderr}")
    return finished.stdout


def typed(command: str) -> str:
    """Type a command of the documents in the project's folder; give what it printed.

    Raises:
        ToolError: it failed.

    """
    program, *words = shlex.split(command)
    return tool(program, *words)


def rendered(values: Mapping[str, object], *, chart: Path = CHART) -> str:
    """Give what helm makes of the chart with these values.

    Raises:
        ToolError: it refuses them.

    """
    with TemporaryDirectory() as directory:
        file = Path(directory, "values.yaml")
        file.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")
        return tool("helm", "template", RELEASE, chart, "--namespace", NAMESPACE, "-f", file)


def lint(values: Mapping[str, object], *, chart: Path = CHART) -> None:
    """Let helm look for faults in the chart with these values.

    Raises:
        ToolError: it found one.

    """
    with TemporaryDirectory() as directory:
        file = Path(directory, "values.yaml")
        file.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")
        tool("helm", "lint", "--strict", chart, "-f", file)


def manifests(text: str) -> list[Manifest]:
    """Read the manifests of a file."""
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def validate(each: Sequence[Manifest]) -> None:
    """Compare manifests with Kubernetes' own schemas, unknown fields included.

    Raises:
        ToolError: one has a field that there is not, or of another type; or no schema is known.

    """
    known = [manifest for manifest in each if manifest["kind"] not in CUSTOM_KINDS]
    with TemporaryDirectory() as directory:
        file = Path(directory, "manifests.yaml")
        file.write_text(yaml.safe_dump_all([*known, *_pods_of(each)]), encoding="utf-8")
        tool("kubernetes-validate", "--kubernetes-version", KUBERNETES, "--strict", file)


def _pods_of(each: Sequence[Manifest]) -> Iterator[Manifest]:
    """Give what a Collector's resource says of its pod, as a pod: of that there is a schema."""
    for manifest in each:
        if manifest["kind"] == "OpenTelemetryCollector":
            spec = manifest["spec"]
            copied = ("initContainers", "volumes", "terminationGracePeriodSeconds")
            own = ("image", "imagePullPolicy", "lifecycle", "securityContext", "resources")
            container = {"name": "otc-container", "volumeMounts": spec["volumeMounts"]}
            yield {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "pod", "annotations": spec["podAnnotations"]},
                "spec": {
                    **{name: spec[name] for name in copied},
                    "securityContext": spec["podSecurityContext"],
                    "containers": [{**container, **{name: spec[name] for name in own}}],
                },
            }


def pod_spec(each: Sequence[Manifest]) -> dict[str, Any]:
    """Give the pod that the manifests make; of an Operator's resource, what it says of it."""
    for manifest in each:
        if "template" in manifest.get("spec", {}):
            spec: dict[str, Any] = manifest["spec"]["template"]["spec"]
            return spec
        if manifest["kind"] == "OpenTelemetryCollector":
            return next(_pods_of([manifest]))["spec"]  # type: ignore[no-any-return]
    raise AssertionError("there is no pod in these manifests")


def named(each: Sequence[Manifest], kind: str, ending: str = "") -> Manifest:
    """Give the one manifest of a kind whose name ends so."""
    (found,) = [
        manifest
        for manifest in each
        if manifest["kind"] == kind and manifest["metadata"]["name"] == f"{RELEASE}{ending}"
    ]
    return found


def embedder(each: Sequence[Manifest]) -> dict[str, Any]:
    """Give the sidecar's container, a native one or not."""
    spec = pod_spec(each)
    found: dict[str, Any]
    (found,) = [
        container
        for container in (*spec.get("initContainers", ()), *spec["containers"])
        if container["name"] == "otel-embedder"
    ]
    return found


def settings_of(each: Sequence[Manifest]) -> dict[str, Any]:
    """Give what the program is told."""
    settings: dict[str, Any] = yaml.safe_load(
        named(each, "ConfigMap")["data"]["otel-embedder.yaml"]
    )
    return settings


def collector_config(each: Sequence[Manifest]) -> dict[str, Any]:
    """Give what a Collector of the manifests is told: in a pair, of a gateway, of the Operator."""
    config: dict[str, Any]
    for manifest in each:
        if manifest["kind"] == "OpenTelemetryCollector":
            config = manifest["spec"]["config"]
            return config
    (content,) = [
        manifest["data"]["collector.yaml"]
        for manifest in each
        if manifest["kind"] == "ConfigMap" and "collector.yaml" in manifest["data"]
    ]
    config = yaml.safe_load(content)
    return config


def elsewhere(content: Mapping[str, object], addresses: Mapping[str, str]) -> str:
    """Write a configuration, with addresses and directories that are free here."""
    text = yaml.safe_dump(content)
    for there, here in addresses.items():
        text = text.replace(there, here)
    return text
