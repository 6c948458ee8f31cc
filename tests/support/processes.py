"""Real processes for tests: a sidecar, a Collector, and a sink in the test's own process.

Each is a context manager that ends what it started, by its process id, whatever happens. To wait
is to wait for a line of a log or for spans to arrive, never for time to pass.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from inspect import isgeneratorfunction
from itertools import count
from pathlib import Path
from threading import Condition, Thread
from typing import IO, TYPE_CHECKING, Any, Self

import grpc

from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    Context = grpc.ServicerContext
    Handler = grpc.RpcMethodHandler[bytes, bytes]

REPOSITORY = Path(__file__).parents[2]
COLLECTOR = REPOSITORY / "build" / "otelcol"
CONFIGURATIONS = REPOSITORY / "collector-config"
OTEL_EMBEDDER = (sys.executable, "-m", "otel_embedder")

TRACE_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
EXPORT_METHOD = f"/{TRACE_SERVICE}/Export"

START_SECONDS = 90.0
# More than requests in flight, a catalogue and what is told in the end have together.
STOP_SECONDS = 40.0
ARRIVAL_SECONDS = 90.0
LINES_TO_SHOW = 40

BYTES_A_KIBIBYTE = 1024

# Below the ports that systems give to whoever asks for any: nobody else gets one of these before
# it is listened on. Each process that runs tests begins elsewhere.
FIRST_PORT, PORTS = 20_000, 12_000
PORTS_A_PROCESS = 1_009
_numbers = count(os.getpid() * PORTS_A_PROCESS)


def every_line(stream: IO[str]) -> Iterator[str]:
    """Hear all that a process tells."""
    yield from stream


class ProcessError(Exception):
    """Raised when a process did not do what it was waited for; shows its last words."""


class Process:
    """A process that tells on stderr, line by line, how it is doing."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        heard: Callable[[IO[str]], Iterator[str]] = every_line,
    ) -> None:
        """Prepare to run a command; `heard` gives the lines that are read, then hangs up."""
        self._command = command
        self._environment = environment
        self._heard = heard
        self._lines: list[str] = []
        self._is_over = False
        self._changed = Condition()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stderr=subprocess.PIPE, encoding="utf-8"
        )
        assert self._process.stderr is not None
        self._reader = Thread(target=self._read, args=(self._process.stderr,))
        self._reader.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if exc_type is not None:
            sys.stderr.write(self.last_words())

    @property
    def pid(self) -> int:
        return self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> int:
        """Wait until it ends by itself; give its exit code."""
        return self._process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """End it as an operator would; give its exit code."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._reap()

    def kill(self) -> None:
        """End it as a lack of memory would."""
        self._process.kill()
        self._reap()

    def _reap(self) -> int:
        exit_code = self._process.wait()
        self._reader.join()
        return exit_code

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in self._heard(stream):
                self._note(line)
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _note(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()

    def wait_for_line(self, *parts: str, timeout: float = START_SECONDS) -> str:
        """Give the first line that holds all the parts, once it is there."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over or self._find(parts), timeout)
            line = self._find(parts)
        if line is None:
            raise ProcessError(f"no line with {parts} in {timeout} s; {self.last_words()}")
        return line

    def lines_with(self, part: str) -> list[str]:
        """Give the lines so far that hold a part."""
        with self._changed:
            return [line for line in self._lines if part in line]

    def _find(self, parts: Sequence[str]) -> str | None:
        return next((line for line in self._lines if all(part in line for part in parts)), None)

    def last_words(self) -> str:
        lines = "".join(self._lines[-LINES_TO_SHOW:])
        return f"{self._command[0]} (pid {self.pid}) said:\n{lines}"


class Sidecar(Process):
    """`otel-embedder serve`."""

    address = ""

    def wait_for_event(self, event: str, *, timeout: float = START_SECONDS) -> dict[str, Any]:
        """Give the facts of a log line of this name, once it is there."""
        line = self.wait_for_line(f'"event": "{event}"', timeout=timeout)
        facts: dict[str, Any] = json.loads(line)
        return facts

    def events(self, event: str) -> list[dict[str, Any]]:
        """Give the facts of the log lines of this name so far."""
        return [json.loads(line) for line in self.lines_with(f'"event": "{event}"')]

    def wait_for_model(self) -> None:
        self.wait_for_event("model.loaded")


@contextmanager
def running_sidecar(
    next_hop: str,
    *,
    listen: str = "127.0.0.1:0",
    settings: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = OTEL_EMBEDDER,
    heard: Callable[[IO[str]], Iterator[str]] = every_line,
) -> Iterator[Sidecar]:
    """Run a sidecar that listens already; `settings` are more flags."""
    command = [
        *(*program, "serve", "--log-format", "json"),
        *("--listen", listen, "--next-hop", f"http://{next_hop}", "--metrics-listen", ""),
        *settings,
    ]
    with Sidecar(command, own_environment(environment or {}), heard=heard) as sidecar:
        sidecar.address = f"127.0.0.1:{sidecar.wait_for_event('service.started')['port']}"
        yield sidecar


class Collector(Process):
    """The Collector that `make otelcol` builds."""

    address = ""


