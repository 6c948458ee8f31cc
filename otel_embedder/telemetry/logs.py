"""Log lines: by structlog where the program has set it up, else by `logging`.

The command line sets structlog up. In somebody else's program that may not have
happened, and structlog would then print on stdout, which may hold their data;
`logging` keeps to itself, but for warnings, which go to stderr.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO, cast

import structlog
from structlog.processors import ExceptionRenderer
from structlog.stdlib import BoundLogger, filter_by_level
from structlog.tracebacks import ExceptionDictTransformer, extract

if TYPE_CHECKING:
    from structlog.typing import ExcInfo, FilteringBoundLogger, Processor

    from otel_embedder.telemetry.settings import LogFormat, LogLevel


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

    def __getattr__(self, name: str) -> object:
        return getattr(self._structured if structlog.is_configured() else self._plain, name)


def configure_logs(log_format: LogFormat, level: LogLevel) -> None:
    """Send log lines to stderr: readable ones, or a JSON object each.

    Tracebacks come without messages and local variables, for these may hold what a span holds.
    """
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        processors += (ExceptionRenderer(_stacks), structlog.processors.JSONRenderer())
    else:
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=_write_stacks
            )
        )
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


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
