from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli import EXIT_USAGE
from otel_embedder.errors import SettingsError
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.checks import CHECKS, find_exposure, find_loop, find_unshared
from tests.support.certificates import Authority, KeyPair
from tests.support.processes import OTEL_EMBEDDER, own_environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pair(tmp_path: Path) -> KeyPair:
    return Authority(tmp_path).issue("server")


def problems(**flags: object) -> list[str]:
    """Give what is wrong with the settings of a sidecar."""
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, CHECKS)
    return caught.value.problems


@pytest.mark.parametrize(
    "listen",
    ["localhost:1", "[::1]:1", "unix:a.sock", "unix:/run/a.sock,127.0.0.1:4327"],
)
def test_what_only_this_host_reaches_needs_nothing(listen: str) -> None:
    assert find_exposure(load_settings({"listen": listen})) == []


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "sidecar.example:1", "127.0.0.1:1,0.0.0.0:1"]
)
def test_what_other_hosts_reach_needs_tls_or_a_word(listen: str, pair: KeyPair) -> None:
    tls = {"tls_certificate": pair.certificate, "tls_key": pair.key}

    [said] = find_exposure(load_settings({"listen": listen}))

    assert find_exposure(load_settings({"listen": listen, "listen_insecure": "true"})) == []
    assert find_exposure(load_settings({"listen": listen, **tls})) == []
    assert said.startswith(f"listen: other hosts may reach {listen.rpartition(',')[2]}, ")
    for remedy in ("tls_certificate and tls_key", "127.0.0.1", "--listen-insecure"):
        assert remedy in said


@pytest.mark.parametrize(
    ("listen", "next_hop"),
    [
        ("127.0.0.1:4327", "http://127.0.0.1:4327"),
        ("127.0.0.1:4327", "http://localhost:4327"),
        ("127.0.0.1:4327", "https://localhost:4327"),
        ("localhost:4327", "http://[::1]:4327"),
        ("0.0.0.0:4327", "http://127.0.0.1:4327"),
        ("[::]:4327", "http://localhost:4327"),
        ("[::]:4327", "http://127.0.0.9:4327"),
        ("127.0.0.1:4327", "http://0.0.0.0:4327"),
        ("10.0.0.5:4327", "http://10.0.0.5:4327"),
        ("sidecar:4327", "http://sidecar:4327"),
        ("unix:/run/embedder.sock,127.0.0.1:4327", "http://localhost:4327"),
        ("127.0.0.1:4327, [::1]:4328", "http://[::1]:4328"),
    ],
)
def test_a_next_hop_that_is_the_sidecar_itself_is_found_in_the_settings(
    listen: str, next_hop: str
) -> None:
    [said] = find_loop(load_settings({"listen": listen, "next_hop": next_hop}))

    assert said.startswith(f"next_hop: {next_hop} is where this sidecar itself listens")


@pytest.mark.parametrize(
    ("listen", "next_hop"),
    [
        ("127.0.0.1:4327", "http://127.0.0.1:4337"),
        ("127.0.0.1:4327", "http://127.0.0.2:4327"),
        ("127.0.0.1:4327", "http://[::1]:4327"),
        ("0.0.0.0:4327", "http://collector:4327"),
        ("0.0.0.0:4327", "http://10.0.0.5:4327"),
        ("127.0.0.1:4327", "http://collector:4327"),
        ("unix:/run/embedder.sock", "http://localhost:4327"),
    ],
)
def test_another_next_hop_is_none_of_our_business(listen: str, next_hop: str) -> None:
    assert find_loop(load_settings({"listen": listen, "next_hop": next_hop})) == []


def test_a_variable_for_a_whole_pod_ends_the_start_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4327")

    [said] = problems(listen="127.0.0.1:4327")

    assert said.startswith("OTEL_EXPORTER_OTLP_ENDPOINT: http://localhost:4327 is where this ")
    assert "OTEL_EMBEDDER_NEXT_HOP goes before it" in said


def test_what_is_wrong_together_is_told_in_the_words_of_its_place(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("preload: false\nlisten: 0.0.0.0:4337\n")

    exposure, loop = problems(config=config)

    assert exposure.startswith(f"{config}, line 2: listen: other hosts may reach 0.0.0.0:4337, ")
    assert loop.startswith("next_hop (--next-hop, OTEL_EMBEDDER_NEXT_HOP, OTEL_EXPORTER_OTLP_END")


def test_a_wrong_setting_hides_no_other_that_is_wrong_together() -> None:
    wrong, exposure = problems(listen="0.0.0.0:4327", next_hop="nowhere")

    assert wrong.startswith("--next-hop is 'nowhere': ")
    assert exposure.startswith("--listen: other hosts may reach ")


def test_what_is_wrong_already_is_wrong_with_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "poem.pem").write_text("a poem")

    [said] = problems(listen="0.0.0.0:1", tls_certificate=tmp_path / "poem.pem")

    assert said.startswith("--tls-certificate is ")


