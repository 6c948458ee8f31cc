"""What is wrong in the chart, or in the values that it is given, is found: `make check-deploy`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from otel_embedder.settings import Settings
from tests.deploy.manifests import VALUES
from tests.support.charts import CHART, ToolError, manifests, rendered, settings_of, validate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.charts import Manifest

pytestmark = pytest.mark.deploy

GATEWAY, SIDECAR = VALUES["gateway"], VALUES["sidecar"]
PAGE: dict[str, object] = {"page": {"enabled": True}}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"mode": "gateway"}, "nextHop: say where"),
        ({"mode": "sidecar"}, "collector.backend.endpoint: say where"),
        ({**GATEWAY, "mode": "gatewy"}, "mode"),
        ({**GATEWAY, "nextHop": "backend:4317"}, "nextHop"),
        ({**GATEWAY, "settings": {"cache_sise": 5}}, "cache_sise"),
        ({**GATEWAY, "settings": {"encoding": "float16"}}, "encoding"),
        ({**GATEWAY, "settings": {"bearer_token": "s3cret"}}, "bearer_token"),
        ({**GATEWAY, "settings": {"listen": "0.0.0.0:1"}}, "listen"),
        ({**GATEWAY, "settings": {"http_token": "s3cret"}}, "http_token"),
        ({**GATEWAY, **PAGE, "secrets": {"pageTls": {"name": "page"}}}, "both, or neither"),
        ({**GATEWAY, **PAGE, "settings": {"workers": 2}}, "settings.workers: the page tells"),
        ({**SIDECAR, "settings": {"workers": 2}}, "settings.workers: the one connection"),
        ({**GATEWAY, "settings": {"max_inflight_bytes": "64Mi"}}, "64Mi is no size; write bytes"),
        ({**GATEWAY, "secrets": {"bearerToken": {"value": "s3cret"}}}, "bearerToken"),
        (
            {**GATEWAY, "secrets": {"telemetryHeaders": {"name": "h"}}},
            "none are sent; give settings",
        ),
        ({**GATEWAY, "replica": 2}, "replica"),
    ],
)
def test_wrong_values_are_refused_and_named(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(ToolError, match=complaint):
        rendered(values)


def of_chart(values: dict[str, object], chart: Path) -> list[Manifest]:
    return manifests(rendered(values, chart=chart))


TYPOS = (
    # Each a slip of the keyboard in a template, and what finds it.
    ("templates/_helpers.tpl", "containerPort: {{ .Values.ports.otlp }}", "containerPorts: 4327"),
    ("templates/_helpers.tpl", "readOnlyRootFilesystem:", "readOnlyRootFileSystem:"),
    ("templates/_helpers.tpl", "terminationGracePeriodSeconds", "terminationGracePeriodSecond"),
    ("templates/gateway.yaml", "maxUnavailable: 0", "maxUnavailible: 0"),
    ("templates/gateway.yaml", "clusterIP: None", "clusterIp: None"),
    ("templates/networkpolicy.yaml", "policyTypes:", "policyType:"),
)


@pytest.mark.parametrize(("file", "right", "wrong"), TYPOS, ids=[typo for *_, typo in TYPOS])
def test_a_typo_in_the_chart_is_found(file: str, right: str, wrong: str, tmp_path: Path) -> None:
    chart = tmp_path / CHART.name
    shutil.copytree(CHART, chart)
    text = (chart / file).read_text()
    assert right in text
    (chart / file).write_text(text.replace(right, wrong))

    with pytest.raises(ToolError):
        validate([*of_chart(GATEWAY, chart), *of_chart(SIDECAR, chart)])


def test_a_setting_that_the_program_does_not_have_is_found(tmp_path: Path) -> None:
    chart = tmp_path / CHART.name
    shutil.copytree(CHART, chart)
    file = chart / "templates" / "_helpers.tpl"
    file.write_text(file.read_text().replace('"shutdown_timeout"', '"shutdown_timeouts"'))
    settings = settings_of(of_chart(GATEWAY, chart))

    assert set(settings) - set(Settings.model_fields) == {"shutdown_timeouts"}
