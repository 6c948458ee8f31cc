from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from otel_embedder.credentials.checks import (
    check_certificates,
    check_key_pair,
    check_token,
    read_tokens,
)
from tests.support.certificates import Authority, KeyPair

# A file that is there, and fails whoever reads it from its beginning.
UNREADABLE = Path("/proc/self/mem")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> KeyPair:
    return authority.issue("server")


def test_a_certificate_and_its_key_go_together(pair: KeyPair) -> None:
    check_key_pair(pair.certificate, pair.key)


def test_a_key_of_another_certificate_is_refused(authority: Authority, pair: KeyPair) -> None:
    other = authority.issue("other")

    with pytest.raises(ValueError, match=r"must be the private key of the .*KEY_VALUES_MISMATCH"):
        check_key_pair(pair.certificate, other.key)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(pair: KeyPair) -> None:
    key = load_pem_private_key(pair.key.read_bytes(), None)
    password = BestAvailableEncryption(b"s3cret")
    pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, password))

    with pytest.raises(ValueError, match="without a password"):
        check_key_pair(pair.certificate, pair.key)


def test_what_is_no_key_is_refused(pair: KeyPair) -> None:
    pair.key.write_text("a poem")

    with pytest.raises(ValueError, match="must be the private key"):
        check_key_pair(pair.certificate, pair.key)


def test_a_key_that_is_gone_is_told(pair: KeyPair) -> None:
    pair.key.unlink()

    with pytest.raises(ValueError, match="can't be read: No such file"):
        check_key_pair(pair.certificate, pair.key)


def test_an_authority_is_a_file_of_certificates(authority: Authority) -> None:
    check_certificates(authority.file)


@pytest.mark.parametrize("content", ["", "a poem", "-----BEGIN CERTIFICATE-----"])
def test_what_holds_no_certificate_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(content)

    with pytest.raises(ValueError, match="must be a PEM file with certificates"):
        check_certificates(tmp_path / "ca.pem")


def test_certificates_that_are_gone_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="can't be read: No such file"):
        check_certificates(tmp_path / "ca.pem")


def test_tokens_stand_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_bytes(b"first\r\n\n  second  \n")

    assert read_tokens(tmp_path / "tokens") == (b"first", b"second")


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_file_without_tokens_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(content)

    with pytest.raises(ValueError, match="must hold a token"):
        read_tokens(tmp_path / "tokens")


def test_tokens_that_cannot_be_read_are_told() -> None:
    with pytest.raises(ValueError, match="can't be read"):
        read_tokens(UNREADABLE)


@pytest.mark.parametrize("token", [b"two words", "schlüssel".encode(), b"\x00", b""])
def test_a_token_that_no_header_can_bring_is_refused_and_not_repeated(token: bytes) -> None:
    with pytest.raises(ValueError, match=r"^a token must be printable ASCII without spaces$"):
        check_token(token)
