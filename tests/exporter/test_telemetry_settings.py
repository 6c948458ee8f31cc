from __future__ import annotations

import pytest

from otel_embedder.exporter.settings import TelemetrySettings
from tests.support.settings import problem_of


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metrics_otlp_endpoint", "collector:4317"),
        ("metrics_otlp_endpoint", "http://collector:4318/v1/metrics"),
        ("metrics_otlp_interval", "0.5"),
        ("traces_otlp_endpoint", "http://collector"),
        ("traces_otlp_endpoint", "http://collector:4318/v1/traces"),
        ("traces_otlp_ratio", "1.1"),
        ("traces_otlp_ratio", "nan"),
        ("telemetry_headers", "a key=value"),
        ("telemetry_resource", "no equals"),
        ("telemetry_resource", "=value"),
        ("telemetry_resource", "k8s.pod.name=%ff"),
        ("telemetry_resource", "k8s.pod.name=\udcff"),
        ("telemetry_resource", "\udcff=value"),
        ("telemetry_headers", "api-key=%ff"),
        ("telemetry_certificate", "missing.pem"),
        ("telemetry_timeout", "0"),
    ],
)
def test_a_wrong_value_is_the_one_problem(field: str, value: str) -> None:
    assert problem_of(TelemetrySettings, **{field: value}).startswith(f"{field}: ")


def test_who_names_the_port_of_otlp_over_http_is_told_of_the_other() -> None:
    said = problem_of(TelemetrySettings, metrics_otlp_endpoint="http://c:4318/v1/metrics")

    assert "only OTLP/gRPC is spoken here: http://c:4317" in said


def test_nothing_is_told_unless_somebody_asks() -> None:
    settings = TelemetrySettings()

    assert settings.metrics_otlp_endpoint is None
    assert settings.traces_otlp_endpoint is None


def test_a_resource_says_what_is_wrong_with_it_and_what_it_must_be() -> None:
    for value, said in (
        ("a=1, =2", "has a value without a key; must be KEY=VALUE,KEY=VALUE"),
        ("a=%ff", "the value of a is not UTF-8; write it URL-encoded as UTF-8"),
        ({"a": "\udcff"}, "the value of 'a' is not UTF-8; write it as UTF-8"),
        ({"\udcff": "a"}, r"the key of '\udcff' is not UTF-8; write it as UTF-8"),
    ):
        problem = problem_of(TelemetrySettings, telemetry_resource=value)

        assert problem == f"telemetry_resource: {said}"


def test_a_resource_is_written_as_opentelemetrys_own() -> None:
    settings = TelemetrySettings.model_validate(
        {"telemetry_resource": "k8s.pod.name=a, deployment.environment.name=a%20b"}
    )

    assert settings.telemetry_resource == {
        "k8s.pod.name": "a",
        "deployment.environment.name": "a b",
    }
