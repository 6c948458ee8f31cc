"""Starts workers, starts those again that end, and tells of all of them as of one.

It takes no spans itself: the workers listen at the same ports, and the kernel deals the connections
out. So nothing that a span needs waits for it. A worker that dies takes with it what was in flight
there, whose senders see UNAVAILABLE and send again; the others go on.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_embedder.errors import ListenError, OtelEmbedderError, SettingsError, WorkerError
from otel_embedder.receiver.addresses import addresses, socket_path
from otel_embedder.sidecar.background import beside
from otel_embedder.sidecar.own_telemetry import pushed_metrics
from otel_embedder.sidecar.stopping import (
    SERVICE_STARTED,
    SERVICE_STOPPED,
    SERVICE_STOPPING,
    stop_on_signals,
)
from otel_embedder.sidecar.workers.channel import (
    COMPLETE,
    MAX_REPORT_BYTES,
    SHORT,
    STOP,
    Share,
    send_share,
)
from otel_embedder.sidecar.workers.reserving import reserved
from otel_embedder.telemetry.logs import dropped_lines, get_logger
from otel_embedder.telemetry.metrics import Metrics, serving_metrics
from otel_embedder.telemetry.summed import SummedMetrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.settings import Settings

WORKER_STARTED = "worker.started"
WORKER_ENDED = "worker.ended"
WORKER_REFUSED = "worker.refused"
WORKER_SILENT = "worker.silent"

# Without the directory that it is started in: a file there may be called as a module is.
PROGRAM = (sys.executable, "-P", "-m", "otel_embedder", "worker")

# From the end of a worker to its next start; twice as long each time, if it did not last.
AGAIN_SECONDS, MAX_AGAIN_SECONDS = 0.5, 30.0
LASTING_SECONDS = 60.0
# A worker tells each second how it is doing.
SILENT_SECONDS = 30.0

log = get_logger()


async def supervise(settings: Settings) -> None:
    """Run workers until SIGTERM or SIGINT; a second signal ends all of them at once.

    Raises:
        SettingsError: a file of certificates or tokens can't be used any more.
        ListenError: an address can't be had.
        WorkerError: a worker could not start for something else.

    """
    stop, metrics = stop_on_signals(), Metrics()
    metrics.watch_log(dropped_lines)
    with reserved(settings.listen) as listen:
        own = settings.model_copy(update={"listen": ",".join(listen)})
        crew = Crew([Share(number, own) for number in range(settings.workers)], stop, metrics)
        with serving_metrics(settings.metrics_listen, crew.summed.registry):
            async with (
                pushed_metrics(settings, crew.summed.registry),
                beside(_tell(own, crew, stop)),
            ):
                await crew.run()
    log.info(SERVICE_STOPPED)


async def _tell(settings: Settings, crew: Crew, stop: asyncio.Event) -> None:
    await crew.all_listen.wait()
    ports = [each for each in addresses(settings.listen) if socket_path(each) is None]
    port = int(ports[0].rpartition(":")[2]) if ports else 0
    log.info(
        SERVICE_STARTED,
        listen=settings.listen,
        port=port,
        next_hop=settings.next_hop,
        workers=settings.workers,
    )
    await stop.wait()
    log.info(SERVICE_STOPPING)


class Running(NamedTuple):
    """A worker that runs.

    Attributes:
        share: what it does.
        process: its process.
        reader: what it tells.
        writer: what it is told.

    """

    share: Share
    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Crew:
    """The workers."""

    def __init__(
        self,
        shares: Sequence[Share],
        stop: asyncio.Event,
        metrics: Metrics,
        *,
        program: Sequence[str] = PROGRAM,
        silent_after: float = SILENT_SECONDS,
    ) -> None:
        """Prepare to run.

        Args:
            shares: what each is to do.
            stop: is set when all are to end.
            metrics: get told of workers.
            program: starts a worker, with the number of its descriptor behind.
            silent_after: seconds without a word, after which nobody says of a worker that it
                serves.

        """
        self.summed = SummedMetrics(metrics)
        self.all_listen = asyncio.Event()
        self._shares = shares
        self._stop = stop
        self._metrics = metrics
        self._program = program
        self._silent_after = silent_after
        self._running: dict[int, Running] = {}
        self._serving: set[int] = set()
        self._listened: set[int] = set()
        # The first goes ahead: what is wrong for all is told once.
        self._first_listens = asyncio.Event()
        self._refusal: OtelEmbedderError | None = None
        metrics.watch_workers(lambda: len(self._serving))

    async def run(self) -> None:
        """Keep all workers running until they are to stop, and have stopped.

        Raises:
            SettingsError: one could not start for these, before all had started.
            ListenError: nor for an address.
            WorkerError: nor for something else.

        """
        async with beside(self._pass_stop_on()):
            await asyncio.gather(*map(self._keep, self._shares))
        if self._refusal is not None:
            raise self._refusal

    async def _pass_stop_on(self) -> None:
        await self._stop.wait()
        self._first_listens.set()
        self._order(STOP)

    def _order(self, order: bytes) -> None:
        for worker in self._running.values():
            worker.writer.write(order)

    async def _keep(self, share: Share) -> None:
        """Run a worker, and again whenever it ends."""
        if share.number:
            await self._first_listens.wait()
        again_in = AGAIN_SECONDS
        while not self._stop.is_set():
            began = time.monotonic()
            end = await self._run(share)
            if self._stop.is_set():
                return
            if time.monotonic() - began > LASTING_SECONDS:
                again_in = AGAIN_SECONDS
            log.error(WORKER_ENDED, worker=share.number, end=end, again_in=again_in)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), again_in)
                return
            again_in = min(2 * again_in, MAX_AGAIN_SECONDS)
            self._metrics.worker_restarted()

    async def _run(self, share: Share) -> str:
        """Run a worker; give how it ended."""
        try:
            worker = await _start(share, self._program)
        except OSError as error:  # there may be no memory for one more process
            return f"can't be started: {error.strerror}"
        self._running[share.number] = worker
        if self._stop.is_set():
            worker.writer.write(STOP)
        try:
            await self._listen_to(worker)
        finally:
            del self._running[share.number]
            self._note(share.number, is_serving=False)
            self.summed.leave(share.number)
            worker.writer.close()
        exit_code = await worker.process.wait()
        if exit_code > 0:
            self._take_failure(share.number, exit_code)
        return signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"

    async def _listen_to(self, worker: Running) -> None:
        """Hear what a worker tells, until it ends."""
        while True:
            try:
                line = await asyncio.wait_for(worker.reader.readline(), self._silent_after)
            except TimeoutError:
                self._miss(worker)
                continue
            except ConnectionError:
                return
            # At its end there is nothing, or what it had said when it was killed.
            if not line.endswith(b"\n"):
                return
            self._hear(worker, json.loads(line))

    def _miss(self, worker: Running) -> None:
        number = worker.share.number
        if number in self._serving:
            log.error(WORKER_SILENT, worker=number, pid=worker.process.pid)
            self._note(number, is_serving=False)

    def _hear(self, worker: Running, report: dict[str, Any]) -> None:
        number = worker.share.number
        match report:
            case {"metrics": text, "is_serving": is_serving}:
                self.summed.hear(number, text)
                self._note(number, is_serving=is_serving and not self._stop.is_set())
            case {"listening": _}:
                log.info(WORKER_STARTED, worker=number, pid=worker.process.pid)
                self._note(number, is_serving=True)
            case {"refused": problems, "of": kind}:
                self._take_refusal(number, problems, kind)

    def _note(self, number: int, *, is_serving: bool) -> None:
        """Note whether a worker takes spans; let all know whether all of them do."""
        were_all = self._are_all_serving()
        (self._serving.add if is_serving else self._serving.discard)(number)
        if self._are_all_serving() is not were_all:
            self._order(SHORT if were_all else COMPLETE)
        if is_serving:
            self._first_listens.set()
            self._listened.add(number)
        if len(self._listened) == len(self._shares):
            self.all_listen.set()

    def _are_all_serving(self) -> bool:
        return len(self._serving) == len(self._shares)

    def _take_refusal(self, number: int, problems: list[str], kind: str) -> None:
        """End all for what none may have been able to do; later, a file may become right again."""
        if self.all_listen.is_set():
            log.error(WORKER_REFUSED, worker=number, problems=problems)
            return
        self._refusal = SettingsError(problems) if kind == "settings" else ListenError(problems[0])
        self._stop.set()

    def _take_failure(self, number: int, exit_code: int) -> None:
        """End all for what no start ever got over; a signal, as for want of memory, may pass."""
        if not (self.all_listen.is_set() or self._stop.is_set()):
            self._refusal = WorkerError(
                f"worker {number} ended with exit code {exit_code} before all had started; what it "
                "said is above"
            )
            self._stop.set()


async def _start(share: Share, program: Sequence[str]) -> Running:
    """Start a worker.

    Raises:
        OSError: no process can be had.

    """
    ours, theirs = socket.socketpair()
    with theirs:
        send_share(ours, share)
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_REPORT_BYTES)
        try:
            process = await asyncio.create_subprocess_exec(
                *program, str(theirs.fileno()), pass_fds=(theirs.fileno(),)
            )
        except OSError:
            writer.close()
            raise
    return Running(share, process, reader, writer)
