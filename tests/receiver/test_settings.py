"""What the settings of the door say of one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.errors import SettingsError
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.checks import check_exposure
from tests.support.certificates import Authority, KeyPair

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret"  # noqa: S105 - for tests


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> KeyPair:
    return authority.issue("server")


def problem(**flags: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags)
    [only] = caught.value.problems
    return only


@pytest.mark.parametrize(
    "listen",
    ["localhost:1", "[::1]:1", "unix:a.sock", "unix:/run/a.sock,127.0.0.1:4327"],
)
def test_what_only_this_host_reaches_needs_nothing(listen: str) -> None:
    check_exposure(load_settings({"listen": listen}))


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "sidecar.example:1", "127.0.0.1:1,0.0.0.0:1"]
)
def test_what_other_hosts_reach_needs_tls_or_a_word(listen: str, pair: KeyPair) -> None:
    with pytest.raises(SettingsError) as caught:
        check_exposure(load_settings({"listen": listen}))
    check_exposure(load_settings({"listen": listen, "listen_insecure": "true"}))
    tls = {"tls_certificate": pair.certificate, "tls_key": pair.key}
    check_exposure(load_settings({"listen": listen, **tls}))

    [said] = caught.value.problems
    assert said.startswith(f"listen: other hosts may reach {listen.rpartition(',')[2]}, ")
    for remedy in ("tls_certificate and tls_key", "127.0.0.1", "--listen-insecure"):
        assert remedy in said


def test_metrics_may_be_scraped_from_elsewhere() -> None:
    assert load_settings({"metrics_listen": "0.0.0.0:9464"}).metrics_listen == "0.0.0.0:9464"


def test_a_wrong_address_is_the_one_problem() -> None:
    assert problem(listen="0.0.0.0").startswith("listen (")


def test_a_wrong_certificate_is_the_one_problem(tmp_path: Path, pair: KeyPair) -> None:
    (tmp_path / "poem.pem").write_text("a poem")

    said = problem(
        listen="0.0.0.0:1",
        tls_certificate=tmp_path / "poem.pem",
        tls_key=pair.key,
        tls_client_authority=pair.certificate,
    )

    assert said.startswith("tls_certificate (")
    assert "must be a PEM file with certificates" in said


def test_a_certificate_needs_its_key(pair: KeyPair) -> None:
    said = problem(tls_certificate=pair.certificate)

    assert said.startswith("tls_key (")
    assert "must be given, as tls_certificate is" in said


def test_a_key_needs_its_certificate(pair: KeyPair) -> None:
    assert "is of no use without tls_certificate" in problem(tls_key=pair.key)


def test_a_key_must_be_its_certificates(authority: Authority, pair: KeyPair) -> None:
    said = problem(tls_certificate=pair.certificate, tls_key=authority.issue("other").key)

    assert said.startswith("tls_key (")
    assert f"must be the private key of the certificate in {pair.certificate}" in said


def test_an_authority_of_clients_needs_a_certificate(authority: Authority) -> None:
    said = problem(tls_client_authority=authority.file)

    assert said.startswith("tls_client_authority (")
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

    assert problem(**{**flags, field: tmp_path / "missing"}).startswith(f"{field} (")


def test_a_file_without_a_token_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("\n")

    said = problem(bearer_token_file=tmp_path / "tokens")

    assert said.startswith("bearer_token_file (")
    assert "must hold a token, or several, one a line" in said


def test_a_token_is_in_a_file_or_not(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(SECRET)

    said = problem(bearer_token_file=tmp_path / "tokens", bearer_token=SECRET)

    assert "is of no use beside bearer_token_file" in said


@pytest.mark.parametrize("token", [f"{SECRET} {SECRET}", f"ü{SECRET}", ["a", SECRET], ""])
def test_a_wrong_token_is_not_repeated(token: object) -> None:
    said = problem(bearer_token=token)

    assert said.startswith("bearer_token (")
    assert SECRET not in said


def test_a_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_BEARER_TOKEN", SECRET)
    settings = load_settings({})

    assert settings.bearer_token is not None
    assert settings.bearer_token.get_secret_value() == SECRET
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.model_dump())
