"""Spans of the demo's shop in a file, and which of them show which fault: for `make eval`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from otel_embedder.cli.demo.shop import FAULTS, Shop
from otel_embedder.cli.demo.sink import sinking
from otel_embedder.otlp.facts import span_facts
from otel_embedder.otlp.spans import span_ids
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.evaluation.labels import FAULTY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.cli.demo.shop import Fault

SEED = 11
# Each fault is injected so often, and between two of them all is well for a while.
INJECTIONS = 4
FAULTY_PURCHASES, GOOD_PURCHASES = 5, 20
COLUMNS = (
    *("trace_id", "span_id", "fault_id", "fault_type", "fault_service", "symptom"),
    "window",
)


def main(traces: Path, labels: Path) -> None:
    requests, rows = asyncio.run(sold())
    traces.write_bytes(b"".join(len(each).to_bytes(4) + each for each in requests))
    labels.write_text("\n".join(["\t".join(COLUMNS), *rows, ""]), encoding="utf-8")


async def sold() -> tuple[list[bytes], list[str]]:
    """Give what the shop sent, and a row for each span: in which window it is, and what shows."""
    random = Random(SEED)
    rows: list[str] = []
    requests: list[bytes] = []
    async with sinking(requests.append) as port:
        for injection in range(INJECTIONS * len(FAULTS)):
            fault, before = FAULTS[injection % len(FAULTS)], len(requests)
            await asyncio.to_thread(sell, f"127.0.0.1:{port}", random, fault)
            rows += labelled(requests[before:], f"{fault.exception}-{injection}", fault)
        return requests, rows


def sell(endpoint: str, random: Random, fault: Fault) -> None:
    shop = Shop(endpoint, random)
    try:
        for _ in range(GOOD_PURCHASES):
            shop.purchase(None)
        for _ in range(FAULTY_PURCHASES):
            shop.purchase(fault)
    finally:
        shop.close()


def labelled(requests: Sequence[bytes], injection: str, fault: Fault) -> Iterator[str]:
    """Give a row for each span; what failed only the fault can have done."""
    spans = [
        (span_ids(span.encoded), span_facts(span.encoded).status == "ERROR")
        for request in map(parse_request, requests)
        for resource in request.resources
        for scope in resource.scopes
        for span in scope.spans
    ]
    faulty = {ids.trace_id for ids, is_error in spans if is_error}
    for ids, is_error in spans:
        window = FAULTY if ids.trace_id in faulty else "normal"
        hexed = (part.hex() for part in ids)
        what = (injection, fault.exception, fault.service, str(int(is_error)), window)
        yield "\t".join((*hexed, *what))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