@contextmanager
def running_collector(
    config: Path,
    environment: Mapping[str, str],
    *,
    more: Sequence[Path] = (),
    overrides: Sequence[str] = (),
    program: Path = COLLECTOR,
    wrapper: Sequence[str] = (),
) -> Iterator[Collector]:
    """Run a Collector that listens already.

    Files of `more` are read behind its own; `overrides` are keys of it, as `yaml:` has them. It is
    the one that `make otelcol` builds, if `program` names no other; `wrapper` is what starts it, if
    it is not started by itself. Where applications send their spans, and what else needs a free
    port, it chooses itself.
    """
    apps = free_address()
    own = {
        "OTELCOL_APPS_ENDPOINT": apps,
        "OTELCOL_HEALTH_ENDPOINT": free_address(),
        "OTELCOL_METRICS_LEVEL": "none",
    }
    command = [*wrapper, str(built(program))]
    for part in (*map(str, (config, *more)), *(f"yaml:{override}" for override in overrides)):
        command += ["--config", part]
    with Collector(command, own_environment(own | dict(environment))) as collector:
        collector.address = apps
        collector.wait_for_line("Everything is ready")
        yield collector


def collector_binary() -> Path:
    return built(COLLECTOR)


def built(program: Path) -> Path:
    """Give a program that make builds."""
    if not program.exists():
        raise ProcessError(f"{program} is missing: run `make {program.relative_to(REPOSITORY)}`")
    return program


def own_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Give this process's environment and `more`; the project's own modules can be imported."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **more}


def uncounted_environment() -> dict[str, str]:
    """Give this process's environment without coverage.

    SIGINT may come where coverage holds its lock, and a process then waits for that for ever.
    """
    environment = own_environment({}).items()
    return {name: value for name, value in environment if not name.startswith("COVERAGE_")}


def python(code: str, *arguments: str, **environment: str) -> str:
    """Run code, which must not fail, in a process of its own; give what it printed."""
    finished = run_python(code, *arguments, **environment)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def run_python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own; give what came of it."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=own_environment(environment),
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=110,
    )


def free_address() -> str:
    """Give an address that nobody listens on, and that no later call gives."""
    while True:
        port = FIRST_PORT + next(_numbers) % PORTS
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return f"127.0.0.1:{port}"


def trace_server(
    export: Callable[[bytes, Context], bytes | Iterator[bytes]],
    *,
    listen: str = "127.0.0.1:0",
    threads: int = 4,
    options: Sequence[tuple[str, int]] = (),
    credentials: grpc.ServerCredentials | None = None,
) -> tuple[grpc.Server, str]:
    """Start a server that answers TraceService/Export with a function; give its address, too.

    One that yields may yield nothing: an answer of a status alone.
    """
    server = grpc.server(ThreadPoolExecutor(threads), options=options)
    handlers = (grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler)
    handler: Handler = handlers[isgeneratorfunction(export)](export)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(TRACE_SERVICE, {"Export": handler}),)
    )
    if credentials:
        port = server.add_secure_port(listen, credentials)
    else:
        port = server.add_insecure_port(listen)
    server.start()
    return server, f"127.0.0.1:{port}"


class Sink:
    """A next hop that keeps the requests it was sent.

    It takes 4 MiB a request, as gRPC does by default, so as backends do. The first calls may be
    answered with refusals; then it takes everything.
    """

    def __init__(
        self, *, listen: str = "127.0.0.1:0", refusals: Sequence[grpc.Status] = ()
    ) -> None:
        self.requests: list[bytes] = []
        self.call_times: list[float] = []
        self._listen = listen
        self._refusals = list(refusals)
        self._spans: Counter[tuple[bytes, bytes]] = Counter()
        self._changed = Condition()

    def __enter__(self) -> Self:
        self._server, self.address = trace_server(self._export, listen=self._listen)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop(grace=None).wait()

    def _export(self, encoded: bytes, context: Context) -> bytes:
        with self._changed:
            self.call_times.append(time.monotonic())
            if self._refusals:
                context.abort_with_status(self._refusals.pop(0))
            self.requests.append(encoded)
            self._spans.update(span_ids([encoded]))
            self._changed.notify_all()
        return b""

    def wait_for_any(self, spans: int = 1) -> None:
        """Wait for so many spans."""
        self._wait(lambda: self._spans.total() >= spans)

    def wait_for_all(self, sent: Iterable[bytes]) -> None:
        """Wait until each span has arrived as often as it was sent, if not more often."""
        wanted = span_ids(sent)
        self._wait(lambda: self._spans >= wanted)

    def _wait(self, is_met: Callable[[], bool]) -> None:
        with self._changed:
            if not self._changed.wait_for(is_met, ARRIVAL_SECONDS):
                raise ProcessError(f"only {self._spans.total()} spans in {ARRIVAL_SECONDS} s")


def span_ids(requests: Iterable[bytes]) -> Counter[tuple[bytes, bytes]]:
    """Give trace and span ids of the spans in encoded requests, and how often each is there."""
    # Of a span, a message with the fields 1 and 2 reads just these two, wherever they stand.
    # To read all of a span takes 45 us, for the vector's sake, and the sink should keep up.
    ids = (
        pb.KeyValue.FromString(span)
        for request in requests
        for resource in pb.TraceRequest.FromString(request).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    )
    return Counter((span.key, span.value) for span in ids)


def send(address: str, requests: Iterable[bytes]) -> None:
    """Send encoded requests as an application's SDK would, one after the other."""
    with grpc.insecure_channel(address, [("grpc.service_config", RETRIES)]) as channel:
        export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        for request in requests:
            export(request, timeout=START_SECONDS, wait_for_ready=True)


# A Collector that is short of memory answers UNAVAILABLE for a while.
RETRIES = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.5s",
                    "maxBackoff": "5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)


def resident_bytes(pid: int) -> int:
    """Give the memory that a process holds now."""
    return _memory(pid, "VmRSS:")


def peak_bytes(pid: int) -> int:
    """Give the most memory that a process has ever held."""
    return _memory(pid, "VmHWM:")


def _memory(pid: int, kind: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith(kind))
    return int(line.split()[1]) * BYTES_A_KIBIBYTE
