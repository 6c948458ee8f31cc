"""Sends requests at a rate, from a process of its own; prints the milliseconds that each took.

A request is due when its turn has come, whatever became of those before it: so what waits for a
sender that is behind is waited for, too. Its timers are not: those of epoll are late by up to a
millisecond, which is as much as a small request takes, those of select are not.
"""

from __future__ import annotations

import asyncio
import json
import selectors
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


def precise_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
