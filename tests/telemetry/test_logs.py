from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest
import structlog
from structlog.testing import capture_logs

from otel_embedder.telemetry.logs import (
    LINES_DROPPED,
    configure_logs,
    dropped_lines,
    finish_logs,
    get_logger,
)
from tests.support.processes import own_environment, run_python

if TYPE_CHECKING:
    from otel_embedder.telemetry.settings import LogFormat

WITHOUT_SET_UP = """
from otel_embedder.telemetry.logs import get_logger

log = get_logger()
log.info("model.loaded", seconds=1)
log.warning("model.unavailable", error="no disk")
print("data")
"""


def test_a_program_that_set_nothing_up_sees_warnings_on_stderr() -> None:
    finished = run_python(WITHOUT_SET_UP)

    assert finished.returncode == 0
    assert finished.stdout == "data\n"
    assert finished.stderr == "event='model.unavailable' error='no disk'\n"


def test_logging_gets_the_lines_of_a_program_that_uses_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "otel_embedder"):
        get_logger().info("model.loaded", seconds=1)

    assert [(record.name, record.levelname, record.message) for record in caplog.records] == [
        ("otel_embedder", "INFO", "event='model.loaded' seconds=1")
    ]


def test_structlog_gets_them_once_it_is_set_up(caplog: pytest.LogCaptureFixture) -> None:
    log = get_logger()
    with capture_logs() as logs:
        log.info("model.loaded", seconds=1)

    assert structlog.is_configured()
    assert logs == [{"event": "model.loaded", "seconds": 1, "log_level": "info"}]
    assert caplog.records == []


class Unshowable:
    """What can't be written down, as a library's object may be half made."""

    def __repr__(self) -> str:
        raise RuntimeError("not made yet")


class Raising(logging.Handler):
    """A program's handler that fails."""

    def emit(self, record: logging.LogRecord) -> NoReturn:
        raise OSError(28, f"no space for {record.levelname}")


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_fact_that_cannot_be_shown_costs_only_itself(
    log_format: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(log_format, "info")
    get_logger().warning("model.unavailable", error=Unshowable())
    get_logger().warning("model.loaded")

    first, second = capsys.readouterr().err.splitlines()
    assert "model.unavailable" in first
    assert "RuntimeError" in first
    assert "model.loaded" in second


def test_a_fact_that_cannot_be_shown_is_none_of_the_callers_without_set_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    get_logger().warning("model.unavailable", error=Unshowable())

    assert [record.message for record in caplog.records] == [
        "event='model.unavailable' not_shown='RuntimeError'"
    ]


def test_a_fact_may_have_any_name() -> None:
    with capture_logs() as logs:
        get_logger().warning("calls", say=1, values=2, facts=3)

    assert logs == [{"event": "calls", "say": 1, "values": 2, "facts": 3, "log_level": "warning"}]


def test_a_handler_of_a_program_that_fails_is_none_of_the_callers() -> None:
    raising = Raising()
    logger = logging.getLogger("otel_embedder")
    logger.addHandler(raising)
    try:
        get_logger().warning("model.unavailable")
    finally:
        logger.removeHandler(raising)


def test_what_libraries_log_goes_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "info")
    library = logging.getLogger("grpc._cython.cygrpc")
    try:
        int("hunter2")
    except ValueError:
        library.exception("Unexpected [%s] raised by servicer method", "ValueError")
    library.info("nothing that matters")

    [line] = map(json.loads, capsys.readouterr().err.splitlines())
    assert line["event"] == "Unexpected [ValueError] raised by servicer method"
    assert (line["level"], line["logger"]) == ("error", "grpc._cython.cygrpc")
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert "hunter2" not in json.dumps(line)


UNSHOWABLE_RECORDS = """
import logging
from otel_embedder.telemetry.logs import configure_logs, finish_logs, get_logger

configure_logs("console", "info")
logging.getLogger("grpc").error("%s and %s", "too few")
logging.getLogger("grpc").error("told")
finish_logs()
"""


