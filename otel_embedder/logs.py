"""Log lines: by structlog where the program has set it up, else by `logging`.

The command line sets structlog up. In somebody else's program that may not have
happened, and structlog would then print on stdout, which may hold their data;
`logging` keeps to itself, but for warnings, which go to stderr.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

import structlog
from structlog.stdlib import BoundLogger, filter_by_level

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


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
