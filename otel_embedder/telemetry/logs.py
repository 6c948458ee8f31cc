"""Log lines: by structlog where the program has set it up, else by `logging`.

The command line sets structlog up. In somebody else's program that may not have
happened, and structlog would then print on stdout, which may hold their data;
`logging` keeps to itself, but for warnings, which go to stderr.

To tell is never part of what is told of: a line that can't be made or written is dropped, and
counted. Nobody waits for stderr either, for `lines` writes to it.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TextIO, cast

import structlog
from structlog.processors import ExceptionRenderer
from structlog.stdlib import BoundLogger, filter_by_level
from structlog.tracebacks import ExceptionDictTransformer, extract

from otel_embedder.telemetry.lines import LineWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from structlog.typing import EventDict, ExcInfo, FilteringBoundLogger, Processor

    from otel_embedder.telemetry.settings import LogFormat, LogLevel

LINES_DROPPED = "log.lines_dropped"

# So long the end of the process waits for what is still to be written.
FINISHING_SECONDS = 0.5


def get_logger() -> FilteringBoundLogger:
    """Give a logger."""
    return cast("FilteringBoundLogger", _Logger())


class _Logger:
    """Decides with each line: a program may set structlog up after it has imported us."""

    def __init__(self) -> None:
        self._plain: BoundLogger = structlog.wrap_logger(
            logging.getLogger("otel_embedder"),
            processors=[
                filter_by_level,
                structlog.processors.KeyValueRenderer(key_order=["event"]),
            ],
            wrapper_class=BoundLogger,
        )
        self._structured: FilteringBoundLogger = structlog.get_logger()

    def __getattr__(self, name: str) -> Callable[..., None]:
        logger = self._structured if structlog.is_configured() else self._plain
        return partial(_tell, getattr(logger, name))


def _tell(say: Callable[..., object], event: str, /, *values: object, **facts: object) -> None:
    """Log a line, or what can be told of it: a fact may fail to show itself, a handler to write."""
    try:
        say(event, *values, **facts)
    except Exception as error:  # noqa: BLE001 - a stranger's, and no reason to stop what it tells of
        with suppress(Exception):
            say(event, not_shown=type(error).__name__)


class LogLines:
    """What structlog prints with, and `logging` in a process whose log is set up here.

    It is a factory of loggers, as structlog wants one, and each of them.
    """

    def __init__(self, stream: TextIO | None, notice: Callable[[int], str]) -> None:
        """Write to a stream.

        Args:
            stream: where the lines go; None is a stderr that was closed before we began.
            notice: gives the line that tells how many are missing.

        """
        self._stream = stream
        self._lost = 0
        descriptor = _descriptor(stream)
        self._writer = (
            None
            if descriptor is None
            else LineWriter(descriptor, notice=lambda lines: self._encoded(notice(lines)))
        )

    def __call__(self, *_: object) -> LogLines:
        """Give a logger: itself."""
        return self

    def write(self, line: str) -> None:
        """Write a line, or drop it; nobody waits for it."""
        if self._writer is not None:
            self._writer.write(self._encoded(line))
        else:
            self._print(line)

    debug = info = warning = error = critical = write

    def pass_on(self, lines: bytes) -> None:
        """Write whole lines, as another process has made them, or drop them."""
        if self._writer is not None:
            self._writer.write(lines)
        else:
            self._print(lines.decode(errors="backslashreplace").removesuffix("\n"))

    def dropped(self) -> int:
        """How many lines were dropped."""
        return self._lost + (0 if self._writer is None else self._writer.dropped())

    def finish(self, timeout: float) -> None:
        """Wait until all is written, for so many seconds at most."""
        if self._writer is not None:
            self._writer.finish(timeout)

    def _print(self, line: str) -> None:
        """Write to what has no file descriptor: to memory, where nothing is waited for."""
        try:
            if self._stream is not None:
                self._stream.write(line + "\n")
                return
        except (OSError, ValueError):
            pass  # it was closed meanwhile
        self._lost += 1

    def _encoded(self, line: str) -> bytes:
        encoding = (self._stream and self._stream.encoding) or "utf-8"
        return f"{line}\n".encode(encoding, "backslashreplace")


def _descriptor(stream: TextIO | None) -> int | None:
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):
        return None


class ForeignLines(logging.Handler):
    """Lets what libraries tell by `logging` go the way of our own lines."""

    def __init__(self, lines: LogLines, render: Callable[[str, EventDict], str]) -> None:
        super().__init__()
        self._lines = lines
        self._render = render

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; its traceback, too, comes without messages."""
        facts: EventDict = {"event": record.getMessage(), "logger": record.name}
        if record.exc_info:
            facts["exc_info"] = record.exc_info
        self._lines.write(self._render(record.levelname.lower(), facts))

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record, or drop it where it can't be shown."""
        with suppress(Exception):
            return bool(super().handle(record))
        return False


def configure_logs(log_format: LogFormat, level: LogLevel, **facts: object) -> None:
    """Send log lines to stderr: readable ones, or a JSON object each; `facts` are in all of them.

    Tracebacks come without messages and local variables, for these may hold what a span holds.
    """
    finish_logs()
    processors = _processors(log_format, facts)
    render = partial(_rendered, processors)
    lines = LogLines(
        sys.stderr, lambda count: render("warning", {"event": LINES_DROPPED, "lines": count})
    )
    structlog.configure(
        processors=[*processors],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lines,
    )
    forget_foreign_lines()
    logging.getLogger().addHandler(ForeignLines(lines, render))


def forget_foreign_lines() -> None:
    """Leave `logging` to itself again."""
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, ForeignLines)]:
        root.removeHandler(handler)


def pass_on(lines: bytes) -> None:
    """Write whole lines, as another process has made them, between our own."""
    own = _lines()
    if own is not None:
        own.pass_on(lines)
    elif sys.stderr is not None:
        sys.stderr.write(lines.decode(errors="backslashreplace"))


def dropped_lines() -> int:
    """How many lines were dropped since the log was set up."""
    lines = _lines()
    return lines.dropped() if lines else 0


def finish_logs(timeout: float = FINISHING_SECONDS) -> None:
    """Wait until all lines are written, for so many seconds at most."""
    lines = _lines()
    if lines:
        lines.finish(timeout)


def _lines() -> LogLines | None:
    factory = structlog.get_config()["logger_factory"]
    return factory if isinstance(factory, LogLines) else None


def _processors(log_format: LogFormat, facts: Mapping[str, object]) -> list[Processor]:
    processors: list[Processor] = [
        lambda _logger, _level, said: {**said, **facts},
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        return [*processors, ExceptionRenderer(_stacks), structlog.processors.JSONRenderer()]
    colors = sys.stderr is not None and sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_write_stacks)
    return [*processors, renderer]


def _rendered(processors: Sequence[Processor], level: str, facts: EventDict) -> str:
    said: object = facts
    for processor in processors:
        said = processor(None, level, cast("EventDict", said))
    return str(said)


def _stacks(exc_info: ExcInfo) -> list[dict[str, object]]:
    """Give an exception and its causes as their kinds and frames."""
    stacks = ExceptionDictTransformer(show_locals=False)(exc_info)
    return [{part: stack[part] for part in ("exc_type", "frames")} for stack in stacks]


def _write_stacks(file: TextIO, exc_info: ExcInfo) -> None:
    for stack in reversed(extract(*exc_info, show_locals=False).stacks):
        file.write("\nTraceback (most recent call last):\n")
        file.writelines(
            f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n'
            for frame in stack.frames
        )
        file.write(f"{stack.exc_type}\n")
