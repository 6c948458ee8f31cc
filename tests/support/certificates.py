"""Certificates for tests of TLS, of an authority that only they trust."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import trustme

if TYPE_CHECKING:
    from pathlib import Path


class KeyPair(NamedTuple):
    """The files of a certificate and of its private key, both PEM."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates into a directory, and writes its own there as `authority.pem`."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self._directory = directory
        self.file = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def issue(self, name: str, *identities: str) -> KeyPair:
        """Write a new certificate under a name, in the place of an older one.

        The identities are host names or addresses; `localhost` and `127.0.0.1`, if there are none.
        """
        issued = self._authority.issue_cert(*(identities or ("localhost", "127.0.0.1")))
        pair = KeyPair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(pair.certificate)
        issued.private_key_pem.write_to_path(pair.key)
        return pair
