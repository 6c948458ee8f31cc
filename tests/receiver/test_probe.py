from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import HealthServicer

from otel_embedder.errors import UnhealthyError
from otel_embedder.receiver.probe import ask
from tests.support.fakes import PATIENCE
from tests.support.processes import free_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def health_service(address: str) -> Iterator[HealthServicer]:
    """Serve gRPC health at an address."""
    servicer = HealthServicer()
    server = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    server.start()
    try:
        yield servicer
    finally:
        server.stop(None).wait()


def test_one_that_serves_is_well() -> None:
    address = free_address()
    with health_service(address):
        ask(address, seconds=PATIENCE)


def test_one_that_serves_on_a_socket_is_well(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'socket'}"
    with health_service(address):
        ask(address, seconds=PATIENCE)


def test_one_that_is_about_to_stop_is_not_well() -> None:
    address = free_address()
    with health_service(address) as servicer:
        servicer.enter_graceful_shutdown()

        with pytest.raises(UnhealthyError, match=f"{address} answers NOT_SERVING"):
            ask(address, seconds=PATIENCE)


def test_where_nobody_listens_nobody_is_well() -> None:
    address = free_address()

    with pytest.raises(UnhealthyError, match=f"{address} does not answer: UNAVAILABLE, "):
        ask(address, seconds=PATIENCE)
