"""Sends requests at a rate, from a process of its own; prints the milliseconds that each took.

A request is due when its turn has come, whatever became of those before it: so what waits for a
sender that is behind is waited for, too.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio

from tests.bench.load import TIMEOUT_SECONDS
from tests.bench.requests import read
from tests.support.processes import EXPORT_METHOD

if TYPE_CHECKING:
    Export = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

MILLISECONDS = 1_000


async def main(address: str, file: Path, rate: float, count: int) -> None:
    first, *requests = islice(cycle([*read(file)]), 1 + count)
    async with grpc.aio.insecure_channel(address) as channel:
        export: Export = channel.unary_unary(EXPORT_METHOD)
        await export(first, timeout=TIMEOUT_SECONDS)  # and so the connection is there
        began = time.perf_counter()
        sending = []
        for number, request in enumerate(requests):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sending.append(asyncio.create_task(_send(export, request, due)))
        sys.stdout.write(json.dumps(await asyncio.gather(*sending)))


async def _send(export: Export, request: bytes, due: float) -> float:
    await export(request, timeout=TIMEOUT_SECONDS)
    return (time.perf_counter() - due) * MILLISECONDS


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
