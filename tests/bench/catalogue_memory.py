"""How much memory a sidecar holds that fills a catalogue of many texts, and shows it.

    python -m tests.bench.catalogue_memory --texts 1000 100000 200000

The catalogue is full, so that what comes has others leave it, and all is read again. Its texts are
made up; those that come are embedded. What is asked is all that can be, by several at once.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx2
from rich.console import Console
from rich.table import Table

from tests.bench.looked_at import filled
from tests.support.generated import requests_of_texts
from tests.support.processes import (
    Sink,
    free_address,
    peak_bytes,
    resident_bytes,
    running_sidecar,
    send,
)

SPANS, TEXTS = 10_000, 1_200
AT_A_TIME = 4
ROUNDS = 3
# So many seconds an answer may take on a busy machine.
PATIENCE = 300.0
MEGABYTE = 1e6
QUESTIONS: tuple[tuple[str, dict[str, object]], ...] = (
    ("search", {"question": "payment times out"}),
    ("like", {"like": "word7 word21 word3"}),
    ("groups", {}),
    ("changes", {"window": "1h", "against": "1d"}),
    ("entries", {}),
    ("facets", {}),
    ("map", {}),
    ("curve", {}),
)


class Held(NamedTuple):
    """What a sidecar holds, in bytes.

    Attributes:
        passing: after spans, when nobody has asked anything.
        asked: when they came again while all was asked, and others left the catalogue.
        peak: the most that it ever held.

    """

    passing: int
    asked: int
    peak: int


def ask(page: str, turn: int) -> None:
    """Ask everything, beginning with another question each turn."""
    with httpx2.Client(base_url=page, timeout=PATIENCE) as client:
        for name, values in QUESTIONS[turn:] + QUESTIONS[:turn]:
            client.post(f"api/v1/{name}", json=values).raise_for_status()


def held(texts: int, folder: Path, *, has_page: bool) -> Held:
    """Let a sidecar with a catalogue of so many texts take spans, and be asked."""
    page = free_address()
    filled(folder / "made.db", texts)
    settings = ["--catalogue", f"sqlite:///{folder}/made.db", "--catalogue-texts", str(texts)]
    settings += ["--catalogue-interval", "2", "--catalogue-retention", "3650"]
    settings += ["--http-listen", page] if has_page else []
    requests = requests_of_texts(2 * SPANS, texts=2 * TEXTS)
    half = len(requests) // 2
    with Sink() as sink, running_sidecar(sink.address, settings=settings) as sidecar:
        sidecar.wait_for_model()
        send(sidecar.address, requests[:half])
        passing = resident_bytes(sidecar.pid)
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            sending = pool.submit(send, sidecar.address, requests[half:])
            turns = range(ROUNDS * AT_A_TIME if has_page else 0)
            for _ in pool.map(ask, [f"http://{page}/"] * len(turns), turns):
                pass
            sending.result()
        return Held(passing, resident_bytes(sidecar.pid), peak_bytes(sidecar.pid))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.catalogue_memory", description=__doc__
    )
    parser.add_argument("--texts", type=int, nargs="+", default=[1_000, 100_000, 200_000])
    table = Table("texts", "page", "after spans", "after questions", "peak", title="MB resident")
    for texts in parser.parse_args().texts:
        for has_page in (False, True):
            with TemporaryDirectory() as folder:
                found = held(texts, Path(folder), has_page=has_page)
            shown = (f"{each / MEGABYTE:.0f}" for each in found)
            table.add_row(f"{texts:,}", "yes" if has_page else "no", *shown)
    Console().print(table)


if __name__ == "__main__":
    main()
