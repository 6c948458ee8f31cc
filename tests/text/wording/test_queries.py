from __future__ import annotations

import pytest

from otel_embedder.text.masking.masks import mask
from otel_embedder.text.wording.queries import summary


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT * FROM orders WHERE id = 42", "select orders"),
        ("SELECT COUNT(*) FROM customers", "select count customers"),
        ("select sum(distinct price) from shop.order_items", "select sum price order items"),
        ('INSERT INTO "Orders" (id) VALUES (1)', "insert orders"),
        ("UPDATE `cart_lines` SET n = n + 1", "update cart lines"),
        ("DELETE FROM [dbo].[Baskets]", "delete baskets"),
        ("CREATE TABLE carts (id int)", "create table carts"),
        ("DROP INDEX idx_carts", "drop index idx carts"),
        ("SELECT a FROM b JOIN c ON b.x = c.x LEFT JOIN d ON 1 = 1", "select b c d"),
        ("SELECT 'from secrets' -- from nowhere\nFROM orders", "select orders"),
        ("/* from a tool */ SELECT 1", "select"),
        ("/* without end SELECT x FROM y", ""),
        ("SELECT x FROM (SELECT y FROM inner_table)", "select inner table"),
        ("GET cart:42", "get"),
        ('{"find": "orders"}', ""),
        ("", ""),
    ],
)
def test_a_statement_is_told_by_verb_and_tables(statement: str, said: str) -> None:
    assert " ".join(summary(statement, mask)) == said


def test_values_never_tell_statements_apart() -> None:
    lists = (", ".join("?" * number) for number in (1, 5, 50))
    statements = (f"SELECT * FROM orders WHERE id IN ({each})" for each in lists)  # noqa: S608

    assert len({tuple(summary(statement, mask)) for statement in statements}) == 1
