from __future__ import annotations

from pathlib import PosixPath
from typing import TYPE_CHECKING

import pytest

from otel_embedder.credentials.tls_files import TlsContents, TlsFiles, read_tls_files
from otel_embedder.errors import CredentialsError
from tests.support.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_what_belongs_together_is_read(authority: Authority) -> None:
    pair = authority.issue("ours")

    contents = read_tls_files(TlsFiles(authority.file, *pair))

    assert contents == TlsContents(
        authority.file.read_bytes(), pair.certificate.read_bytes(), pair.key.read_bytes()
    )


def test_without_files_there_is_nothing_to_read() -> None:
    assert TlsFiles().paths() == ()
    assert read_tls_files(TlsFiles()) == TlsContents()


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(TlsContents(key=b"secret"))


def test_a_key_of_another_certificate_is_refused(authority: Authority) -> None:
    certificate, _ = authority.issue("ours")
    _, key = authority.issue("another")

    with pytest.raises(CredentialsError, match=r"another\.key must be the private key"):
        read_tls_files(TlsFiles(authority.file, certificate, key))


@pytest.mark.parametrize("content", ["", "certificates", "-----BEGIN CERTIFICATE-----\nMII"])
def test_a_file_without_whole_certificates_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "authorities.pem"
    file.write_text(content)

    with pytest.raises(CredentialsError, match=r"authorities\.pem must be a PEM file"):
        read_tls_files(TlsFiles(file))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"missing\.pem can't be read: No such file"):
        read_tls_files(TlsFiles(tmp_path / "missing.pem"))


def test_files_that_change_while_they_are_read_are_left_for_later(authority: Authority) -> None:
    with pytest.raises(CredentialsError, match="are being written"):
        read_tls_files(TlsFiles(GrowingFile(authority.file)))


class GrowingFile(PosixPath):
    """Is longer each time that it is read."""

    def read_bytes(self) -> bytes:
        content = super().read_bytes()
        self.write_bytes(content * 2)
        return content
