"""What every test gets: an event loop that must not block, a clean environment, no skipping.

Fixtures for the real thing: the model, converted once by each process that runs
tests, and a next hop.
"""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING, TypeVar

import grpc.aio
import pytest
import structlog
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.conversion import converted_model
from otel_embedder.embedder.models.ctranslate2 import CTranslate2Model
from otel_embedder.telemetry.logs import finish_logs, forget_foreign_lines
from tests.support.fakes import FakeMetrics
from tests.support.peers import FakeNextHop
from tests.support.tiny_bert import write_tiny_bert

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator
    from pathlib import Path

    from otel_embedder.library.trace import Trace

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# How long an example takes, and how many it takes to draw one, is the machine's and the pattern's
# business, but where a test measures it. What a change did not touch is not to fail it by another
# example: new ones are what `fuzz` looks for, 25,000 with the five tests of test_fuzz.py.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("tests")
settings.register_profile("fuzz", derandomize=False, max_examples=5_000)

FILE_CALLS = (
    *("os.stat", "os.path.abspath"),
    *("io.TextIOWrapper.read", "io.BufferedReader.read"),
)
SOCKET_CALLS = ("os.unlink", "socket.socket.connect")
# Whose frames the event loop may wait in: (call, file, function).
MAY_BLOCK = (
    # Before it listens and after it has stopped nobody waits for it. Requests are tasks of their
    # own, and so not below this frame.
    *((call, "sidecar/sidecar.py", "running") for call in (*FILE_CALLS, "threading.Lock.acquire")),
    *((call, "receiver/server.py", "listening") for call in (*FILE_CALLS, *SOCKET_CALLS)),
    # A library's own loop, on which nobody waits yet.
    *((call, "library/service.py", "_embedder") for call in FILE_CALLS),
    # Whether a model's directory is there, and what a profile says, is said at once.
    *((call, "library/service.py", "__init__") for call in FILE_CALLS),
    # Comes before there is an event loop, but not in tests.
    *((call, "otel_embedder/settings.py", "load_settings") for call in FILE_CALLS),
    # At its start a supervisor looks at what it has to tell; it takes no spans.
    *(
        (call, "telemetry/summed.py", "__init__")
        for call in ("io.BufferedReader.read", "os.listdir")
    ),
    # Only tests and the demo ask for one metric.
    *((call, "telemetry/metrics.py", "value") for call in ("io.BufferedReader.read", "os.listdir")),
    # Which lines run is written down by all threads, one at a time.
    ("threading.Lock.acquire", "coverage/collector.py", "lock_data"),
    # The traceback of an error that nobody expected shows lines of the source.
    *((call, "structlog/_base.py", "_process_event") for call in FILE_CALLS),
)


def pytest_collection_finish() -> None:
    """Let the tests themselves alone when garbage is looked for: they are many, and stay."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Give one worker more than there are cores: now and then each waits for something."""
    return 1 + (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _refusing_to_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _refusing_to_skip((yield))


def _refusing_to_skip(report: Report) -> Report:
    """Turn a skipped test into a failed one: else a part never tried would look well."""
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but every part must be exercised: {report.longreprtext}"
    return report


@pytest.fixture(autouse=True)
def _no_blocking_of_the_event_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("browser"):
        # The loop that runs there is Playwright's, beneath the test itself.
        yield
        return
    with blockbuster_ctx("otel_embedder") as blockbuster:
        for call, file, function in MAY_BLOCK:
            blockbuster.functions[call].can_block_in(file, function)
        yield


@pytest.fixture(scope="session", autouse=True)
def _grpc_stays_up() -> Iterator[None]:
    """Keep gRPC's poller: it is joined when the last server is collected, in whichever test."""
    grpc.aio.init_grpc_aio()
    yield
    grpc.aio.shutdown_grpc_aio()


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Let children be interrupted, where a shell that ran us in the background has ruled it out."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a command line set up: its stderr is gone after its test."""
    yield
    finish_logs()
    forget_foreign_lines()
    structlog.reset_defaults()


@pytest.fixture
def metrics() -> FakeMetrics:
    return FakeMetrics()


@pytest.fixture
async def next_hop() -> AsyncIterator[FakeNextHop]:
    async with FakeNextHop() as server:
        yield server


@pytest.fixture
def tiny_bert(tmp_path: Path) -> Path:
    """The directory of a model of no sense, which no other test uses."""
    return write_tiny_bert(tmp_path / "tiny-bert")


@pytest.fixture
def sample_trace_dict() -> Trace:
    """The span of the specification's example, as a dict."""
    return {
        "trace_id": "5b8efff798038103d269b633813fc60c",
        "span_id": "eee19b7ec3c1b174",
        "name": "process_repository",
        "service": "mahavishnu",
        "operation": "process_repository",
        "status": "ERROR",
        "duration_ms": 2500.0,
        "attributes": {
            "http.status_code": 500,
            "error.message": "connection timeout",
            "repo": "fastblocks",
        },
    }


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of converted models, with the default one in it."""
    cache = tmp_path_factory.mktemp("models")
    converted_model(DEFAULT_MODEL, cache)
    return cache


@pytest.fixture(scope="session")
def real_model(model_cache: Path) -> CTranslate2Model:
    directory = converted_model(DEFAULT_MODEL, model_cache)
    return CTranslate2Model(directory, name=DEFAULT_MODEL, threads=2)
