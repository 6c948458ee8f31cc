"""The supervisor with made-up workers, which do what no real one does on demand."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from otel_embedder.errors import ListenError, SettingsError, WorkerError
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.workers.channel import Share
from otel_embedder.sidecar.workers.process import WORKER_KILLED, Endings
from otel_embedder.sidecar.workers.supervisor import (
    MAX_ENDINGS,
    SUPERVISOR_FAULT,
    WORKER_ENDED,
    WORKER_HUNG,
    WORKER_LATE,
    WORKER_REFUSED,
    WORKER_SILENT,
    WORKER_STARTED,
    Crew,
    Patience,
)
from otel_embedder.telemetry.metrics import Metrics
from tests.support.fakes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from structlog.typing import EventDict

# So whoever is to end has no time of its own.
FLAGS = {"shutdown_timeout": 0.01}
# Has its share, and can tell and be told things.
BEGINNING = """
import os, socket, sys
from otel_embedder.sidecar.workers.channel import receive_share, report
channel = socket.socket(fileno=int(sys.argv[1]))
number = receive_share(channel).number
orders = channel.makefile("rb")
def tell(**facts): channel.sendall(report(**facts))
"""
OBEYING = """
for order in orders:
    if order == b"stop\\n": sys.exit()
"""
# Nobody loses it in a test that is not about it.
LONG = Patience(*[6 * PATIENCE] * len(Patience._fields))
SOON = LONG._replace(closing=0.1)


@asynccontextmanager
async def crew(
    code: str, *, workers: int = 1, patience: Patience = LONG
) -> AsyncIterator[tuple[asyncio.Task[None], Metrics]]:
    """Run workers of this code; give what ends with them, and their metrics."""
    settings, stop, metrics = (
        load_settings(FLAGS | {"workers": workers}),
        asyncio.Event(),
        Metrics(),
    )
    crew = Crew(
        [Share(number, settings) for number in range(workers)],
        stop,
        metrics,
        program=(sys.executable, "-c", BEGINNING + code),
        patience=patience,
    )
    running = asyncio.create_task(crew.run())
    yield running, metrics
    stop.set()
    await asyncio.wait([running], timeout=PATIENCE)
    assert running.done()


async def until(is_met: Callable[[], object]) -> None:
    async with asyncio.timeout(6 * PATIENCE):
        while not is_met():  # noqa: ASYNC110 - what has changed tells nobody
            await asyncio.sleep(0.01)


def of(event: str, logs: list[EventDict]) -> list[EventDict]:
    return [line for line in logs if line["event"] == event]


async def test_a_worker_that_ends_is_started_again_and_the_log_tells_how_it_ended() -> None:
    with capture_logs() as logs:
        async with crew("tell(listening=True); os._exit(3)") as (_, metrics):
            await until(lambda: metrics.value("worker_restarts_total") == 2)

    first, second = of(WORKER_ENDED, logs)[:2]
    assert (first["worker"], first["end"]) == (0, "exit code 3")
    assert second["again_in"] == 2 * first["again_in"]


async def test_the_first_worker_goes_ahead() -> None:
    with capture_logs() as logs:
        async with crew("tell(listening=True)" + OBEYING, workers=3) as (_, metrics):
            await until(lambda: metrics.value("workers") == 3)

    assert of(WORKER_STARTED, logs)[0]["worker"] == 0
    assert not of(WORKER_ENDED, logs)


@pytest.mark.parametrize(("kind", "error"), [("settings", SettingsError), ("listen", ListenError)])
async def test_what_the_first_refuses_ends_all_at_once(kind: str, error: type[Exception]) -> None:
    with capture_logs() as logs:
        async with crew(f"tell(refused=['it is wrong'], of='{kind}')", workers=2) as (running, _):
            with pytest.raises(error, match="it is wrong"):
                await running

    assert logs == []


async def test_what_another_one_refuses_ends_all_too() -> None:
    code = "tell(**(dict(refused=['no'], of='listen') if number else dict(listening=True)))"

    async with crew(code + OBEYING, workers=2) as (running, _):
        with pytest.raises(ListenError, match="no"):
            await running


async def test_what_the_first_fails_with_ends_all_at_once() -> None:
    async with crew("raise SystemExit(3)", workers=2) as (running, _):
        with pytest.raises(WorkerError, match="worker 0 ended with exit code 3"):
            await running


async def test_who_fails_when_it_is_to_stop_before_all_have_started_is_no_fault(
    tmp_path: Path,
) -> None:
    # As what SIGINT interrupts, which a terminal sends to workers as well.
    started = tmp_path / "started"
    code = f"open({str(started)!r}, 'w').close(); orders.readline(); os._exit(1)"

    async with crew(code) as (running, _):
        await until(started.exists)

    assert running.exception() is None


async def test_who_is_to_stop_starts_no_worker_again() -> None:
    with capture_logs() as logs:
        async with crew("os.kill(os.getpid(), 9)") as (_, metrics):
            await until(lambda: of(WORKER_ENDED, logs))
            before = metrics.value("worker_restarts_total")

    assert metrics.value("worker_restarts_total") == before


async def test_a_first_worker_that_is_killed_is_started_again() -> None:
    with capture_logs() as logs:
        async with crew("os.kill(os.getpid(), 9)") as (_, metrics):
            await until(lambda: metrics.value("worker_restarts_total"))

    assert of(WORKER_ENDED, logs)[0]["end"] == "SIGKILL"


async def test_what_is_refused_later_is_told_and_tried_again() -> None:
    code = "tell(listening=True); tell(refused=['the file is gone'], of='settings')"

    with capture_logs() as logs:
        async with crew(code) as (_, metrics):
            await until(lambda: metrics.value("worker_restarts_total"))

    assert of(WORKER_REFUSED, logs)[0]["problems"] == ["the file is gone"]
    assert of(WORKER_ENDED, logs)


async def test_of_a_worker_that_is_silent_nobody_says_that_it_serves() -> None:
    code = """
