"""Where to listen: HOST:PORT or unix:PATH, several of them with commas, as gRPC spells them.

gRPC unlinks whatever socket is at a path before it binds there, and would so take
it from a sidecar that is at work. At the end it removes its own. So room is made
here, and only where nobody listens.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path

from otel_embedder.errors import ListenError
from otel_embedder.fields import check_host_and_port

SOCKET_PREFIX = "unix:"
# What the kernel has room for, less the zero behind it: unix(7).
MAX_SOCKET_PATH_BYTES = 107
# Owner and group: a Collector of another user is let in by its group.
SOCKET_MODE = 0o660
# Only the kernel is asked.
PROBE_SECONDS = 1.0


def addresses(listen: str) -> tuple[str, ...]:
    """Give each address by itself."""
    return tuple(address.strip() for address in listen.split(","))


def socket_path(address: str) -> Path | None:
    """Give the path of a Unix socket; None for HOST:PORT."""
    if not address.startswith(SOCKET_PREFIX):
        return None
    # unix:///path is a way to write unix:/path.
    return Path(address.removeprefix(SOCKET_PREFIX).removeprefix("//"))


def address_to_probe(listen: str, *, has_tls: bool) -> str:
    """Give which of the addresses that a sidecar listens on to ask.

    A Unix socket goes first: it has no TLS, and is there whatever the host's names are.

    Args:
        listen: HOST:PORT or unix:PATH, several with commas.
        has_tls: whether HOST:PORT wants it. A socket never does.

    Raises:
        ValueError: none of them can be asked; says what to do.

    """
    each = addresses(listen)
    sockets = [path for path in map(socket_path, each) if path is not None]
    if sockets:
        return f"{SOCKET_PREFIX}{sockets[0]}"
    if has_tls:
        raise ValueError(
            "wants TLS, and a probe has no certificate: listen on a Unix socket beside it "
            f"({listen},unix:PATH), which is asked then"
        )
    if each[0].endswith(":0"):
        raise ValueError("has a port that only the sidecar knows: give it a number")
    return each[0]


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


def remove_dead(path: Path) -> None:
    """Remove the socket of a process that is gone, if there is one.

    Raises:
        ListenError: another process listens there, or something else is in the way.

    """
    if not (path.exists() or path.is_symlink()):
        return
    if not path.is_socket():
        raise ListenError(f"listen: {path} is there already, and no socket; name another")
    try:
        _remove_if_dead(path)
    except OSError as error:
        raise ListenError(f"listen: cannot listen on {path}: {error.strerror or error}") from error


def _remove_if_dead(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise ListenError(f"listen: another process listens on {path} already")


def no_such_address(address: str) -> ListenError:
    """Give the error that says of HOST:PORT that it can't be had."""
    return ListenError(
        f"listen: cannot listen on {address}: another process is there already, or this host "
        "has no such address or directory"
    )


def share(path: Path) -> None:
    """Let owner and group connect to a socket; as it is bound, its owner alone can."""
    path.chmod(SOCKET_MODE)
