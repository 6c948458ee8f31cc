from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import opentelemetry.semconv
import pytest
from opentelemetry.semconv.schemas import Schemas

from otel_embedder.text.wording.conventions import (
    RENAMED,
    RENAMED_VALUES,
    SCHEMA_VERSION,
    Named,
    only_name,
    present,
)

# Of metrics, and of any program's own attributes.
TOO_COMMON = {"state", "pool.name"}
# It names the span's own host, as the new one does only where it serves.
OWN_HOST = {"net.host.name", "net.host.port"}
# Of metrics only, or patterns of keys.
NOT_OF_SPANS = re.compile(
    r"(system|process|container|k8s|db\.client)\..*|db\.elasticsearch\.path_parts"
)


def registry() -> dict[str, str]:
    """Give what each deprecated attribute of OpenTelemetry's registry is replaced by."""
    replaced: dict[str, str] = {}
    for file in Path(opentelemetry.semconv.__path__[0]).rglob("attributes/*.py"):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        for attribute, said in pairwise(body):
            match attribute, said:
                case (
                    ast.AnnAssign(value=ast.Constant(value=str(key))),
                    ast.Expr(value=ast.Constant(value=str(words))),
                ):
                    if found := re.search(r"Deprecated: Replaced by `([\w.]+)`\.?\s*$", words):
                        replaced[key] = found[1]
    return replaced


def test_whatever_the_registry_says_is_replaced_goes_by_its_new_name() -> None:
    replaced = {
        key: new
        for key, new in registry().items()
        if key not in TOO_COMMON | OWN_HOST and not NOT_OF_SPANS.fullmatch(key)
    }

    assert len(replaced) > 50
    assert {key: RENAMED.get(key) for key in replaced} == replaced


def test_the_table_is_that_of_the_schema_that_is_installed() -> None:
    assert SCHEMA_VERSION in {schema.value.rpartition("/")[2] for schema in Schemas}


def test_no_new_name_is_an_old_one() -> None:
    assert RENAMED.keys().isdisjoint(RENAMED.values())
    assert RENAMED_VALUES.keys().isdisjoint(RENAMED)


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("db.statement", "x", [("db.query.text", "x")]),
        ("db.system", "mssql", [("db.system.name", "microsoft.sql_server")]),
        ("http.target", "/a?b=c", [("url.path", "/a"), ("url.query", "b=c")]),
        ("http.target", "/a", [("url.path", "/a")]),
        ("rpc.method", "shop.Cart/Add", [("rpc.service", "shop.Cart"), ("rpc.method", "Add")]),
        ("rpc.method", "/shop.Cart/Add", [("rpc.service", "shop.Cart"), ("rpc.method", "Add")]),
        ("rpc.method", "Add", [("rpc.method", "Add")]),
        ("app.cart", "x", [("app.cart", "x")]),
    ],
)
def test_an_attribute_by_its_present_names(
    key: str, value: str, names: list[tuple[str, str]]
) -> None:
    assert present(key, value) == [Named(*each) for each in names]


VALUES = ("", "h2", "a/b", "a?b", "redshift")


def test_the_only_name_of_a_key_is_that_whatever_its_value() -> None:
    for key in (*RENAMED, *RENAMED.values(), "thread.id"):
        names = {named.key for value in VALUES for named in present(key, value)}
        if (name := only_name(key)) is not None:
            assert names == {name}
