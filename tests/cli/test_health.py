from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, run
from tests.support.certificates import Authority
from tests.support.processes import Sink, free_address, python, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.processes import Sidecar

# To look for the model when it is wanted: no test here wants it.
NO_MODEL = ("--no-preload",)

# What costs time to load, and is not needed to ask at an address.
HEAVY = ("ctranslate2", "numpy", "opentelemetry", "prometheus_client", "pydantic")


@pytest.fixture(name="sidecar")
def _sidecar() -> Iterator[Sidecar]:
    with Sink() as sink, running_sidecar(sink.address, settings=NO_MODEL) as sidecar:
        yield sidecar


def test_a_sidecar_that_takes_spans_is_well(
    sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["health", "--to", sidecar.address]) == EXIT_OK
    assert capsys.readouterr() == ("", "")


def test_it_is_asked_where_the_variables_have_it_listen(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_LISTEN", sidecar.address)

    assert run(["health"]) == EXIT_OK


def test_it_is_asked_where_the_file_has_it_listen(sidecar: Sidecar, tmp_path: Path) -> None:
    file = tmp_path / "otel-embedder.yaml"
    file.write_text(f"listen: {sidecar.address}\n")

    assert run(["health", "--config", str(file)]) == EXIT_OK


def test_one_with_tls_is_asked_on_its_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Authority(tmp_path).issue("server")
    listen = f"{free_address()},unix:{tmp_path / 'socket'}"
    monkeypatch.setenv("OTEL_EMBEDDER_LISTEN", listen)
    monkeypatch.setenv("OTEL_EMBEDDER_TLS_CERTIFICATE", str(server.certificate))
    monkeypatch.setenv("OTEL_EMBEDDER_TLS_KEY", str(server.key))
    with Sink() as sink, running_sidecar(sink.address, listen=listen, settings=NO_MODEL):
        assert run(["health"]) == EXIT_OK


def test_where_no_sidecar_is_the_exit_code_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    address = free_address()

    assert run(["health", "--to", address]) == EXIT_FAILED
    assert f"{address} does not answer: UNAVAILABLE" in capsys.readouterr().err


def test_an_address_that_only_the_sidecar_knows_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_LISTEN", "127.0.0.1:0")

    assert run(["health"]) == EXIT_USAGE
    assert "listen: 127.0.0.1:0 has a port that only the sidecar knows" in capsys.readouterr().err


def test_to_ask_at_an_address_loads_little() -> None:
    code = "\n".join(
        [
            "import sys",
            "from otel_embedder.cli import run",
            f"run(['health', '--to', '{free_address()}'])",
            f"print(*sorted(set({HEAVY}) & set(sys.modules)))",
        ]
    )

    assert python(code).strip() == ""
