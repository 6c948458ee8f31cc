from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.capacity.__main__ import main
from tests.capacity.sizing import (
    ADDED_BYTES,
    CATALOGUE_WORST_BYTES,
    CORES_OF_THAT,
    REQUEST_MICROSECONDS,
    RESIDENT_BYTES,
    SPAN_MICROSECONDS,
    TEXTS_A_SECOND,
    WORST_BYTES,
    Load,
    catalogue_bytes,
    size_of,
)
from tests.support.processes import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

COSTS = (REPOSITORY / "docs" / "costs.md").read_text(encoding="utf-8")
SCALE = (REPOSITORY / "docs" / "scale.md").read_text(encoding="utf-8")
SMALL = Load(1_000, 10, 100, span_bytes=600, request_spans=512, encoding="array", cores=2)

VECTORS: Mapping[str, AnyValue] = {
    "array": AnyValue(array_value=ArrayValue(values=[AnyValue(double_value=0.1)] * 384)),
    "bytes": AnyValue(bytes_value=bytes(1536)),
    "base64": AnyValue(string_value="A" * 2048),
}
BESIDE = {
    "embedding.model_name": "all-MiniLM-L6-v2",
    "embedding.source": "model",
    "embedding.text_version": "words-4",
    "embedding.text_id": "0123456789abcdef",
}


def measured(row: str) -> float:
    """Give what docs/costs.md has in a row, the first number behind these words."""
    found = re.search(rf"^{row} +([\d.]+) ", COSTS, re.MULTILINE)
    assert found, row
    return float(found[1])


def test_the_numbers_are_those_that_were_measured() -> None:
    distinct = r"and with a thread and a port +sidecar, array"
    assert measured(distinct) == SPAN_MICROSECONDS["array"]
    assert measured(rf"{distinct} .*\n +sidecar, bytes") == SPAN_MICROSECONDS["bytes"]
    assert measured("A request costs") == REQUEST_MICROSECONDS
    assert measured(rf"1000 texts, {CORES_OF_THAT} at a time") == TEXTS_A_SECOND
    spans = r"resident memory after 10000 spans of 1200 texts"
    assert measured(spans) * 1_000_000 == RESIDENT_BYTES


@pytest.mark.parametrize("encoding", VECTORS)
def test_what_a_vector_adds_is_what_it_takes(encoding: str) -> None:
    others = [KeyValue(key=k, value=AnyValue(string_value=v)) for k, v in BESIDE.items()]
    vector = KeyValue(key="embedding.vector", value=VECTORS[encoding])

    assert Span(attributes=[vector, *others]).ByteSize() == ADDED_BYTES[encoding]


def test_the_document_has_the_formula_with_these_numbers() -> None:
    numbers = [*SPAN_MICROSECONDS.values(), TEXTS_A_SECOND, round(WORST_BYTES / 1e6)]

    assert all(f"{number}" in SCALE for number in numbers)
    assert all(f"{added:,}" in SCALE for added in ADDED_BYTES.values())


def test_a_catalogue_wants_memory_and_its_page_more() -> None:
    bare, kept, shown = (
        size_of(each)
        for each in (
            SMALL,
            replace(SMALL, catalogue=200_000),
            replace(SMALL, catalogue=200_000, has_page=True),
        )
    )

    assert kept.resident_bytes - bare.resident_bytes == 74_000_000
    assert shown.resident_bytes - bare.resident_bytes == 507_000_000
    assert kept.limit_bytes - kept.resident_bytes == WORST_BYTES + CATALOGUE_WORST_BYTES


def test_the_document_has_what_was_measured_of_it_beside_the_formula() -> None:
    rows = re.findall(r"^\| ([\d,]+) \| (no|yes) \| .* \| (\d+) \| (\d+) \|$", SCALE, re.MULTILINE)

    assert len(rows) == 6
    for texts, page, peak, formula in rows:
        size = catalogue_bytes(int(texts.replace(",", "")), has_page=page == "yes")
        assert round((RESIDENT_BYTES + size) / 1e6) == int(formula)
        assert int(peak) <= int(formula)


def test_a_small_load_is_one_replica_with_the_default_cache() -> None:
    size = size_of(SMALL)

    assert (size.replicas, size.cache_size, size.resident_bytes) == (1, 1_000, RESIDENT_BYTES)
    assert (size.bytes_in, size.bytes_out) == (600_000, 5_002_000)
    assert size.cores < 0.1


def test_what_one_core_cannot_pass_on_wants_more_replicas_however_many_cores() -> None:
    much = replace(SMALL, spans=100_000, cores=64)

    assert size_of(much).replicas == 3
    assert size_of(replace(much, request_spans=10)).replicas == 21


def test_what_the_model_cannot_embed_wants_more_replicas() -> None:
    many = replace(SMALL, texts=90_000)

    assert size_of(many).replicas == 4
    assert size_of(replace(many, cores=8)).replicas == 1


def test_cores_of_all_replicas_bear_the_load_with_room_for_bursts() -> None:
    size = size_of(replace(SMALL, spans=50_000, texts=20_000))

    busy = size.passing_cores + size.model_cores
    assert size.cores * size.replicas == pytest.approx(busy / 0.7)
    assert size.cores <= SMALL.cores


def test_it_asks_for_what_it_is_not_given() -> None:
    asked = CliRunner().invoke(main, ["--services", "40"], input="20000\n3000\n")
    given = CliRunner().invoke(main, ["--services=40", "--spans=20000", "--texts=3000"])

    assert "Spans a second: " in asked.output
    assert given.output.startswith("20,000 spans/s of 40 services, 3,000 texts a minute\n")
    assert asked.output.endswith(given.output)
    assert given.output in SCALE


def test_a_load_that_is_none_is_refused() -> None:
    refused = CliRunner().invoke(main, ["--services=0", "--spans=1", "--texts=1"])

    assert refused.exit_code == 2
    assert "Invalid value for '--services'" in refused.output


def test_it_says_when_services_are_fewer_than_replicas() -> None:
    told = CliRunner().invoke(main, ["--services=1", "--spans=100000", "--texts=3000"]).output

    assert "a sidecar for each Collector" in told
