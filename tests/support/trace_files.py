"""Files of traces, read as the commands read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.cli.parts.arguments import refuse_cut_off
from otel_embedder.files.trace_files import TraceFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def reading(*names: str | Path) -> TraceFiles:
    """Give what reads files, and raises where one is cut off."""
    return TraceFiles([*map(str, names)], on_cut_off=refuse_cut_off)


def requests_in(file: str | Path) -> Iterator[bytes]:
    """Give the encoded requests of a file."""
    return (request.encode() for request in reading(file).requests())
