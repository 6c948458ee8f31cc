"""Sends requests in turn, from a process of its own; prints the seconds it took."""

from __future__ import annotations

import asyncio
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio

from tests.bench.requests import read
from tests.support.processes import EXPORT_METHOD

if TYPE_CHECKING:
    from collections.abc import Iterator

    Export = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

REQUESTS_AT_A_TIME = 4
TIMEOUT_SECONDS = 60


async def main(address: str, file: Path, count: int) -> None:
    requests = islice(cycle([*read(file)]), 1 + count)
    async with grpc.aio.insecure_channel(address) as channel:
        export: Export = channel.unary_unary(EXPORT_METHOD)
        await export(next(requests), timeout=TIMEOUT_SECONDS)  # and so the connection is there
        started = time.perf_counter()
        await asyncio.gather(*(_send(export, requests) for _ in range(REQUESTS_AT_A_TIME)))
        sys.stdout.write(f"{time.perf_counter() - started}\n")


async def _send(export: Export, requests: Iterator[bytes]) -> None:
    for request in requests:
        await export(request, timeout=TIMEOUT_SECONDS)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