def test_what_a_file_that_is_no_yaml_may_say_is_not_taken_for_unsaid(
    tmp_path: Path, pair: KeyPair
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(f"tls_certificate: {pair.certificate}\nencoding: [\n")

    wrong, file = problems(config=config, listen="0.0.0.0:4327", tls_key=pair.key, cache_size="5")

    assert file.startswith("--cache-size is '5': ")
    assert wrong.startswith(f"--config: {config} is not YAML in line ")


def test_serve_tells_all_that_is_wrong_at_one_start(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("# Ours.\ntemplate: '{nonsense}'\n")

    said = refused(
        *("--config", str(config), "--listen", "0.0.0.0:4327"), OTEL_EMBEDDER_CACHE_SIZE="5"
    )

    assert [line.partition(": ")[0].strip() for line in said] == [
        "otel-embedder",
        "OTEL_EMBEDDER_CACHE_SIZE is '5'",
        f"{config}, line 2",
        "--listen",
    ]
    assert said[0] == "otel-embedder: bad settings (3):"


@pytest.mark.parametrize("flag", ["--next-hop-certificate", "--tls-client-authority"])
def test_serve_ends_with_half_a_certificate_as_with_any_wrong_setting(
    flag: str, tmp_path: Path, pair: KeyPair
) -> None:
    (tmp_path / "half.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB")

    said = refused(
        *("--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key)),
        *("--next-hop", "https://localhost:1", flag, str(tmp_path / "half.pem")),
    )

    assert said[0] == "otel-embedder: bad settings (1):"
    assert said[1].startswith(f"  {flag} is ")
    assert said[1].endswith("must be a PEM file with certificates")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"listen": "unix:a.sock"}, "listen: a socket file is one worker's"),
        ({"listen": "unix:a,unix:b"}, "listen: a socket file is one worker's"),
        ({"catalogue": "memory"}, "catalogue: each of several workers would have a part"),
        (
            {"http_listen": "127.0.0.1:1", "catalogue": "sqlite:///a.db"},
            "http_listen: the page tells how one process does",
        ),
    ],
)
def test_what_several_workers_can_not_share_is_refused(flags: dict[str, object], said: str) -> None:
    [problem] = find_unshared(load_settings({"workers": 3, **flags}))

    assert problem.startswith(said)
    assert find_unshared(load_settings(flags)) == []


def test_how_to_send_is_refused_where_nothing_is_sent(pair: KeyPair) -> None:
    flags = {
        "telemetry_headers": "api-key=secret",
        "telemetry_resource": "k8s.pod.name=a",
        "telemetry_certificate": str(pair.certificate),
        "telemetry_client_certificate": str(pair.certificate),
        "telemetry_client_key": str(pair.key),
        "telemetry_timeout": "5",
    }

    said = problems(**flags)

    assert [each.partition(":")[0] for each in said] == [
        f"--{name.replace('_', '-')}" for name in flags
    ]
    assert all("give metrics_otlp_endpoint or traces_otlp_endpoint" in each for each in said)
    assert "secret" not in "".join(said)
    for endpoint in ("metrics_otlp_endpoint", "traces_otlp_endpoint"):
        load_settings({**flags, endpoint: "http://collector:4317"}, CHECKS)


@pytest.mark.parametrize(
    ("name", "value", "endpoint", "other"),
    [
        ("metrics_otlp_interval", "5", "metrics_otlp_endpoint", "traces_otlp_endpoint"),
        ("traces_otlp_ratio", "0.5", "traces_otlp_endpoint", "metrics_otlp_endpoint"),
    ],
)
def test_how_often_one_is_sent_is_refused_where_the_other_is(
    name: str, value: str, endpoint: str, other: str
) -> None:
    [said] = problems(**{name: value, other: "http://collector:4317"})

    assert f"give {endpoint}, or leave it out" in said
    load_settings({name: value, endpoint: "http://collector:4317"}, CHECKS)


def test_of_what_is_told_wrongly_and_not_sent_all_is_said() -> None:
    said = problems(telemetry_resource="=a", telemetry_timeout="5", telemetry_headers="")

    assert [each.partition(" ")[0].strip(":") for each in said] == [
        "--telemetry-resource",
        "--telemetry-timeout",
    ]


@pytest.mark.parametrize("listen", ["127.0.0.1:1,unix:a.sock", "unix:a,unix:b,unix:c"])
def test_what_several_workers_share_is_taken(listen: str) -> None:
    flags = {"workers": 3, "listen": listen, "catalogue": "sqlite:///a.db"}

    assert find_unshared(load_settings(flags)) == []


def refused(*flags: str, **environment: str) -> list[str]:
    """Start a sidecar that refuses its settings; give the lines that it says."""
    finished = subprocess.run(
        [*OTEL_EMBEDDER, "serve", "--metrics-listen", "", "--no-preload", *flags],
        env=own_environment(environment),
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )
    assert finished.returncode == EXIT_USAGE, finished.stderr
    return finished.stderr.splitlines()
