"""Runs a sidecar for long at 70 % of what it can, with texts that it has never seen mixed in.

First the load is raised to find what this machine can; then it is held. Each request is followed:
how long it took, and whether its spans came out, each of them once. At the end: what memory and
latency did, as plots and as a verdict. `python -m tests.bench.soak --seconds 60` is a shorter
one; with `-- --attach new --workers 2` behind it the sidecar has these settings.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder.otlp.spans import span_ids
from otel_embedder.proto import otlp_wire_pb2 as pb
from tests.bench.pictures import drawn
from tests.support.generated import key_value, requests_of_texts
from tests.support.processes import (
    EXPORT_METHOD,
    TRACE_SERVICE,
    Sidecar,
    peak_bytes,
    resident_bytes,
    running_sidecar,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Export = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    Context = grpc.aio.ServicerContext[bytes, bytes]
    Handler = grpc.RpcMethodHandler[bytes, bytes]

SECONDS = 600
CAPACITY_SECONDS = 20
SHARE_OF_CAPACITY = 0.7

SPANS_A_REQUEST = 512
TEXTS = 500  # within the cache's default size
CALLERS = 8  # as a Collector has consumers, about
TIMEOUT_SECONDS = 10.0
MAX_WAITING = 200  # calls; beyond that it is no longer 70 %

# A request is made of a template: its number takes the place of its trace id, a word that nobody
# has seen before that of the other.
TRACE_ID = b"trace-id-of-soak"
NEVER_SEEN = b"neverseenword"
LETTERS = b"abcdefghijklmnop"

# Of what there was after the first minutes.
MAX_GROWTH = 1.1
MEGABYTE = 1_000_000


@dataclass(slots=True)
class Course:
    """What happened, second by second.

    Attributes:
        resident: the sidecar's memory in megabytes, and its workers', once a second.
        calls: for each call that was answered, the second that it began in and how many it took.
        sent: the numbers of the requests that were answered with OK.
        failures: how often a call ended with which status.

    """

    resident: list[float] = field(default_factory=list)
    calls: list[tuple[float, float]] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)


class CountingSink:
    """A next hop that counts the spans of each request, and keeps none."""

    def __init__(self) -> None:
        self.spans: Counter[int] = Counter()
        self.sources: Counter[str] = Counter()

    async def start(self) -> str:
        """Listen; give the address."""
        self._server = grpc.aio.server()
        export: Handler = grpc.unary_unary_rpc_method_handler(self._export)
        handler = grpc.method_handlers_generic_handler(TRACE_SERVICE, {"Export": export})
        self._server.add_generic_rpc_handlers((handler,))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def stop(self) -> None:
        await self._server.stop(None)

    async def _export(self, encoded: bytes, _: Context) -> bytes:
        for resource in pb.TraceRequest.FromString(encoded).resource_spans:
            for scope in resource.scope_spans:
                number = span_ids(scope.spans[0]).trace_id
                self.spans[int.from_bytes(number)] += len(scope.spans)
                self.sources["fallback"] += sum(b"fallback-sha256" in span for span in scope.spans)
        return b""


def template() -> bytes:
    """Make the request that all others are made of."""
    [encoded] = requests_of_texts(SPANS_A_REQUEST, texts=TEXTS, spans_a_request=SPANS_A_REQUEST)
    request = ExportTraceServiceRequest.FromString(encoded)
    spans = [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    for span in spans:
        span.trace_id = TRACE_ID
    spans[0].attributes.append(key_value("note", NEVER_SEEN.decode()))
    return request.SerializeToString()


def numbered(request: bytes, number: int) -> bytes:
    """Make a request of the template that can be told from all others."""
    digits = number.to_bytes(8).hex().encode()[-len(NEVER_SEEN) :]
    word = digits.translate(bytes.maketrans(b"0123456789abcdef", LETTERS))
    return request.replace(TRACE_ID, number.to_bytes(16)).replace(NEVER_SEEN, word)


class Load:
    """Sends requests at a rate, or as fast as they are answered."""

    def __init__(self, address: str, course: Course) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._export: Export = self._channel.unary_unary(EXPORT_METHOD)
        self._template = template()
        self._course = course
        self._number = 0

    async def close(self) -> None:
        await self._channel.close()

    async def capacity(self, seconds: float) -> float:
        """Give how many requests a second are answered, at the most."""
        end = time.monotonic() + seconds
        before = len(self._course.sent)
        await asyncio.gather(*(self._send_until(end) for _ in range(CALLERS)))
        return (len(self._course.sent) - before) / seconds

    async def _send_until(self, end: float) -> None:
        while time.monotonic() < end:
            await self._send()

    async def hold(self, rate: float, seconds: float) -> None:
        """Send so many requests a second, whether they are answered in time or not."""
        started = time.monotonic()
        calls: set[asyncio.Task[None]] = set()
        for place in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, started + place / rate - time.monotonic()))
            if len(calls) >= MAX_WAITING:
                await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            call = asyncio.create_task(self._send())
            calls.add(call)
            call.add_done_callback(calls.discard)
        await asyncio.gather(*calls)

    async def _send(self) -> None:
        number = self._number
        self._number += 1
        began = time.monotonic()
        try:
            await self._export(numbered(self._template, number), timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            self._course.failures[error.code().name] += 1
            return
        self._course.sent.add(number)
        self._course.calls.append((began, time.monotonic() - began))


async def watch(sidecar: Sidecar, course: Course) -> None:
    while True:
        course.resident.append(sum(map(resident_bytes, processes(sidecar.pid))) / MEGABYTE)
        await asyncio.sleep(1)


def processes(pid: int) -> list[int]:
    """Give a process and those that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [pid, *map(int, children.split())]


