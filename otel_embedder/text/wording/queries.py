"""What a database is asked, in few words: the verb, what is counted, the tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otel_embedder.text.wording.words import words

if TYPE_CHECKING:
    from collections.abc import Callable

_COMMENT = re.compile(r"--[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_LITERAL = re.compile(r"'[^']*'")
_QUOTES = re.compile(r'["`\[\]]')
_VERB = re.compile(r"\w+")
_AGGREGATE = re.compile(r"\b(count|sum|max|min|avg|exists)\s*\(\s*(?:distinct )?([\w.*]*)")
_TABLE = re.compile(r"\b(?:from|join|into|update|table|sequence|exists)\s+([\w.]+)")

DEFINING = {"create", "drop", "alter"}
# What a statement goes on with where no table's name stands.
NOT_TABLES = {
    *("select", "insert", "update", "delete", "into", "from", "where", "join", "left"),
    *("right", "inner", "outer", "on", "and", "or", "as", "set", "values"),
    *("group", "by", "order", "limit", "having", "distinct", "union", "all", "with"),
    *("returning", "exists", "in", "is", "not", "null", "create", "table", "sequence"),
    *("drop", "alter", "begin", "commit", "rollback", "desc", "asc", "case", "when"),
    *("then", "else", "end", "using", "like", "between", "cast", "coalesce", "offset"),
    *("for", "only", "lateral", "if"),
}
MAX_AGGREGATES = 3
MAX_TABLES = 4
DEFINED_WORDS = 3


def summary(statement: str, mask: Callable[[str], str]) -> list[str]:
    """Give the words of a statement of SQL, each once; of any other language its first word.

    Args:
        statement: the statement.
        mask: puts placeholders for what differs from span to span.

    """
    bare = _QUOTES.sub("", _LITERAL.sub(" ", _COMMENT.sub(" ", statement)))
    bare = " ".join(bare.split()).lower()
    verb = _VERB.match(bare)
    found = [verb[0]] if verb else []
    if verb and verb[0] in DEFINING:
        for defined in bare.partition("(")[0].split()[1 : DEFINED_WORDS + 1]:
            found += words(defined, mask)
    for function, column in _AGGREGATE.findall(bare)[:MAX_AGGREGATES]:
        found += [function, *words(column, mask)]
    tables = [table for table in _TABLE.findall(bare) if table not in NOT_TABLES]
    for table in tables[:MAX_TABLES]:
        found += words(table.rpartition(".")[2], mask)
    return list(dict.fromkeys(found))
