"""Files of every kind that a real Collector's file exporter writes, read back and annotated."""

from __future__ import annotations

import json
from contextlib import contextmanager
from random import seed
from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli import EXIT_OK, run
from otel_embedder.errors import CutOffFileError
from otel_embedder.files.named_forms import Form
from otel_embedder.files.requests import open_contents
from tests.support.comparison import differences, spans_in
from tests.support.generated import requests_of_every_shape, requests_of_texts
from tests.support.processes import Collector, collector_binary, free_address, own_environment, send
from tests.support.tiny_model import tiny_model_flags
from tests.support.trace_files import requests_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

pytestmark = pytest.mark.collector

NATIVE = "exporter.file.nativeCompression"
ROTATION = {"max_megabytes": 100}


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return tiny_model_flags(tmp_path_factory.mktemp("models"))


@contextmanager
def running_exporter(file: Path, options: Mapping[str, object], *gates: str) -> Iterator[Collector]:
    """Run a Collector that writes what it is sent to a file."""
    address = free_address()
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": address}}}},
        "exporters": {"file": {"path": str(file), **options}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
        },
    }
    # Its `yaml:` takes JSON, as YAML does.
    command = [str(collector_binary()), f"--config=yaml:{json.dumps(config)}"]
    if gates:
        command.append(f"--feature-gates={','.join(gates)}")
    with Collector(command, own_environment({})) as collector:
        collector.address = address
        collector.wait_for_line("Everything is ready")
        yield collector


def read(file: Path) -> list[bytes]:
    return [*requests_in(file)]


def form_of(file: Path) -> Form | None:
    with file.open("rb") as opened:
        return open_contents(opened).form


@pytest.mark.parametrize("form", [Form.JSON, Form.PROTOBUF], ids=["json", "proto"])
@pytest.mark.parametrize(
    ("options", "gates"),
    [
        ({}, ()),
        ({"compression": "zstd"}, ()),
        ({"compression": "zstd"}, (NATIVE,)),
        ({"compression": "zstd", "rotation": ROTATION}, (NATIVE,)),
    ],
    ids=["plain", "zstd", "native zstd", "native zstd with rotation"],
)
def test_whatever_it_writes_is_read_and_annotated(
    form: Form,
    options: Mapping[str, object],
    gates: Sequence[str],
    model: tuple[str, ...],
    tmp_path: Path,
) -> None:
    sent = requests_of_every_shape(500)
    file, out = tmp_path / "traces", tmp_path / "out"
    format_ = "json" if form is Form.JSON else "proto"
    with running_exporter(file, {"format": format_, **options}, *gates) as collector:
        send(collector.address, sent)
    assert form_of(file) is form
    assert len(read(file)) == len(sent)
    assert differences(spans_in(sent), spans_in(read(file))) == []

    assert run(["annotate", str(file), "-o", str(out), *model]) == EXIT_OK
    assert form_of(out) is form
    assert [spans_in([each]) for each in read(out)] == [spans_in([each]) for each in read(file)]


@pytest.mark.parametrize("format_", ["json", "proto"])
@pytest.mark.parametrize("options", [{}, {"compression": "zstd"}], ids=["plain", "zstd"])
def test_of_what_a_killed_one_leaves_all_that_is_whole_is_read(
    format_: str, options: Mapping[str, object], tmp_path: Path
) -> None:
    # So small that the last one to go from the exporter's buffer to the disk goes in part. That
    # takes sizes that are no accident, so ids that are none.
    seed(0)
    sent = requests_of_texts(500, texts=500, spans_a_request=1)
    file = tmp_path / "traces"
    options = {"format": format_, "flush_interval": "1h", **options}
    with running_exporter(file, options) as collector:
        send(collector.address, sent)
        collector.kill()
    came: list[bytes] = []
    with pytest.raises(CutOffFileError) as cut_off:
        came.extend(requests_in(file))

    assert 0 < len(came) < len(sent)
    assert differences(spans_in(sent[: len(came)]), spans_in(came)) == []
    assert str(cut_off.value).endswith(f"before that: {len(came)}")
