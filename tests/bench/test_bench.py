"""What the measurements are made of, but for the measuring itself."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from otel_embedder.otlp.wire import parse_request
from tests.bench import pictures
from tests.bench.cpu import cpu_seconds
from tests.bench.fit import line_through
from tests.bench.requests import sized, unseen_words
from tests.bench.results import Column, Curves, Table, goal
from tests.support.generated import requests_of_texts

if TYPE_CHECKING:
    from pathlib import Path


def a_table() -> Table:
    table = Table("Costs", (Column("spans", ",.0f"), Column("us"), Column("goal")))
    table.add(1, 10.25, goal(10.25, 8, "us"))
    table.add(1_000, None, "")
    table.notes.append("by hand")
    return table


def test_a_table_reads_the_same_in_a_document_and_keeps_its_numbers() -> None:
    table = a_table()

    assert table.markdown() == (
        "Costs:\n\n"
        "| spans | us | goal |\n| --- | --- | --- |\n"
        "| 1 | 10.2 | 8 us: missed |\n| 1,000 |  |  |\n\n"
        "by hand\n"
    )
    assert json.loads(json.dumps(table.facts()))["rows"][0] == {
        "spans": 1,
        "us": 10.25,
        "goal": "8 us: missed",
    }


def test_a_row_with_a_cell_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        a_table().add(1, 2.0)


def test_a_picture_is_made_of_what_has_numbers(tmp_path: Path) -> None:
    table = a_table()
    pictures.save(table, tmp_path / "none.svg")
    table.curves = Curves("spans a request", along=0, up=1)
    table.add(100, 20.0, "")
    pictures.save(table, tmp_path / "curves.svg")

    assert not (tmp_path / "none.svg").exists()
    assert (tmp_path / "curves.svg").read_text().startswith("<svg")


def test_a_line_is_found_and_what_is_off_it_is_told() -> None:
    line = line_through([1, 10, 100], [12, 30, 210])
    bent = line_through([1, 10, 100], [12, 60, 210])

    assert (round(line.base, 6), round(line.each, 6)) == (10, 2)
    assert line.off < 1e-9
    assert bent.off > 0.1


def test_words_of_different_numbers_are_different() -> None:
    assert len({unseen_words(number) for number in range(50_000)}) == 50_000


def test_spans_get_as_many_attributes_as_are_wanted_and_equal_ones_stay_equal() -> None:
    [request] = requests_of_texts(6, texts=2)

    for count in (3, 40):
        [resource] = parse_request(sized(request, count)).resources
        spans = [span.encoded for span in resource.scopes[0].spans]

        # Behind the ids, which are each span's own.
        assert len({span[38:] for span in spans}) == 2
        assert all(span.count(b"shop.") == count for span in spans)


def test_a_process_knows_what_cpu_it_has_used() -> None:
    before = cpu_seconds(os.getpid())
    sum(range(100_000))

    assert cpu_seconds(os.getpid()) > before > 0
