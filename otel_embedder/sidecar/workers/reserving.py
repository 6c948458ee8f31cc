"""Addresses for several processes, and for no others.

The kernel deals connections out among all who listen on a port with SO_REUSEPORT. A stranger of
the same user that says so, too, would get its share without a word. So the port is bound once
without it, which fails where anybody is, and only then opened to those who say so. A stranger does
the same, and fails. Whoever never listens gets no connection.
"""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from otel_embedder.receiver.addresses import addresses, no_such_address, socket_path

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def reserved(listen: str) -> Iterator[list[str]]:
    """Keep each HOST:PORT for who listens there with SO_REUSEPORT; give all addresses.

    Where any port would do, the one that was found is named. Socket files stay as they are.

    Raises:
        ListenError: an address can't be had.

    """
    with ExitStack() as held:
        yield [
            address if socket_path(address) else _reserve(address, held)
            for address in addresses(listen)
        ]


def _reserve(address: str, held: ExitStack) -> str:
    """Bind all that a name stands for, as far as this host has it."""
    host, _, port = address.rpartition(":")
    number, has_any = int(port), False
    try:
        found = socket.getaddrinfo(host.strip("[]"), number, type=socket.SOCK_STREAM)
        for family, *_, (name, _, *scope) in found:
            bound = held.enter_context(socket.socket(family))
            if _is_bound(bound, (name, number, *scope)):
                number, has_any = bound.getsockname()[1], True
    except OSError as error:
        raise no_such_address(address) from error
    if not has_any:
        raise no_such_address(address)
    return f"{host}:{number}"


def _is_bound(bound: socket.socket, address: tuple[object, ...]) -> bool:
    """Bind; tell whether this host has such an address.

    Raises:
        OSError: somebody else has it.

    """
    # What was closed a moment ago may still be there for the kernel, and is in nobody's way.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        return False
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return True