tell(listening=True)
for order in orders:
    if order == b"short\\n": tell(metrics="", is_serving=True)
    if order == b"stop\\n": sys.exit()
"""
    with capture_logs() as logs:
        async with crew(code, patience=LONG._replace(silent=0.1)) as (_, metrics):
            await until(lambda: of(WORKER_SILENT, logs))
            # Told that not all serve, it speaks again.
            await until(lambda: metrics.value("workers") == 1)


async def test_who_is_about_to_end_does_not_serve_and_is_not_missed() -> None:
    code = 'tell(listening=True); tell(metrics="", is_serving=False)'
    with capture_logs() as logs:
        async with crew(code + OBEYING, patience=LONG._replace(silent=0.01)) as (_, metrics):
            await until(lambda: of(WORKER_STARTED, logs) and metrics.value("workers") == 0)

    assert not of(WORKER_SILENT, logs)


async def test_what_a_worker_did_not_say_to_its_end_is_not_heard() -> None:
    code = """
tell(listening=True)
channel.sendall(b'{"metrics": "otel')
os._exit(0)
"""
    with capture_logs() as logs:
        async with crew(code):
            await until(lambda: of(WORKER_ENDED, logs))

    assert of(WORKER_ENDED, logs)[0]["end"] == "exit code 0"


async def test_who_was_told_something_and_ended_before_it_heard_it_has_ended() -> None:
    # Bytes that nobody read make an error of the end.
    code = """
