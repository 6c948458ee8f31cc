"""Masks what a statement is about, and leaves what it does: SQL, JSON of MongoDB's, Redis's keys.

Literals read `<string>` and `<number>`, a list of any length reads as one of a single item.
Where a value is known for a statement all its literals go; in an error's text only what
stands behind an operator, for a status code may follow.
"""

from __future__ import annotations

import re

from otel_embedder.text.marks import Marked, seen_in, words_marks
from otel_embedder.text.patterns import late

STRING = "<string>"
NUMBER = "<number>"

_STRING = r"\b[nexb]?'(?:[^'\\]|\\.|'')*+'?|(?<!\w)'(?:[^'\\]|\\.|'')*+'?"
_DOUBLE = r'"(?:[^"\\]|\\.|"")*+"(?!\s*+[.(\[])'
_NUMBER = r"(?:0x[\da-f]++|\d++(?:\.\d++)?(?:e[+-]?\d++)?)(?![\w.])"
_LITERAL = re.compile(
    rf"""
    (?=[nexb'"$\d-])                               # as each begins: most of a text is passed over
    (?:(?P<string>{_STRING}|(?:(?<=[=<>])|(?<=[=<>]\s)|(?<=LIKE\s)){_DOUBLE}
        |\$(?P<tag>\w{{0,16}})\$.*?\$(?P=tag)\$)
    |(?P<number>(?<![\w.$:@"`?%])(?:(?<=[=<>(,\s])-)?{_NUMBER}(?!["`>])))
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_BEHIND_OPERATOR = re.compile(
    rf"""
    (?=[=<>(,LOBAT])
    (?P<before>[=<>(,]\s?|\b(?:LIMIT|OFFSET|BETWEEN|AND|OR|TOP|LIKE)\s)
    (?:(?P<string>{_STRING})|(?P<number>-?{_NUMBER}))(?!\w)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_ROW = Marked(
    late(r"\bVALUES\s*+\([^()]*+\)", re.IGNORECASE),
    b"values",
    in_small=True,
)
_DOUBLE_QUOTED = re.compile(_DOUBLE)

_ITEM = r"(?:\?\d*+|\$\d++|[:@]\w++|%s|%\(\w++\)s|<\w++>|NULL|TRUE|FALSE|\.{3}|\?\+)"
_TUPLE = rf"\(\s*+{_ITEM}(?:\s*+,\s*+{_ITEM})*+\s*+\)"
_LIST = Marked(
    late(
        rf"""
    (?P<opened>\bIN\s*+\(|\bARRAY\s*+\[)\s*+(?P<item>{_ITEM}|{_TUPLE})
    (?:\s*+,\s*+(?:{_ITEM}|{_TUPLE}))*+\s*+(?P<closed>[)\]])
    """,
        re.VERBOSE | re.IGNORECASE,
    ),
    rb"in *\(|array *\[",
    in_small=True,
)
_ROWS = Marked(
    late(r"(\bVALUES\s*+\([^()]*+\))(?:\s*+,\s*+\([^()]*+\))++", re.IGNORECASE),
    rb"values",
    in_small=True,
)
_ANY_PLACE = re.compile(r"\?\d*+|\$\d++|[:@]\w++|%s|%\(\w++\)s|\.{3}|\?\+")
_NUMBERED = re.compile(r"(?<![\w$?:@])(?:\$|[?:]|@p)\d++\b", re.IGNORECASE)

_INTO = ("insert", "merge", "replace")
_SQL = Marked(
    late(
        r"""
    \b(?:SELECT\b[^;]{1,512}?\bFROM\b|INSERT\s++INTO\b|DELETE\s++FROM\b|MERGE\s++INTO\b
        |REPLACE\s++INTO\b|UPDATE\s++\S{1,128}\s++SET\b)
    """,
        re.VERBOSE | re.IGNORECASE,
    ),
    words_marks(
        ("select", "update", *(f"{verb}[ ]+into" for verb in _INTO), "delete[ ]+from"),
    ),
    in_small=True,
)
_BEGINS = late(
    r"""
    (?:[\s(;]|/\*[^*]*+\*/|--[^\n]*+\n)*+
    (?:SELECT|INSERT|UPDATE|UPSERT|DELETE|MERGE|REPLACE|WITH|CALL|EXEC(?:UTE)?|EXPLAIN|SHOW|SET\s\S+\s*+=
        |BEGIN|DECLARE|CREATE|ALTER|DROP|TRUNCATE|VALUES|COPY|FETCH|ANALYZE|LOAD|GRANT|FROM|MATCH
        |OPTIMIZE|VACUUM|PREPARE|KILL|\{?\s*\??=?\s*CALL)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
# What databases say of a value that was there already, or that was none.
_DETAIL = re.compile(
    r"(?:(\bprepared statement [\"'`])[^\"'`]{0,128}\d[^\"'`]{0,128}(?=[\"'`])"
    r"|(\b[Kk]ey \([^()]{1,256}\)=\()[^()]++(?=\))|(\b[Dd]uplicate entry ')[^']++(?=' for)"
    r"|(\bduplicate key value is \()[^()]++)"
)
_DETAIL_HINT = re.compile(r"\)=\(|uplicate |repared stat")

_JSON = re.compile(r"\s*+[{\[]")
_JSON_NUMBER = re.compile(r"(?<=[:,\[])(\s?)-?\d++(?:\.\d++)?(?:[eE][+-]?\d++)?(?=\s?[,}\]])")
_JSON_LIST = re.compile(
    r"""\[\s?(<number>|"(?:[^"\\]|\\.)*+")(?:\s?,\s?(?:<number>|"(?:[^"\\]|\\.)*+"))++\s?\]"""
)

_COMMAND = late(
    r"""\s*+["'`]?(?:
    (?:GET|SET)(?:EX|NX|DEL|SET|RANGE|BIT)?|M(?:GET|SET)(?:NX)?|P?SETEX|DEL|UNLINK|EXISTS|TOUCH|COPY
    |P?EXPIRE(?:AT|TIME)?|P?TTL|PERSIST|TYPE|DUMP|RESTORE|RENAME(?:NX)?|OBJECT\s\w+|MEMORY\s\w+
    |(?:INC|DEC)R(?:BY(?:FLOAT)?)?|APPEND|STRLEN|BIT\w+|WATCH|(?:P|S)?(?:UN)?SUBSCRIBE|S?PUBLISH
    |H(?:GET|SET|DEL|EXISTS|KEYS|LEN|VALS|SCAN|M[GS]ET|GETALL|INCRBY(?:FLOAT)?|SETNX|STRLEN)
    |[BLR]{1,2}(?:PUSHX?|POP|RANGE|LEN|INDEX|SET|REM|TRIM|INSERT|MOVE|POPLPUSH|POS|MPOP)
    |S(?:ADD|REM|MEMBERS|M?ISMEMBER|CARD|POP|RANDMEMBER|UNION|INTER|DIFF|SCAN|MOVE)(?:STORE)?
    |B?Z[A-Z]{2,20}|X(?:ADD|READ|LEN|RANGE|REVRANGE|READGROUP|ACK|DEL|TRIM|PENDING|CLAIM|AUTOCLAIM)
    |MULTI|PIPELINE|EVAL(?:SHA)?(?:_RO)?|FCALL(?:_RO)?
    |PF(?:ADD|COUNT|MERGE)|GEO[A-Z]{3,14}|JSON\.[A-Z]{3,10}|FT\.[A-Z]{3,12}|SORT|SCAN|KEYS
    |gets?|gats?|set|add|replace|append|prepend|cas|incr|decr|touch|delete|DELETE
    )["'`]?\s""",
    re.VERBOSE,
)
_KEY_NUMBER = re.compile(
    r"(?<=:)(?=[a-z]{0,3}\d)(?=\d{0,3}[a-z])(?=(?:[a-z]{1,4}\d{1,4}){2}|(?:\d{1,4}[a-z]{1,4}){2})[a-z\d]{6,64}(?!\w)|"
    r"(?:(?<=[A-Za-z\d}>\])][:/_|#.-])|(?<=::))\d++(?![\w.])|(?<![\w.:/-])\d++(?=[:}])"
)
_FIRST_NUMBER = re.compile(r"^(\s*+[A-Za-z.]++\s++)\d++(?!\S)")
_SAME_KEYS = re.compile(
    r"""(?<!\S)(["']?[^\s"']{0,128}<\w{2,8}>[^\s"']{0,128}["']?)(?:\s\1(?!\S))++"""
)
# user:42:profile, but not main.py:42:in
_KEY_WITHIN = Marked(
    late(r"(?<![\w.:/-])([A-Za-z_][\w-]{0,64}:)\d++(?=:[A-Za-z])"),
    rb":0+:[a-zA-Z]",
)
_KEY_NAMED = Marked(
    late(
        r"""((?:\b[kK]eys?|\b[cC]ache(?:\s(?:miss|hit|entry|item))?(?:\sfor)?|\b[lL]ock)\W{1,3}
    [A-Za-z_][\w:{}-]{0,64}?:)\d++(?![\w.])""",
        re.VERBOSE,
    ),
    rb"(?:key|Key|cache|Cache|lock|Lock).{0,160}:0",
)


def without_literals(statement: str) -> str:
    """Give a statement with a word for each literal, and lists with a single item."""
    if _JSON.match(statement):
        return _JSON_LIST.sub(r"[\1]", _JSON_NUMBER.sub(rf"\1{NUMBER}", statement))
    if is_command(statement) and not _SQL.pattern.search(statement):
        return _SAME_KEYS.sub(r"\1", without_keys(_FIRST_NUMBER.sub(r"\1<id>", statement)))
    if not _BEGINS().match(statement):
        return statement
    row = _ROW.sub(_row, statement, seen_in(statement))
    return _single_items(_LITERAL.sub(_literal, row))


def is_command(text: str) -> bool:
    """Tell whether a text begins as a command to a cache."""
    return _COMMAND().match(text) is not None


def without_keys(command: str) -> str:
    """Give a cache's key, or a command with some, with a word for each number in a key."""
    return _KEY_NUMBER.sub("<id>", command)


def mask_quoted_statements(text: str) -> str:
    """Put words for literals of the statements that a text quotes, and for keys of a cache."""
    seen = seen_in(text)
    if _SQL.may_be_in(seen) and (sql := _SQL.pattern.search(text)):
        start = sql.start()
        text = text[:start] + _single_items(_BEHIND_OPERATOR.sub(_operand, text[start:]))
    if _DETAIL_HINT.search(text):
        text = _DETAIL.sub(lambda match: f"{match[match.lastindex or 0]}<id>", text)
    if ":" not in text and b"key" not in seen.lower():
        return text
    # In prose `GET shop:8080` is of HTTP.
    if is_command(text) and not text.startswith(("GET ", "DELETE ")):
        return _SAME_KEYS.sub(r"\1", without_keys(text))
    seen = seen_in(text)
    return _KEY_NAMED.sub(r"\1<id>", _KEY_WITHIN.sub(r"\1<id>", text, seen), seen)


def _single_items(statement: str) -> str:
    seen = seen_in(statement)
    shortened = _ROWS.sub(r"\1", _LIST.sub(_single_item, statement, seen), seen)
    # Behind a list its length can be seen from the numbers of all other places.
    return statement if shortened == statement else _NUMBERED.sub("?", shortened)


def _single_item(match: re.Match[str]) -> str:
    return f"{match['opened']}{_ANY_PLACE.sub('?', match['item'])}{match['closed']}"


def _literal(match: re.Match[str]) -> str:
    return STRING if match["string"] is not None else NUMBER


def _operand(match: re.Match[str]) -> str:
    return match["before"] + _literal(match)


def _row(match: re.Match[str]) -> str:
    return _DOUBLE_QUOTED.sub(STRING, match[0])
