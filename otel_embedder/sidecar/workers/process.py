"""A worker's process: how it is started, what becomes of what it writes, how it is ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.sidecar.workers.channel import MAX_REPORT_BYTES, Share, send_share
from otel_embedder.telemetry.lines import MAX_WAITING_BYTES
from otel_embedder.telemetry.logs import get_logger, pass_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WORKER_KILLED = "worker.killed"

# Without the directory that it is started in: a file there may be called as a module is.
PROGRAM = (sys.executable, "-P", "-m", "otel_embedder", "worker")

# What is left to do for who has closed its channel: to write its last lines.
EXIT_SECONDS = 5.0
# As a pipe has them at once.
READ_BYTES = 64 * 1024

log = get_logger()


class Running(NamedTuple):
    """A worker that runs.

    Attributes:
        share: what it does.
        process: its process.
        reader: what it tells.
        writer: what it is told.
        passing_on: passes on what it writes to stderr, until it ends.

    """

    share: Share
    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    passing_on: asyncio.Task[None]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def kill(self, reason: str) -> None:
        """End it at once, and tell why. Whoever sent to it sends again."""
        log.error(WORKER_KILLED, worker=self.share.number, pid=self.process.pid, reason=reason)
        self.signal(signal.SIGKILL)


async def start(share: Share, program: Sequence[str]) -> Running:
    """Start a worker.

    Raises:
        OSError: no process can be had.

    """
    ours, theirs = socket.socketpair()
    with theirs:
        send_share(ours, share)
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_REPORT_BYTES)
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        said, stderr = os.pipe()
        passing_on = asyncio.create_task(_pass_on(said))
        try:
            process = await asyncio.create_subprocess_exec(
                *program,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                # A terminal takes each line whole, and shows colours.
                stderr=None if is_terminal else stderr,
            )
        except OSError:
            writer.close()
            raise
        finally:
            os.close(stderr)
    return Running(share, process, reader, writer, passing_on)


async def exited(worker: Running, seconds: float) -> int:
    """Give the exit code of a worker that has nothing left to tell; it has so many seconds."""
    try:
        await asyncio.wait_for(worker.process.wait(), seconds)
    except TimeoutError:
        worker.kill("it does not exit")
    exit_code = await worker.process.wait()
    # What else may hold its stderr is none of our business.
    await asyncio.wait([worker.passing_on], timeout=seconds)
    worker.passing_on.cancel()
    return exit_code


async def _pass_on(descriptor: int) -> None:
    """Pass on the lines that come from a pipe, each whole: others write there, too."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb")
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        rest = b""
        while piece := await reader.read(READ_BYTES):
            whole, end, rest = (rest + piece).rpartition(b"\n")
            if not end and len(rest) > MAX_WAITING_BYTES:
                whole, end, rest = rest, b"\n", b""
            if end:
                pass_on(whole + end)
        if rest:
            pass_on(rest + b"\n")
    finally:
        transport.close()


class Endings:
    """Bounds how often workers are ended that say nothing: what holds them up may be the machine.

    To load a model anew would not help it.
    """

    def __init__(
        self, most: int, *, within: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Allow so many within so many seconds."""
        self._within = within
        self._clock = clock
        self._times: deque[float] = deque(maxlen=most)

    def allow(self) -> bool:
        """Tell whether one more may be ended, and count it."""
        now = self._clock()
        if len(self._times) == self._times.maxlen and now - self._times[0] < self._within:
            return False
        self._times.append(now)
        return True
