"""Traces of a shop that fail for five causes, and a table of the causes, for `make eval`."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from tests.support.failing import CAUSES, failing_request

SEED = 11
TRACES = 500


def main(traces: Path, labels: Path) -> None:
    """Write both."""
    random = Random(SEED)
    causes = [random.randrange(len(CAUSES)) for _ in range(TRACES)]
    requests = [
        failing_request(CAUSES[cause], number, at=number).SerializeToString()
        for number, cause in enumerate(causes)
    ]
    traces.write_bytes(b"".join(len(each).to_bytes(4) + each for each in requests))
    rows = (
        f"{(number + 1).to_bytes(16).hex()}\tcause {cause}" for number, cause in enumerate(causes)
    )
    labels.write_text("\n".join(["trace_id\tcause", *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
