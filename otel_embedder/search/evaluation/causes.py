"""Why traces failed, as somebody knows: a table with tabs, a row a trace."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from otel_embedder.errors import UnreadableFileError
from otel_embedder.search.evaluation.labels import opened_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

COLUMNS = ("trace_id", "cause")
_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")


def read_causes(file: Path) -> dict[str, str]:
    """Give the causes of traces by their ids, in hex; the table may be compressed by gzip.

    Raises:
        UnreadableFileError: it is no such table; names the line and the column.

    """
    with opened_table(file) as lines:
        return dict(_rows(file, lines))


def _rows(file: Path, lines: TextIO) -> Iterator[tuple[str, str]]:
    table = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
    if missing:
        raise UnreadableFileError(f"{file} has no column {missing[0]} in its first line")
    for row in table:
        trace_id, cause = (row[name] or "" for name in COLUMNS)
        if not _TRACE_ID.fullmatch(trace_id):
            raise UnreadableFileError(
                f"{file}: line {table.line_num}: trace_id must be 32 hex digits, not {trace_id!r}"
            )
        if not cause.strip():
            raise UnreadableFileError(f"{file}: line {table.line_num} names no cause")
        yield trace_id.lower(), cause.strip()
