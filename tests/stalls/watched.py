"""A sidecar, a next hop and a probe; and what a request costs that is sent there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event, Thread
from typing import IO, TYPE_CHECKING, NamedTuple, Self

import grpc

from tests.stalls.probe import HEALTH, PATIENCE_SECONDS, SPAN
from tests.support.processes import (
    EXPORT_METHOD,
    own_environment,
    peak_bytes,
    resident_bytes,
    running_sidecar,
    trace_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from tests.stalls.tree import Shape
    from tests.support.processes import Context, Sidecar

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)
# Behind an answer there is still something to be put away.
SETTLING_SECONDS = 0.1
WARM_UP_SECONDS = 1.0
SAMPLING_SECONDS = 0.02
# Takes the peak that the kernel remembers back to what is held now.
FORGET_THE_PEAK = "5"


class Seen(NamedTuple):
    """One answer that the probe got."""

    kind: str
    began: float
    seconds: float
    status: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What came of a request.

    Attributes:
        shape: of it.
        wire_bytes: of it as it was sent.
        size: its bytes, decompressed.
        status: of its answer; `no answer`, if it took too long.
        seconds: until then.
        cpu_seconds: of the sidecar.
        health_seconds: for how long a health check waited at the most.
        span_seconds: for how long a request of one span waited at the most.
        span_statuses: what those were answered.
        peak_bytes: the most memory that the sidecar held.
        bytes_out: what the next hop got, of this and of the requests of one span.

    """

    shape: Shape
    wire_bytes: int
    size: int
    status: str
    seconds: float
    cpu_seconds: float
    health_seconds: float
    span_seconds: float
    span_statuses: frozenset[str]
    peak_bytes: int
    bytes_out: int


class CountingNextHop:
    """Takes everything, and counts bytes."""

    def __init__(self) -> None:
        self.bytes = 0

    def __enter__(self) -> Self:
        unlimited = ("grpc.max_receive_message_length", -1)
        self._server, self.address = trace_server(self._take, threads=8, options=[unlimited])
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop(grace=None).wait()

    def _take(self, request: bytes, _: Context) -> bytes:
        self.bytes += len(request)
        return b""


class Probe:
    """The probe's process, and what it has seen."""

    def __init__(self, address: str) -> None:
        self.seen: list[Seen] = []
        self._address = address
        self._changed = Condition()

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.stalls.probe", self._address]
        self._process = subprocess.Popen(
            command, env=own_environment({}), stdout=subprocess.PIPE, encoding="utf-8"
        )
        assert self._process.stdout is not None
        self._reader = Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                kind, began, seconds, status = line.split()
                with self._changed:
                    self.seen.append(Seen(kind, float(began), float(seconds), status))
                    self._changed.notify_all()

    def within(self, begin: float, end: float) -> list[Seen]:
        """Give what was waited for in this time; of each kind something that began after it."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_both(end), PATIENCE_SECONDS)
            return [one for one in self.seen if one.began < end and one.began + one.seconds > begin]

    def _has_both(self, after: float) -> bool:
        return {HEALTH, SPAN} <= {one.kind for one in reversed(self.seen) if one.began > after}


class Memory:
    """The most memory that a process holds from now on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._stop = Event()

    def __enter__(self) -> Self:
        self._is_exact = self._forget_the_peak()
        self._sampler = Thread(target=self._sample)
        self._sampler.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._sampler.join()

    def peak(self) -> int:
        with suppress(OSError, StopIteration):  # it has ended
            self._peak = max(self._peak, peak_bytes(self._pid) if self._is_exact else 0)
        return self._peak

    def _forget_the_peak(self) -> bool:
        try:
            Path(f"/proc/{self._pid}/clear_refs").write_text(FORGET_THE_PEAK, encoding="utf-8")
        except OSError:
            return False
        return True

    def _sample(self) -> None:
        with suppress(OSError, StopIteration):
            while not self._stop.wait(SAMPLING_SECONDS):
                self._peak = max(self._peak, resident_bytes(self._pid))


class Watched:
    """A sidecar under a probe."""

    def __init__(self, sidecar: Sidecar, next_hop: CountingNextHop, probe: Probe) -> None:
        self.sidecar = sidecar
        self.probe = probe
        self._next_hop = next_hop
        self.resting_bytes = resident_bytes(sidecar.pid)

    def cost(self, shape: Shape, *, share: float = 1.0, patience: float) -> Cost:
        """Send a shape in a share of its room, and see.

        Raises:
            OSError: the sidecar has ended.

        """
        encoded = shape.encoded(share)
        wire = shape.on_the_wire(encoded)
        bytes_before, cpu_before = self._next_hop.bytes, self._cpu_seconds()
        with Memory(self.sidecar.pid) as memory:
            begin = time.monotonic()
            status = _sent(self.sidecar.address, wire, patience)
            seconds = time.monotonic() - begin
            time.sleep(SETTLING_SECONDS)
            seen = self.probe.within(begin, time.monotonic())
        return Cost(
            shape=shape,
            wire_bytes=len(wire),
            size=len(encoded),
            status=status,
            seconds=seconds,
            cpu_seconds=self._cpu_seconds() - cpu_before,
            health_seconds=_longest(seen, HEALTH),
            span_seconds=_longest(seen, SPAN),
            span_statuses=frozenset(one.status for one in seen if one.kind == SPAN),
            peak_bytes=memory.peak(),
            bytes_out=self._next_hop.bytes - bytes_before,
        )

    def health_waits(self) -> list[float]:
        """Give what every health check so far has waited, in seconds."""
        return [one.seconds for one in self.probe.seen if one.kind == HEALTH]

    def _cpu_seconds(self) -> float:
        stat = Path(f"/proc/{self.sidecar.pid}/stat").read_text(encoding="utf-8")
        # What is in front of the last bracket is the process's name.
        fields = stat.rpartition(")")[2].split()
        user, system = fields[11:13]
        return (int(user) + int(system)) / TICKS_A_SECOND


def _sent(address: str, request: bytes, patience: float) -> str:
    """Send on a connection of its own; give the status."""
    with grpc.insecure_channel(address, CHANNEL_OPTIONS) as channel:
        export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        # Unlike a plain call, this raises nothing.
        return export.future(request, timeout=patience).code().name


def _longest(seen: Sequence[Seen], kind: str) -> float:
    return max((one.seconds for one in seen if one.kind == kind), default=0.0)


@contextmanager
def watched_sidecar(*flags: str) -> Iterator[Watched]:
    """Run a sidecar that has loaded its model, by these flags, and is warm."""
    with (
        CountingNextHop() as next_hop,
        running_sidecar(next_hop.address, settings=flags) as sidecar,
    ):
        sidecar.wait_for_model()
        with Probe(sidecar.address) as probe:
            begin = time.monotonic()
            time.sleep(WARM_UP_SECONDS)
            probe.within(begin, time.monotonic())
            probe.seen.clear()
            yield Watched(sidecar, next_hop, probe)
