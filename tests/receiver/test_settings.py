"""What the settings of the door say of one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from otel_embedder.receiver.settings import ListenSettings, ServerSettings
from tests.support.certificates import Authority, KeyPair
from tests.support.settings import problem_of

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret"  # noqa: S105 - for tests


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> KeyPair:
    return authority.issue("server")


def problem(**values: object) -> str:
    return problem_of(ServerSettings, **values)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("listen", "4327"),
        ("listen", ":4327"),
        ("listen", "127.0.0.1:"),
        ("listen", "127.0.0.1:otlp"),
        ("listen", "127.0.0.1:65536"),
        ("listen", "0.0.0.0"),
        ("listen", ""),
        ("max_receive_bytes", "1"),
        ("max_receive_bytes", "2GiB"),  # more than gRPC can be told
    ],
)
def test_a_wrong_value_is_the_one_problem(field: str, value: str) -> None:
    assert problem(**{field: value}).startswith(f"{field}: ")


def test_a_wrong_certificate_is_the_one_problem(tmp_path: Path, pair: KeyPair) -> None:
    (tmp_path / "poem.pem").write_text("a poem")

    said = problem(
        listen="0.0.0.0:1",
        tls_certificate=tmp_path / "poem.pem",
        tls_key=pair.key,
        tls_client_authority=pair.certificate,
    )

    assert said.startswith("tls_certificate: ")
    assert "must be a PEM file with certificates" in said


def test_a_certificate_needs_its_key(pair: KeyPair) -> None:
    said = problem(tls_certificate=pair.certificate)

    assert said.startswith("tls_key: ")
    assert "must be given, as tls_certificate is" in said


def test_a_key_needs_its_certificate(pair: KeyPair) -> None:
    assert "is of no use without tls_certificate" in problem(tls_key=pair.key)


def test_a_key_must_be_its_certificates(authority: Authority, pair: KeyPair) -> None:
    said = problem(tls_certificate=pair.certificate, tls_key=authority.issue("other").key)

    assert said.startswith("tls_key: ")
    assert f"must be the private key of the certificate in {pair.certificate}" in said


def test_an_authority_of_clients_needs_a_certificate(authority: Authority) -> None:
    said = problem(tls_client_authority=authority.file)

    assert said.startswith("tls_client_authority: ")
    assert "is of no use without tls_certificate and tls_key" in said


def test_an_authority_of_clients_must_be_one(tmp_path: Path, pair: KeyPair) -> None:
    (tmp_path / "poem.pem").write_text("a poem")

    assert "must be a PEM file with certificates" in problem(
        tls_certificate=pair.certificate,
        tls_key=pair.key,
        tls_client_authority=tmp_path / "poem.pem",
    )


@pytest.mark.parametrize("field", ["tls_certificate", "tls_key", "bearer_token_file"])
def test_a_file_that_is_not_there_is_a_problem(field: str, tmp_path: Path, pair: KeyPair) -> None:
    flags = {"tls_certificate": pair.certificate, "tls_key": pair.key}

    assert problem(**{**flags, field: tmp_path / "missing"}).startswith(f"{field}: ")


def test_a_file_without_a_token_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("\n")

    said = problem(bearer_token_file=tmp_path / "tokens")

    assert said.startswith("bearer_token_file: ")
    assert "must hold a token, or several, one a line" in said


def test_a_token_is_in_a_file_or_not(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(SECRET)

    said = problem(bearer_token_file=tmp_path / "tokens", bearer_token=SECRET)

    assert "is of no use beside bearer_token_file" in said


@pytest.mark.parametrize("token", [f"{SECRET} {SECRET}", f"ü{SECRET}", ["a", SECRET], ""])
def test_a_wrong_token_is_not_repeated(token: object) -> None:
    said = problem(bearer_token=token)

    assert said.startswith("bearer_token: ")
    assert SECRET not in said


def test_a_token_is_never_shown() -> None:
    settings = ListenSettings(bearer_token=SecretStr(SECRET))

    assert settings.bearer_token is not None
    assert settings.bearer_token.get_secret_value() == SECRET
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.model_dump())