tell(listening=True)
if number: os._exit(0)
import time
while b"short" not in channel.recv(4096, socket.MSG_PEEK): time.sleep(.01)
os._exit(0)
"""
    with capture_logs() as logs:
        async with crew(code, workers=2):
            await until(lambda: {line["worker"] for line in of(WORKER_ENDED, logs)} == {0, 1})


async def test_a_program_that_can_not_be_started_is_tried_again() -> None:
    stop, metrics = asyncio.Event(), Metrics()
    crew = Crew([Share(0, load_settings({}))], stop, metrics, program=("/there/is/none",))

    with capture_logs() as logs:
        running = asyncio.create_task(crew.run())
        await until(lambda: metrics.value("worker_restarts_total"))
        stop.set()
        await running

    assert of(WORKER_ENDED, logs)[0]["end"] == "can't be started: No such file or directory"


async def test_who_is_to_stop_before_it_has_started_stops() -> None:
    stop = asyncio.Event()
    stop.set()
    crew = Crew([Share(0, load_settings({}))], stop, Metrics())

    await asyncio.wait_for(crew.run(), PATIENCE)


HANGING = "tell(listening=True); import signal; signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
SHORT = LONG._replace(silent=0.1, hanging=0.1)
NEVER_LISTENING = "import signal; signal.pause()"
LATE = LONG._replace(starting=0.05, late=0.05, silent=0.1, closing=0.1)


async def test_a_worker_that_hangs_is_asked_to_end_and_another_one_started() -> None:
    with capture_logs() as logs:
        async with crew(HANGING, patience=SHORT._replace(closing=0.1)) as (_, metrics):
            await until(lambda: metrics.value("worker_restarts_total"))

    [first, *_] = of(WORKER_HUNG, logs)
    assert of(WORKER_SILENT, logs)[0]["pid"] == first["pid"]
    assert of(WORKER_ENDED, logs)[0]["end"] == "SIGTERM"


async def test_a_worker_that_hangs_and_does_not_hear_is_killed() -> None:
    patience = SHORT._replace(ending=0.1, closing=0.1)
    with capture_logs() as logs:
        async with crew(DEAF + HANGING, patience=patience) as (_, metrics):
            await until(lambda: metrics.value("worker_restarts_total"))

    assert of(WORKER_KILLED, logs)[0]["reason"] == "it does not end"
    assert of(WORKER_ENDED, logs)[0]["end"] == "SIGKILL"


@pytest.mark.parametrize(
    ("code", "patience", "told"),
    [
        (HANGING, SHORT._replace(closing=0.1), WORKER_SILENT),
        (NEVER_LISTENING, LATE, WORKER_LATE),
    ],
    ids=["silent", "late"],
)
async def test_where_workers_hang_again_and_again_it_is_only_told(
    code: str, patience: Patience, told: str
) -> None:
    with capture_logs() as logs:
        async with crew(code, patience=patience) as (_, metrics):
            await until(lambda: len(of(told, logs)) > MAX_ENDINGS)
            restarts = metrics.value("worker_restarts_total")

    assert restarts == MAX_ENDINGS
    assert len(of(WORKER_HUNG, logs)) == MAX_ENDINGS


def test_after_some_time_one_that_hangs_may_be_ended_again() -> None:
    now = 0.0
    endings = Endings(2, within=10, clock=lambda: now)

    assert [endings.allow(), endings.allow(), endings.allow()] == [True, True, False]
    now = 10.0
    assert [endings.allow(), endings.allow(), endings.allow()] == [True, True, False]


async def test_a_worker_that_tells_its_end_and_does_not_exit_is_killed() -> None:
    code = "tell(listening=True); import signal; orders.close(); channel.close(); signal.pause()"
    with capture_logs() as logs:
        async with crew(code, patience=LONG._replace(exiting=0.1)) as (_, metrics):
            await until(lambda: metrics.value("worker_restarts_total"))

    assert of(WORKER_KILLED, logs)[0]["reason"] == "it does not exit"
    assert of(WORKER_ENDED, logs)[0]["end"] == "SIGKILL"


async def test_a_worker_that_is_about_to_end_and_never_does_is_killed() -> None:
    code = 'tell(metrics="", is_serving=False)\n'
    with capture_logs() as logs:
        async with crew(code + "import signal; signal.pause()", patience=SOON) as (_, metrics):
            await until(lambda: metrics.value("worker_restarts_total"))

    assert of(WORKER_KILLED, logs)[0]["reason"] == "it does not end"


async def test_who_is_to_stop_does_not_wait_for_a_worker_that_hangs() -> None:
    with capture_logs() as logs:
        async with crew(DEAF + HANGING, patience=SOON) as (_, metrics):
            await until(lambda: metrics.value("workers") == 1)

    assert of(WORKER_KILLED, logs)[0]["reason"] == "it does not end"


async def test_a_worker_that_does_not_get_to_listen_is_told_of_and_waited_for() -> None:
    with capture_logs() as logs:
        async with crew(OBEYING, workers=2, patience=LONG._replace(starting=0.05)) as (running, _):
            await until(lambda: of(WORKER_LATE, logs))
            assert not running.done()

    [late] = of(WORKER_LATE, logs)
    assert (late["worker"], late["seconds"]) == (0, 0.05)
    assert not of(WORKER_HUNG, logs)


async def test_a_worker_that_never_gets_to_listen_is_asked_to_end_and_another_one_started(
    tmp_path: Path,
) -> None:
    # Only the first hangs.
    been_here = tmp_path / "been here"
    code = f"""
if os.path.exists({str(been_here)!r}): tell(listening=True)
else: open({str(been_here)!r}, "w").close(); {NEVER_LISTENING}
"""
    # One that a busy machine starts slowly may be ended, too.
    patience = LATE._replace(starting=PATIENCE / 10, silent=PATIENCE)
    with capture_logs() as logs:
        async with crew(code + OBEYING, patience=patience) as (_, metrics):
            await until(lambda: metrics.value("workers") == 1)

    assert of(WORKER_LATE, logs)[0]["pid"] == of(WORKER_HUNG, logs)[0]["pid"]
    assert of(WORKER_ENDED, logs)[0]["end"] == "SIGTERM"


async def test_what_nobody_foresaw_is_told_and_ends_all() -> None:
    code = 'tell(listening=True)\nif number: channel.sendall(b"no report\\n")\n'
    with capture_logs() as logs:
        async with crew(code + OBEYING, workers=2) as (running, _):
            with pytest.raises(WorkerError, match="JSONDecodeError"):
                await running

    [fault] = of(SUPERVISOR_FAULT, logs)
    assert fault["exc_info"].doc == "no report\n"


async def test_lines_that_several_workers_write_at_once_stay_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = """
import json, time
line = json.dumps({"worker": number, "said": "x" * 20_000}).encode() + b"\\n"
tell(listening=True)
for _ in range(20):
    for begin in range(0, len(line), 4096):
        os.write(2, line[begin:][:4096])
        time.sleep(0)
os.write(2, b'{"worker": "without an end"}')
"""
    whole: list[str] = []

    def are_all_read() -> bool:
        whole.extend(capsys.readouterr().err.splitlines())
        return len(whole) == 40

    with capture_logs():
        async with crew(code + OBEYING, workers=2):
            await until(are_all_read)
    whole += capsys.readouterr().err.splitlines()

    said = [json.loads(line)["worker"] for line in whole]
    assert sorted(said[:40]) == [0] * 20 + [1] * 20
    assert said[40:] == ["without an end"] * 2
