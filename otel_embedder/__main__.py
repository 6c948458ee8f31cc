"""The way in, and the only place that ends the process."""

import atexit
import os
import sys
import threading
from typing import NoReturn

from otel_embedder.cli import run
from otel_embedder.telemetry.logs import finish_logs

STANDARD_DESCRIPTORS = (0, 1, 2)


def main() -> NoReturn:
    """Run the command line."""
    occupy_standard_descriptors()
    atexit.register(finish_logs)  # also where an error that nobody expected ends it
    leave(run())


def occupy_standard_descriptors() -> None:
    """Open what was closed when we began: else a socket gets its number, and what C prints."""
    for descriptor in STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def leave(code: int) -> NoReturn:
    """End the process with an exit code; at once, where a model that hangs was left behind.

    Python would take itself down around its thread, which aborts the process (with SIGABRT) when it
    comes back from native code just then. So does the log's thread where nobody reads stderr any
    more, for which reason stderr is not flushed either: it holds no more than a part of a line.
    """
    finish_logs()
    if any(thread.daemon for thread in threading.enumerate()):
        if sys.stdout is not None:
            sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
