"""Starts workers, ends those that hang, starts those again that end, and tells of all as of one.

It takes no spans itself: the workers listen at the same ports, and the kernel deals the connections
out. So nothing that a span needs waits for it. A worker that dies takes with it what was in flight
there, whose senders see UNAVAILABLE and send again; the others go on.
"""

from __future__ import annotations

import asyncio
import json
import signal
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
    SHORT,
    STOP,
    Share,
)
from otel_embedder.sidecar.workers.process import (
    EXIT_SECONDS,
    PROGRAM,
    Endings,
    Running,
    exited,
    start,
)
from otel_embedder.sidecar.workers.reserving import reserved
from otel_embedder.telemetry.logs import dropped_lines, get_logger
from otel_embedder.telemetry.metrics import Metrics, serving_metrics
from otel_embedder.telemetry.summed import SummedMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_embedder.settings import Settings

WORKER_STARTED = "worker.started"
WORKER_ENDED = "worker.ended"
WORKER_REFUSED = "worker.refused"
WORKER_LATE = "worker.late"
WORKER_SILENT = "worker.silent"
WORKER_HUNG = "worker.hung"
SUPERVISOR_FAULT = "supervisor.fault"

# From the end of a worker to its next start; twice as long each time, if it did not last.
AGAIN_SECONDS, MAX_AGAIN_SECONDS = 0.5, 30.0
LASTING_SECONDS = 60.0
# So many that hang are ended within so many seconds; of more it is only told.
MAX_ENDINGS, ENDINGS_SECONDS = 3, 600.0

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
                pushed_metrics(settings, crew.summed.registry, metrics),
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


class Step(NamedTuple):
    """What comes next, if a worker says nothing.

    Attributes:
        seconds: until then; None is never.
        act: does it, and gives what comes after it.

    """

    seconds: float | None
    act: Callable[[Running], Step]


class Patience(NamedTuple):
    """For how long a worker may say nothing, in seconds.

    Attributes:
        starting: at its start, until that is told.
        late: then, until it is asked to end.
        silent: while it serves, until nobody says any more that it does.
        hanging: then, until it is asked to end.
        ending: then, until it is killed.
        closing: beyond what its requests have, when it is to end, until it is killed.
        exiting: when it has told its last, until it is killed.

    """

    starting: float = 10.0
    late: float = 50.0
    silent: float = 30.0
    hanging: float = 10.0
    ending: float = 10.0
    closing: float = 6.5
    exiting: float = EXIT_SECONDS


PATIENCE = Patience()


class Crew:
    """The workers."""

    def __init__(
        self,
        shares: Sequence[Share],
        stop: asyncio.Event,
        metrics: Metrics,
        *,
        program: Sequence[str] = PROGRAM,
        patience: Patience = PATIENCE,
    ) -> None:
        """Prepare to run.

        Args:
            shares: what each is to do.
            stop: is set when all are to end.
            metrics: get told of workers.
            program: starts a worker, with the number of its descriptor behind.
            patience: with those that say nothing.

        """
        self.summed = SummedMetrics(metrics)
        self.all_listen = asyncio.Event()
        self._shares = shares
        self._stop = stop
        self._metrics = metrics
        self._program = program
        self._patience = patience
        self._endings = Endings(MAX_ENDINGS, within=ENDINGS_SECONDS)
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
            WorkerError: nor for something else; or there is a fault of ours, and all have ended.

        """
        async with beside(self._pass_stop_on()):
            kept = {asyncio.create_task(self._keep(share)) for share in self._shares}
            while kept:
                done, kept = await asyncio.wait(kept, return_when=asyncio.FIRST_EXCEPTION)
                for each in done:
                    self._take_fault(each.exception())
        if self._refusal is not None:
            raise self._refusal

    def _take_fault(self, error: BaseException | None) -> None:
        """End all for what nobody foresaw: one worker less would be missed by nobody."""
        if error is not None:
            log.error(SUPERVISOR_FAULT, exc_info=error)
            self._refusal = WorkerError(
                f"what keeps the workers failed ({type(error).__name__}), and all have ended"
            )
            self._stop.set()

    async def _pass_stop_on(self) -> None:
        await self._stop.wait()
        self._first_listens.set()
        self._order(STOP)
        await asyncio.sleep(self._closing_seconds())
        for worker in self._running.values():
            worker.kill("it does not end")

    def _closing_seconds(self) -> float:
        return self._shares[0].settings.shutdown_timeout + self._patience.closing

    def _order(self, order: bytes) -> None:
        for worker in self._running.values():
            if not worker.writer.is_closing():
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
            worker = await start(share, self._program)
        except OSError as error:  # there may be no memory for one more process
            return f"can't be started: {error.strerror}"
        self._running[share.number] = worker
        if self._stop.is_set():
            worker.writer.write(STOP)
        try:
            await self._listen_to(worker)
        finally:
            worker.writer.close()
            self._note(share.number, is_serving=False)
            self.summed.leave(share.number)
            exit_code = await exited(worker, self._patience.exiting)
            del self._running[share.number]
        if exit_code > 0:
            self._take_failure(share.number, exit_code)
        return signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"

    async def _listen_to(self, worker: Running) -> None:
        """Hear what a worker tells, until it ends."""
        step = Step(self._patience.starting, self._miss_start)
        while True:
            try:
                line = await asyncio.wait_for(worker.reader.readline(), step.seconds)
            except TimeoutError:
                step = step.act(worker)
                continue
            except ConnectionError:
                return
            # At its end there is nothing, or what it had said when it was killed.
            if not line.endswith(b"\n"):
                return
            step = self._hear(worker, json.loads(line))

    def _miss_start(self, worker: Running) -> Step:
        """Tell of a worker that does not get to listen: what it does may take long."""
        seconds = self._patience.starting
        log.warning(
            WORKER_LATE, worker=worker.share.number, pid=worker.process.pid, seconds=seconds
        )
        return Step(self._patience.late, self._end)

    def _miss(self, worker: Running) -> Step:
        log.error(WORKER_SILENT, worker=worker.share.number, pid=worker.process.pid)
        self._note(worker.share.number, is_serving=False)
        return Step(self._patience.hanging, self._end)

    def _end(self, worker: Running) -> Step:
        """Ask a worker that hangs to end, unless that was done often of late."""
        if not self._endings.allow():
            return Step(self._patience.silent, self._end)
        log.error(WORKER_HUNG, worker=worker.share.number, pid=worker.process.pid)
        worker.signal(signal.SIGTERM)
        return Step(self._patience.ending, self._kill)

    def _kill(self, worker: Running) -> Step:
        worker.kill("it does not end")
        return Step(None, self._kill)

    def _hear(self, worker: Running, report: dict[str, Any]) -> Step:
        """Take what a worker tells; give what comes next if that was its last word."""
        number = worker.share.number
        match report:
            case {"metrics": text, "is_serving": is_serving}:
                self.summed.hear(number, text)
                self._note(number, is_serving=is_serving and not self._stop.is_set())
                if not is_serving:
                    return Step(self._closing_seconds(), self._kill)
            case {"listening": _}:
                log.info(WORKER_STARTED, worker=number, pid=worker.process.pid)
                self._note(number, is_serving=True)
            case {"refused": problems, "of": kind}:
                self._take_refusal(number, problems, kind)
        return Step(self._patience.silent, self._miss)

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
