"""The statements of docs/sql.md, as they stand, on what a sidecar sends: `make test-sql`."""

from __future__ import annotations

import base64
import json
import re
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.otlp_samples import new_span, request
from tests.support.processes import (
    OTEL_EMBEDDER,
    REPOSITORY,
    Sink,
    own_environment,
    running_sidecar,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Row = dict[str, Any]
    Statement = tuple[str, dict[str, object]]

pytestmark = [pytest.mark.sql, pytest.mark.timeout(300)]

PYTHON = REPOSITORY / "build" / "sql" / "bin" / "python"
DOCUMENT = (REPOSITORY / "docs" / "sql.md").read_text(encoding="utf-8")
# Three spans of each, of which one brings the vector.
SERVICES = {"bank": ("charge the card", "refuse the payment"), "shop": ("find a book",)}
TIMES = 3
QUESTION = "payment by credit card"
# As the Collector's exporter makes it, as far as is needed here.
OTEL_TRACES = """
CREATE TABLE otel_traces (
    Timestamp DateTime64(9), TraceId String, SpanId String, SpanName LowCardinality(String),
    ServiceName LowCardinality(String), StatusCode LowCardinality(String),
    SpanAttributes Map(LowCardinality(String), String)
) ENGINE = MergeTree ORDER BY (ServiceName, Timestamp)
"""


def statements(dialect: str) -> list[str]:
    """Give the document's statements in one of the two, in order."""
    blocks = re.findall(rf"^```{dialect}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    return [each for block in blocks for each in re.split(r";\n", block) if each.strip()]


def answers(dialect: str, asked: Sequence[Statement]) -> list[list[Row]]:
    finished = subprocess.run(
        [str(PYTHON), "-I", str(Path(__file__).with_name("databases.py")), dialect],
        input=json.dumps(asked),
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert finished.returncode == 0, finished.stderr
    rows: list[list[Row]] = json.loads(finished.stdout)
    return rows


@pytest.fixture(name="spans", scope="module")
def _spans(model_cache: Path) -> list[Row]:
    """What a sidecar with `attach: new` sent on."""
    settings = ("--model-cache", str(model_cache), "--attach", "new", "--encoding", "bytes")
    with Sink() as sink, running_sidecar(sink.address, settings=settings) as sidecar:
        sidecar.wait_for_model()
        for _ in range(TIMES):
            for service, names in SERVICES.items():
                spans = [new_span(name) for name in names]
                spans[-1].status.code = Status.STATUS_CODE_ERROR
                send(sidecar.address, [request(*spans, service=service).SerializeToString()])
        return [row for encoded in sink.requests for row in rows_of(encoded)]


def rows_of(encoded: bytes) -> Iterator[Row]:
    for resource in ExportTraceServiceRequest.FromString(encoded).resource_spans:
        (service,) = [
            each.value.string_value
            for each in resource.resource.attributes
            if each.key == "service.name"
        ]
        for span in resource.scope_spans[0].spans:
            ours = {each.key.removeprefix("embedding."): each.value for each in span.attributes}
            told = {key: value.string_value for key, value in ours.items()}
            yield {
                "trace_id": span.trace_id.hex(),
                "span_id": span.span_id.hex(),
                "started": span.start_time_unix_nano,
                "service": service,
                "name": span.name,
                "is_error": span.status.code == Status.STATUS_CODE_ERROR,
                "text_id": told["text_id"],
                "model": told.get("model_name"),
                "text_version": told.get("text_version"),
                "source": told.get("source"),
                "vector": ours["vector"].bytes_value.hex() if "vector" in ours else None,
            }


@pytest.fixture(name="question", scope="module")
def _question(model_cache: Path) -> list[float]:
    command = [*OTEL_EMBEDDER, "embed", QUESTION, "--model-cache", str(model_cache)]
    embedded = subprocess.run(command, env=own_environment({}), capture_output=True, check=True)
    vector: list[float] = json.loads(embedded.stdout)["vector"]
    return vector


def test_postgresql_answers_as_the_document_says(spans: list[Row], question: list[float]) -> None:
    *schema, span, text, alike, failures, ef, scan, search = statements("postgresql")
    loaded: list[Statement] = [(each, {}) for each in schema]
    for row in spans:
        status = "ERROR" if row["is_error"] else "UNSET"
        started = f"2026-11-29 08:00:{len(loaded) % 60:02}+00"
        loaded.append((span, {**row, "started": started, "status": status}))
        if row["vector"]:
            loaded.append((text, {**row, "vector": str(floats(row["vector"]))}))
    wanted = spans[0]["text_id"]
    asked: list[Statement] = [
        (alike, {"text_id": wanted}),
        (failures, {}),
        *((each, {}) for each in (ef, scan)),
        (search, {"question": str(question), "service": "bank"}),
    ]
    found, failed, _, _, near = answers("postgresql", [*loaded, *asked])[-len(asked) :]

    check(spans, [row["span_id"] for row in found], failed, near)


def test_clickhouse_answers_as_the_document_says(spans: list[Row], question: list[float]) -> None:
    *schema, alike, failures, search = statements("clickhouse")
    loaded: list[Statement] = [(OTEL_TRACES, {}), *((each, {}) for each in schema)]
    loaded.append((inserted(spans), {}))
    asked: list[Statement] = [
        (alike, {"text_id": spans[0]["text_id"]}),
        (failures, {}),
        (search, {"question": question, "service": "bank"}),
    ]
    found, failed, near = answers("clickhouse", [*loaded, *asked])[-len(asked) :]

    check(spans, [row["SpanId"] for row in found], failed, near)


def check(spans: list[Row], found: Sequence[str], failed: list[Row], near: list[Row]) -> None:
    """Make sure that each was found by its key, and the nearest by the first one's vector."""
    wanted = spans[0]["text_id"]
    assert sum(row["vector"] is not None for row in spans) == sum(map(len, SERVICES.values()))
    assert {row["source"] for row in spans if row["vector"]} == {"model"}
    assert sorted(found) == sorted(row["span_id"] for row in spans if row["text_id"] == wanted)
    assert {(row["name"], int(row["spans"])) for row in failed} == {
        ("refuse the payment", TIMES),
        ("find a book", TIMES),
    }
    assert [row["name"] for row in near] == ["charge the card", "refuse the payment"]
    assert {int(row["spans"]) for row in near} == {TIMES}


def inserted(spans: list[Row]) -> str:
    """Give what the exporter would insert: attributes as strings, bytes in base64."""
    rows = []
    for row in spans:
        attributes = {"embedding.text_id": row["text_id"]}
        if row["vector"]:
            attributes |= {
                "embedding.model_name": row["model"],
                "embedding.text_version": row["text_version"],
                "embedding.source": row["source"],
                "embedding.vector": base64.b64encode(bytes.fromhex(row["vector"])).decode(),
            }
        status = "Error" if row["is_error"] else "Unset"
        pairs = ", ".join(f"'{key}', '{value}'" for key, value in attributes.items())
        rows.append(
            f"({row['started'] // 10**9}, '{row['trace_id']}', '{row['span_id']}', "
            f"'{row['name']}', '{row['service']}', '{status}', map({pairs}))"
        )
    return f"INSERT INTO otel_traces VALUES {', '.join(rows)}"  # noqa: S608 - our own


def floats(vector: str) -> list[float]:
    encoded = bytes.fromhex(vector)
    return [*struct.unpack(f"<{len(encoded) // 4}f", encoded)]
