"""Counts what hot functions cost and says what has moved; `make baseline` writes it down anew."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.guard.baseline import PYTHON, baseline, moved, renew
from tests.guard.counting import Count, count
from tests.guard.hot import hot

WARM_UPS = 2
ADVICE = """
That is more or less work for each span than before, by more than a tenth. If it is meant, count
anew with `make baseline` and commit tests/guard/baseline.json with the change; if not, a loop, a
call or a copy has come in. Times tells `make bench`.
"""


async def counts() -> dict[str, Count]:
    """Count all, by name."""
    counted = {}
    for name, act in hot().items():
        for _ in range(WARM_UPS):
            act()
        counted[name] = count(act)
    return counted


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.guard", description=__doc__)
    parser.add_argument("--renew", action="store_true", help="write down what is counted")
    counted = asyncio.run(counts())
    if parser.parse_args().renew:
        renew(counted)
        return 0
    before = baseline()
    if not before:
        sys.stdout.write(f"nothing to compare with: no baseline for Python {PYTHON}\n")
        return 0
    lines = [*moved(counted, before)]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    if lines:
        sys.stdout.write(ADVICE)
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main())