async def soak(seconds: float, settings: Sequence[str]) -> int:
    sink, course = CountingSink(), Course()
    next_hop = await sink.start()
    with running_sidecar(next_hop, settings=settings) as sidecar:
        await asyncio.to_thread(sidecar.wait_for_model)
        load = Load(sidecar.address, course)
        capacity = await load.capacity(CAPACITY_SECONDS)
        rate = capacity * SHARE_OF_CAPACITY
        say(f"This machine can do {capacity:.1f} requests of {SPANS_A_REQUEST} spans a second.")
        say(f"Now {rate:.1f} a second for {seconds:.0f} s, a never-seen text in each ...")
        course.calls.clear()
        watching = asyncio.create_task(watch(sidecar, course))
        await load.hold(rate, seconds)
        watching.cancel()
        peak = sum(map(peak_bytes, processes(sidecar.pid))) / MEGABYTE
        await load.close()
    await sink.stop()
    plot(course)
    return verdict(course, sink, peak)


def verdict(course: Course, sink: CountingSink, peak: float) -> int:
    """Print what came of it; give the exit code."""
    lost = sum(SPANS_A_REQUEST - sink.spans[number] for number in course.sent)
    twice = sum(max(0, spans - SPANS_A_REQUEST) for spans in sink.spans.values())
    early, late = _early_and_late(course.resident)
    times = [took for _, took in course.calls]
    p50, p99 = median(times), quantiles(times, n=100)[98]
    say(f"{len(course.sent) * SPANS_A_REQUEST:,} spans sent, {lost} lost, {twice} twice")
    say(f"{sink.sources['fallback']:,} of them with a stand-in")
    say(f"{sum(course.failures.values())} calls failed {dict(course.failures)}")
    say(f"latency: median {p50 * 1000:.0f} ms, 99th percentile {p99 * 1000:.0f} ms")
    say(f"memory: {early:.0f} MB early, {late:.0f} MB late, {peak:.0f} MB at the most")
    flat = late <= early * MAX_GROWTH
    good = flat and not lost and not twice and not course.failures
    say("passed" if good else "FAILED")
    return 0 if good else 1


def _early_and_late(resident: Sequence[float]) -> tuple[float, float]:
    """Give the median of the second fifth, when all is warm, and of the last."""
    fifth = max(1, len(resident) // 5)
    return median(resident[fifth : 2 * fifth] or resident), median(resident[-fifth:])


def plot(course: Course) -> None:
    say(drawn("sidecar's memory, MB", "seconds", {"resident": [*enumerate(course.resident)]}))
    began = course.calls[0][0]
    buckets: dict[int, list[float]] = {}
    for start, took in course.calls:
        buckets.setdefault(int(start - began) // 5 * 5, []).append(took * 1000)
    curves: dict[str, list[tuple[float, float]]] = {
        "median": [(at, median(times)) for at, times in sorted(buckets.items())],
        "99 %": list(_percentiles(buckets)),
    }
    say(drawn("latency of a request, ms", "seconds", curves))


def _percentiles(buckets: dict[int, list[float]]) -> Iterator[tuple[float, float]]:
    for at, times in sorted(buckets.items()):
        yield at, quantiles(times, n=100)[98] if len(times) > 1 else times[0]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long to hold the load")
    parser.add_argument("settings", nargs="*", help="of the sidecar, behind --")
    given = parser.parse_args()
    sys.exit(asyncio.run(soak(given.seconds, given.settings)))


if __name__ == "__main__":
    main()
