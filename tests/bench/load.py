"""Sends requests in turn, from a process of its own; prints the seconds it took."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio

from tests.bench.requests import read
from tests.support.processes import EXPORT_METHOD, own_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    Export = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

REQUESTS_AT_A_TIME = 4
# Each of its own connection: grpcio shares one among equal channels of a process.
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
TIMEOUT_SECONDS = 60


def sent(address: str, file: Path, count: int, *, connections: int = 1, first: int = 0) -> float:
    """Send so many of a file's requests, by `main` in a process of its own; give its seconds."""
    command = [sys.executable, "-m", "tests.bench.load", address, str(file)]
    command += [str(count), str(connections), str(first)]
    return float(subprocess.check_output(command, env=own_environment({})))


async def main(addresses: str, file: Path, count: int, connections: int, first: int) -> None:
    """Send so many requests in all, by each connection as many, to addresses in turn.

    Args:
        addresses: with commas between them.
        file: what is sent, again and again.
        count: of requests, beside one for each connection.
        connections: how many.
        first: the number of the request to begin with.

    """
    requests = islice(cycle([*read(file)]), first, first + connections + count)
    async with AsyncExitStack() as opened:
        exports: list[Export] = []
        for address in islice(cycle(addresses.split(",")), connections):
            channel = await opened.enter_async_context(grpc.aio.insecure_channel(address, OPTIONS))
            exports.append(channel.unary_unary(EXPORT_METHOD))
        for export in exports:
            await export(next(requests), timeout=TIMEOUT_SECONDS)  # and so the connection is there
        shares = [(export, islice(requests, count // connections)) for export in exports]
        started = time.perf_counter()
        at_a_time = max(1, REQUESTS_AT_A_TIME // connections)
        await asyncio.gather(*(_send(*share) for share in shares * at_a_time))
        sys.stdout.write(f"{time.perf_counter() - started}\n")


async def _send(export: Export, requests: Iterator[bytes]) -> None:
    for request in requests:
        await export(request, timeout=TIMEOUT_SECONDS)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])))
