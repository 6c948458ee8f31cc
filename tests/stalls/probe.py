"""Asks a sidecar how it is, and sends it one span, again and again.

`python -m tests.stalls.probe ADDRESS` is a process of its own: what else a measuring process does
must not hold up its clock. Each answer is a line on stdout: what was asked, when, for how long, and
with which status. A health check goes out every 20 ms, whatever became of those before, so a stall
is seen as often as it is long.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

from tests.support.otlp_samples import request, span
from tests.support.processes import EXPORT_METHOD

if TYPE_CHECKING:
    from collections.abc import Awaitable

    Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

HEALTH, SPAN = "health", "span"
HEALTH_METHOD = "/grpc.health.v1.Health/Check"
SECONDS_BETWEEN = {HEALTH: 0.02, SPAN: 0.05}
# Of its own connection each: what one waits for should not be the other.
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
PATIENCE_SECONDS = 120.0

# What of its requests are known by.
PROBED = b"a request of one span"
ONE_SPAN = request(span(PROBED.decode())).SerializeToString()


async def probe(address: str) -> None:
    await asyncio.gather(ask_for_health(address), send_spans(address))


async def ask_for_health(address: str) -> None:
    encoded = health_pb2.HealthCheckRequest().SerializeToString()
    async with (
        grpc.aio.insecure_channel(address, OPTIONS) as channel,
        asyncio.TaskGroup() as waiting,
    ):
        check: Call = channel.unary_unary(HEALTH_METHOD)
        while True:
            waiting.create_task(told(HEALTH, check(encoded, timeout=PATIENCE_SECONDS)))
            await asyncio.sleep(SECONDS_BETWEEN[HEALTH])


async def send_spans(address: str) -> None:
    """Send one after the other: they are not to be a load of their own."""
    async with grpc.aio.insecure_channel(address, OPTIONS) as channel:
        export: Call = channel.unary_unary(EXPORT_METHOD)
        while True:
            await told(SPAN, export(ONE_SPAN, timeout=PATIENCE_SECONDS))
            await asyncio.sleep(SECONDS_BETWEEN[SPAN])


async def told(kind: str, call: Awaitable[bytes]) -> None:
    began = time.monotonic()
    status = grpc.StatusCode.OK
    try:
        await call
    except grpc.aio.AioRpcError as error:
        status = error.code()
    sys.stdout.write(f"{kind} {began} {time.monotonic() - began} {status.name}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(probe(sys.argv[1]))
