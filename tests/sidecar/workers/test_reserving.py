from __future__ import annotations

import socket
from contextlib import suppress

import grpc.aio
import pytest

from otel_embedder.errors import ListenError
from otel_embedder.receiver.server import SERVER_OPTIONS, WORKER_OPTIONS
from otel_embedder.sidecar.workers.reserving import reserved
from tests.support.processes import free_address


def listens(address: str, *, options: tuple[tuple[str, int], ...] = WORKER_OPTIONS) -> bool:
    """Tell whether a server can listen at an address beside another one."""
    with suppress(RuntimeError):
        for _ in range(2):
            grpc.aio.server(options=options).add_insecure_port(address)
        return True
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "[::1]", "[::]"])
async def test_workers_share_what_is_reserved(host: str) -> None:
    with reserved(f"{host}:0") as [address]:
        assert address.rpartition(":")[0] == host
        assert not address.endswith(":0")
        assert listens(address)


async def test_nobody_else_can_listen_there() -> None:
    with reserved("127.0.0.1:0") as [address]:
        assert not listens(address, options=SERVER_OPTIONS)
        for _ in range(2):
            with (
                pytest.raises(ListenError, match=f"cannot listen on {address}: "),
                reserved(address),
            ):
                pass
            assert listens(address)


def test_what_somebody_has_already_can_not_be_reserved() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(ListenError, match=f"cannot listen on {address}: "), reserved(address):
            pass


@pytest.mark.parametrize("host", ["198.51.100.1", "there.is.no.such.host.invalid"])
def test_what_this_host_does_not_have_can_not_be_reserved(host: str) -> None:
    with pytest.raises(ListenError, match="this host has no such address"), reserved(f"{host}:1"):
        pass


def test_what_was_reserved_is_free_again_and_so_are_the_others_of_a_list() -> None:
    first, second = free_address(), free_address()
    with reserved(second), pytest.raises(ListenError), reserved(f"{first},{second}"):
        pass
    with reserved(f"{first}, unix:a.sock,{second}") as listen:
        assert listen == [first, "unix:a.sock", second]
