"""The way in, and the only place that ends the process."""

import sys

from otel_embedder.cli import run


def main() -> None:
    """Run the command line."""
    sys.exit(run())


if __name__ == "__main__":
    main()
