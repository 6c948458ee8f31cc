"""Sends the same request again and again, from a process of its own; prints the seconds it took."""

from __future__ import annotations

import asyncio
import sys
import time
from itertools import repeat
from typing import TYPE_CHECKING

import grpc.aio

from tests.support.generated import requests_of_texts
from tests.support.processes import EXPORT_METHOD

if TYPE_CHECKING:
    from collections.abc import Iterator

    Export = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

SPANS_A_REQUEST = 512
TEXTS = 100  # all soon in the cache
REQUESTS_AT_A_TIME = 4
TIMEOUT_SECONDS = 60


async def main(address: str, count: int) -> None:
    [request] = requests_of_texts(SPANS_A_REQUEST, texts=TEXTS, spans_a_request=SPANS_A_REQUEST)
    async with grpc.aio.insecure_channel(address) as channel:
        export: Export = channel.unary_unary(EXPORT_METHOD)
        await export(request, timeout=TIMEOUT_SECONDS)  # and so the connection is there
        requests = repeat(request, count)
        started = time.perf_counter()
        await asyncio.gather(*(_send(export, requests) for _ in range(REQUESTS_AT_A_TIME)))
        sys.stdout.write(f"{time.perf_counter() - started}\n")


async def _send(export: Export, requests: Iterator[bytes]) -> None:
    for request in requests:
        await export(request, timeout=TIMEOUT_SECONDS)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