def test_what_libraries_log_and_cannot_be_shown_is_dropped() -> None:
    finished = run_python(UNSHOWABLE_RECORDS)

    [line] = finished.stderr.splitlines()
    assert finished.returncode == 0
    assert "told" in line


def test_what_a_log_is_set_up_with_is_in_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "info", worker=3)

    get_logger().info("ours")
    logging.getLogger("a.library").warning("theirs")
    finish_logs()

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["worker"]) for line in lines] == [("ours", 3), ("theirs", 3)]


def test_a_log_that_is_set_up_twice_says_each_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("console", "info")
    configure_logs("json", "info")
    get_logger().warning("model.unavailable")
    logging.getLogger("asyncio").warning("something is slow")

    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["model.unavailable", "something is slow"]


def test_lines_for_a_stderr_that_is_not_there_are_counted_and_not_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    configure_logs("console", "info")
    get_logger().warning("model.unavailable")

    assert dropped_lines() == 1
    assert capsys.readouterr() == ("", "")


def test_nothing_is_dropped_where_nothing_is_set_up() -> None:
    finish_logs()

    assert dropped_lines() == 0


TELL_AND_LEAVE = """
import sys, threading
from otel_embedder.__main__ import leave
from otel_embedder.telemetry.logs import configure_logs, get_logger

configure_logs("json", "info")
if sys.argv[1] == "daemon":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
for number in range(2_000):
    get_logger().info("line", number=number)
leave(3)
"""

MAIN = """
import sys
from otel_embedder import __main__
from otel_embedder.telemetry.logs import configure_logs, get_logger

def run():
    configure_logs("json", "info")
    get_logger().info("line", number=0)
    if sys.argv[1] == "error":
        raise ZeroDivisionError
    return 3

__main__.run = run
__main__.main()
"""


@pytest.mark.parametrize("way", ["usual", "daemon"])
def test_when_the_process_ends_all_lines_are_written_first(way: str) -> None:
    finished = run_python(TELL_AND_LEAVE, way)

    numbers = [json.loads(line)["number"] for line in finished.stderr.splitlines()]
    assert finished.returncode == 3
    assert numbers == [*range(2_000)]


@pytest.mark.parametrize(("way", "code"), [("usual", 3), ("error", 1)])
def test_also_where_an_error_ends_it(way: str, code: int) -> None:
    finished = run_python(MAIN, way)

    assert finished.returncode == code
    assert '"number": 0' in finished.stderr


CLOSED = """
import os, socket
from otel_embedder.__main__ import occupy_standard_descriptors
from otel_embedder.telemetry.logs import configure_logs, dropped_lines, get_logger

occupy_standard_descriptors()
connection = socket.socket()
configure_logs("console", "info")
get_logger().info("line")
print(connection.fileno() > 2, os.fstat(2).st_rdev == os.stat(os.devnull).st_rdev, dropped_lines())
"""


def test_where_stderr_was_closed_nothing_else_gets_its_number_or_its_lines() -> None:
    finished = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, CLOSED],
        env=own_environment({}),
        stdout=subprocess.PIPE,
        check=False,
        encoding="utf-8",
    )

    assert finished.stdout == "True True 1\n"


def test_the_notice_is_a_line_like_any_other() -> None:
    finished = run_python(NOTICE)

    assert finished.returncode == 0, finished.stderr
    first, second = map(json.loads, finished.stdout.splitlines())
    assert (first["event"], second["event"], second["lines"]) == ("later", LINES_DROPPED, 2)


NOTICE = """
import os, sys, tempfile
from otel_embedder.telemetry.logs import configure_logs, finish_logs, get_logger

with tempfile.TemporaryDirectory() as directory:
    fifo = os.path.join(directory, "log")
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.dup2(os.open(fifo, os.O_WRONLY), 2)
    os.close(reader)
    configure_logs("json", "error")
    for event in ("lost", "too"):
        get_logger().error(event)
    finish_logs()
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    get_logger().error("later")
    finish_logs()
    sys.stdout.write(os.read(reader, 10_000).decode())
"""
