"""Where to listen: HOST:PORT or unix:PATH, several of them with commas, as gRPC spells them."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from otel_embedder.fields import check_host_and_port

SOCKET_PREFIX = "unix:"
# What the kernel has room for, less the zero behind it: unix(7).
MAX_SOCKET_PATH_BYTES = 107


def addresses(listen: str) -> tuple[str, ...]:
    """Give each address by itself."""
    return tuple(address.strip() for address in listen.split(","))


def socket_path(address: str) -> Path | None:
    """Give the path of a Unix socket; None for HOST:PORT."""
    if not address.startswith(SOCKET_PREFIX):
        return None
    # unix:///path is a way to write unix:/path.
    return Path(address.removeprefix(SOCKET_PREFIX).removeprefix("//"))


def check_address(address: str) -> None:
    """Make sure that an address is spelt as one.

    Raises:
        ValueError: it is not.

    """
    path = socket_path(address)
    if path is None:
        check_host_and_port(address)
    elif path == Path():
        raise ValueError("must name the socket's file, such as unix:/run/otel-embedder.sock")
    elif len(bytes(path)) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"a socket's path may have {MAX_SOCKET_PATH_BYTES} bytes at most")


def is_exposed(address: str) -> bool:
    """Tell whether other hosts may reach an address."""
    if socket_path(address) is not None:
        return False
    host = address.rpartition(":")[0].strip("[]")
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        # What another name stands for may have changed by the time that it is bound.
        return host.lower() != "localhost"
