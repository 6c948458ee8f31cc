"""A next hop in a process of its own that takes everything and keeps nothing."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from tests.support.processes import TRACE_SERVICE, Process, own_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.processes import Handler

STARTED = "sink.started"


@contextmanager
def running_sink() -> Iterator[str]:
    """Run one, and give its address."""
    command = [sys.executable, "-m", "tests.bench.sink"]
    with Process(command, own_environment({})) as sink:
        yield f"127.0.0.1:{sink.wait_for_line(STARTED).split()[1]}"


async def main() -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    export: Handler = grpc.unary_unary_rpc_method_handler(_export)
    handler = grpc.method_handlers_generic_handler(TRACE_SERVICE, {"Export": export})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stderr.write(f"{STARTED} {port}\n")
    await server.wait_for_termination()


async def _export(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return b""


if __name__ == "__main__":
    asyncio.run(main())
