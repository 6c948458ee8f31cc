"""The way in, and the only place that ends the process."""

import os
import sys
import threading
from typing import NoReturn

from otel_embedder.cli import run


def main() -> NoReturn:
    """Run the command line."""
    leave(run())


def leave(code: int) -> NoReturn:
    """End the process with an exit code; at once, where a model that hangs was left behind.

    Python would take itself down around its thread, which aborts the process (with SIGABRT) when it
    comes back from native code just then.
    """
    if any(thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
