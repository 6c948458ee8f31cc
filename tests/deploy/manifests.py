"""Makes what of `deploy/` follows from elsewhere: `make manifests`. A test sees that it is current.

The chart's schema of settings follows from the program's own, its Collectors' configurations from
`collector-config`, its alerts and its dashboard from `observability`, and the plain manifests from
the chart.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from otel_embedder.settings import Settings
from tests.deploy.dashboard import dashboard
from tests.support.charts import CHART, DEPLOY, named, pod_spec, rendered
from tests.support.charts import manifests as read_manifests
from tests.support.processes import CONFIGURATIONS

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = CHART / "values.schema.json"
MANIFESTS = DEPLOY / "manifests"
OBSERVABILITY = DEPLOY / "observability"

# What the chart sets itself, by what its other values say. A secret has no place in a ConfigMap.
CHARTS_OWN = {
    *("config", "listen", "listen_insecure", "metrics_listen", "shutdown_timeout"),
    *("tls_certificate", "tls_key", "tls_client_authority", "bearer_token", "bearer_token_file"),
    *("next_hop", "next_hop_headers", "next_hop_certificate"),
    *("next_hop_client_certificate", "next_hop_client_key", "telemetry_headers"),
    *("http_listen", "http_certificate", "http_key", "http_token", "http_token_file"),
}

NEXT_HOP, BACKEND = "http://backend.observability.svc:4317", "backend.observability.svc:4317"
VALUES: dict[str, dict[str, object]] = {
    "gateway": {"mode": "gateway", "nextHop": NEXT_HOP},
    **{
        mode: {"mode": mode, "collector": {"backend": {"endpoint": BACKEND, "insecure": True}}}
        for mode in ("sidecar", "daemonset", "operator")
    },
}
HEAD = """\
# Made of deploy/helm/otel-embedder by `make manifests`: change it there, or your own copy.
# Yours to set: the namespace, the images' registry, and where spans go ({target}).
"""
PATCH_HEAD = """\
# The sidecar in the pod of a Collector that you have: a native sidecar, to be laid over its
# Deployment, StatefulSet or DaemonSet. Made of deploy/helm/otel-embedder by `make manifests`.
#
#   kubectl apply -f native-sidecar-settings.yaml
#   kubectl patch deployment COLLECTOR --patch-file native-sidecar.yaml
#
# In the Collector's own container mount the volume `embedder-run` at /run/otel-embedder, and export
# to unix:///run/otel-embedder/otel-embedder.sock as collector-config/sidecar.yaml does. The socket
# is for its owner and its group: the Collector's user or a group of it must be 10001, as fsGroup
# makes it.
"""


class Dumper(yaml.SafeDumper):
    """Writes a text of several lines as one."""


def _text(dumper: Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _text)


def made() -> dict[Path, str]:
    """Give each file, and what is to stand in it."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    schema["properties"]["settings"] = settings_schema()
    plain = {mode: rendered(values) for mode, values in VALUES.items()}
    return {
        SCHEMA: json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        **{
            CHART / "files" / name: (CONFIGURATIONS / name).read_text(encoding="utf-8")
            for name in ("gateway.yaml", "sidecar.yaml")
        },
        OBSERVABILITY / "dashboard.json": dashboard(),
        CHART / "files" / "dashboard.json": dashboard(),
        CHART / "files" / "rules.yaml": (OBSERVABILITY / "rules.yaml").read_text(encoding="utf-8"),
        **{MANIFESTS / f"{mode}.yaml": _plain(text) for mode, text in plain.items()},
        **_native_sidecar(plain["sidecar"]),
    }


def settings_schema() -> dict[str, Any]:
    """Give the schema of the settings that the chart takes: a name that does not exist is none."""
    program = Settings.model_json_schema()["properties"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: _written(schema) for name, schema in program.items() if name not in CHARTS_OWN
        },
    }


def _written(schema: dict[str, Any]) -> dict[str, Any]:
    """Give what a field may be in a file; a list may be a text with commas, too."""
    kept = {key: value for key, value in schema.items() if key not in {"title", "default"}}
    if kept.get("type") == "array":
        kept["type"] = ["array", "string"]
    return kept


def _plain(text: str) -> str:
    """Give rendered manifests as files of their own: without what says that helm made them."""
    lines = [
        line
        for line in text.splitlines()
        if not line.strip().startswith(("# Source:", "helm.sh/chart:"))
        and line.strip() != "app.kubernetes.io/managed-by: Helm"
    ]
    return HEAD.format(target=BACKEND) + "\n".join(lines) + "\n"


def _native_sidecar(text: str) -> dict[Path, str]:
    """Give the sidecar alone, for a pod of somebody else's, and its settings."""
    each = read_manifests(text)
    spec, settings = pod_spec(each), named(each, "ConfigMap")
    collectors = {"spans", "collector-config"}
    patch = {
        "spec": {
            "template": {
                "spec": {
                    "initContainers": spec["initContainers"],
                    "volumes": [v for v in spec["volumes"] if v["name"] not in collectors],
                }
            }
        }
    }
    settings["metadata"].pop("labels")
    head = PATCH_HEAD.format(name=settings["metadata"]["name"])
    return {
        MANIFESTS / "native-sidecar.yaml": head + _dumped(patch),
        MANIFESTS / "native-sidecar-settings.yaml": _dumped(settings),
    }


def _dumped(content: object) -> str:
    return yaml.dump(content, Dumper=Dumper, sort_keys=False)


def main() -> None:
    """Write them; twice, for the manifests follow from what is written first."""
    for _ in range(2):
        for file, text in made().items():
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
