from __future__ import annotations

import re
from pathlib import Path

import pytest

from otel_embedder.receiver.addresses import (
    address_to_probe,
    addresses,
    check_address,
    is_exposed,
    socket_path,
)


def test_several_addresses_come_with_commas() -> None:
    assert addresses("127.0.0.1:1, unix:/run/a.sock") == ("127.0.0.1:1", "unix:/run/a.sock")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("unix:/run/a.sock", Path("/run/a.sock")),
        ("unix:///run/a.sock", Path("/run/a.sock")),
        ("unix:a.sock", Path("a.sock")),
        ("127.0.0.1:1", None),
        ("unix.example:1", None),
    ],
)
def test_a_sockets_path_may_be_written_as_grpc_has_it(address: str, path: Path | None) -> None:
    assert socket_path(address) == path


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:4327", "host:1", f"unix:{'a' * 107}"])
def test_an_address_is_a_host_and_a_port_or_a_socket(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("", "must be HOST:PORT"),
        ("4327", "must be HOST:PORT"),
        ("host:65536", "must be HOST:PORT"),
        ("unix:", "must name the socket's file"),
        ("unix://", "must name the socket's file"),
        (f"unix:{'a' * 108}", "107 bytes at most"),
        (f"unix:{'ä' * 54}", "107 bytes at most"),
    ],
)
def test_what_is_no_address_is_told(address: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_address(address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "LocalHost:1", "unix:/run/a.sock"],
)
def test_only_this_host_reaches_loopback_and_sockets(address: str) -> None:
    assert not is_exposed(address)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1", "8.8.8.8:1", "example.org:1", "0:1"],
)
def test_others_may_reach_any_other_address_and_whatever_a_name_stands_for(address: str) -> None:
    assert is_exposed(address)


@pytest.mark.parametrize(
    ("listen", "has_tls", "asked"),
    [
        ("127.0.0.1:4327", False, "127.0.0.1:4327"),
        ("[::1]:4327, 127.0.0.1:4328", False, "[::1]:4327"),
        ("unix:///run/embedder.sock", False, "unix:/run/embedder.sock"),
        ("0.0.0.0:4327,unix:/run/embedder.sock", True, "unix:/run/embedder.sock"),
    ],
)
def test_a_socket_is_asked_before_a_port(listen: str, has_tls: bool, asked: str) -> None:  # noqa: FBT001 - of a table
    assert address_to_probe(listen, has_tls=has_tls) == asked


@pytest.mark.parametrize(
    ("listen", "has_tls", "complaint"),
    [
        ("0.0.0.0:4327", True, "listen on a Unix socket beside it (0.0.0.0:4327,unix:PATH)"),
        ("127.0.0.1:0", False, "give it a number"),
    ],
)
def test_one_that_cannot_be_asked_is_told_what_to_do(
    listen: str,
    has_tls: bool,  # noqa: FBT001 - of a table
    complaint: str,
) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        address_to_probe(listen, has_tls=has_tls)
