from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from otel_embedder.cli import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_SKIPPED,
    EXIT_USAGE,
    run,
)
from otel_embedder.cli.annotate import CACHE_SIZE, going_on_later, settings_with_cache
from otel_embedder.embedder.stand_in import STAND_IN_MODEL
from otel_embedder.errors import EmbeddingError, EmbeddingFailedError
from otel_embedder.files.resumable import OutputFile, OutputPaths
from tests.support.comparison import spans_in
from tests.support.compression import READERS
from tests.support.generated import requests_of_every_shape, requests_of_texts
from tests.support.otlp_json import otlp_line
from tests.support.otlp_samples import request, span
from tests.support.processes import python, uncounted_environment
from tests.support.tiny_bert import TINY_DIMENSION
from tests.support.tiny_model import TINY_MODEL, tiny_model_flags
from tests.support.trace_files import requests_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.embedder.models.ctranslate2 import CTranslate2Model

PATIENCE = 60.0
MEGABYTE = 1_000_000


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return (*tiny_model_flags(tmp_path_factory.mktemp("models")), "--model-threads", "2")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let names be of files in a directory of the test's own."""
    monkeypatch.chdir(tmp_path)


def write(name: str, *encoded: bytes) -> None:
    """Write requests to a file: JSON lines, one request alone, or all behind their lengths."""
    if name.endswith(".jsonl"):
        content = b"".join(map(line, encoded))
    elif name.endswith(".request"):
        content = encoded[0]
    else:
        content = b"".join(len(each).to_bytes(4) + each for each in encoded)
    Path(name).write_bytes(content)


def line(encoded: bytes) -> bytes:
    return otlp_line(ExportTraceServiceRequest.FromString(encoded))


def read(name: str) -> list[bytes]:
    return [*requests_in(name)]


def spans(encoded: Iterable[bytes]) -> Iterator[Span]:
    for each in map(ExportTraceServiceRequest.FromString, encoded):
        for resource in each.resource_spans:
            for scope in resource.scope_spans:
                yield from scope.spans


def attributes(span_: Span) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in span_.attributes}


def annotate(*arguments: str, model: tuple[str, ...]) -> int:
    return run(["annotate", *arguments, *model])


def annotate_process(*arguments: str, model: tuple[str, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "otel_embedder", "annotate", *arguments, *model],
        env=uncounted_environment(),
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(file: Path) -> None:
    """Wait until another process has written a file."""
    deadline = time.monotonic() + PATIENCE
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not come"
        time.sleep(0.001)


@pytest.mark.parametrize("name", ["in.jsonl", "in.bin"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_each_span_goes_on_with_a_vector(
    name: str, suffix: str, model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    sent = requests_of_every_shape(300)
    write(name, *sent)

    assert annotate(name, "-o", f"out{suffix}", model=model) == EXIT_OK
    came = read(f"out{suffix}")
    assert spans_in(came) == spans_in(sent)
    models = {attributes(each)["embedding.model_name"] for each in spans(came)}
    assert models == {TINY_MODEL, STAND_IN_MODEL}  # of some the tiny model knows no word
    summary = capsys.readouterr()
    assert summary.out == ""
    assert summary.err.startswith(
        "300 spans: 300 given vectors; left as they were: 0 that had theirs, 0 with another's\n"
    )


@pytest.mark.parametrize("suffix", [".jsonl", ".bin"])
def test_several_files_become_one(suffix: str, model: tuple[str, ...]) -> None:
    sent = requests_of_every_shape(400)
    write(f"one{suffix}", sent[0])
    write(f"two{suffix}", sent[1])

    assert annotate(f"one{suffix}", f"two{suffix}", "-o", "out", model=model) == EXIT_OK
    assert [spans_in([each]) for each in read("out")] == [spans_in([each]) for each in sent]


def test_a_request_alone_stays_alone_unless_there_are_more(model: tuple[str, ...]) -> None:
    sent = requests_of_every_shape(5)
    write("one.request", *sent)
    annotate("one.request", "-o", "alone", model=model)
    annotate("one.request", "one.request", "-o", "both", model=model)
    alone = Path("alone").read_bytes()

    assert spans_in([alone]) == spans_in(sent)
    assert Path("both").read_bytes() == (len(alone).to_bytes(4) + alone) * 2


def test_stdin_is_read(model: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    sent = requests_of_every_shape(5)
    content = io.BufferedReader(io.BytesIO(line(*sent)))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))

    assert annotate("-", "-o", "out", model=model) == EXIT_OK
    assert spans_in(read("out")) == spans_in(sent)


@pytest.mark.parametrize("arguments", [["-", "--resume"], ["-", "in.jsonl"], ["-", "-"]])
def test_stdin_is_read_by_itself_and_once(
    arguments: list[str], model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    write("in.jsonl", b"")

    assert annotate(*arguments, "-o", "out", model=model) == EXIT_USAGE
    assert "stdin (-) must be the only FILE" in capsys.readouterr().err


def test_settings_decide_how_it_is_attached(model: tuple[str, ...]) -> None:
    write("in.jsonl", request(span("one")).SerializeToString())
    flags = ("--encoding", "bytes", "--attribute-prefix", "ai.", "--attach-text")
    annotate("in.jsonl", "-o", "out", *flags, "--template", "{operation}", model=model)
    [annotated] = spans(read("out"))
    values = {pair.key: pair.value for pair in annotated.attributes}

    assert len(values["ai.vector"].bytes_value) == 4 * TINY_DIMENSION
    assert values["ai.text"].string_value == "one"
    assert values["ai.text_version"].string_value != "3"


def test_what_is_known_is_left_alone_and_told(
    model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = request(span("one", {"embedding.vector": [0.5]}), span("two"), span("two"))
    write("in.jsonl", theirs.SerializeToString())
    annotate("in.jsonl", "-o", "once.jsonl", model=model)
    annotate("once.jsonl", "-o", "twice.jsonl", model=model)
    once, twice = capsys.readouterr().err.split(" spans/s\n")[:2]

    assert (
        "3 spans: 2 given vectors; left as they were: 0 that had theirs, 1 with another's" in once
    )
    assert "\n1 texts embedded\n" in once
    assert (
        "3 spans: 0 given vectors; left as they were: 2 that had theirs, 1 with another's" in twice
    )
    assert "\n0 texts embedded\n" in twice


@pytest.mark.parametrize(
    ("flags", "environment", "size"),
    [((), "", CACHE_SIZE), ((), "500", 500), (("--cache-size", "600"), "500", 600)],
    ids=["default", "variable", "flag"],
)
def test_more_texts_are_remembered_than_a_sidecar_does(
    flags: tuple[str, ...], environment: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment:
        monkeypatch.setenv("OTEL_EMBEDDER_CACHE_SIZE", environment)

    assert settings_with_cache(dict([("cache_size", flags[1])] if flags else [])).cache_size == size


def test_what_is_there_is_not_replaced(
    model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    write("in.jsonl", b"")
    write("out", b"precious")

    assert annotate("in.jsonl", "-o", "out", model=model) == EXIT_FAILED
    assert capsys.readouterr().err.startswith("otel-embedder: out is there already")
    assert annotate("in.jsonl", "-o", "out", "--overwrite", model=model) == EXIT_OK


def test_an_input_is_not_replaced_by_any_name(
    model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    write("in.jsonl", b"")
    Path("other").symlink_to("in.jsonl")

    assert annotate("in.jsonl", "-o", "other", "--overwrite", model=model) == EXIT_FAILED
    assert "other is an input as well" in capsys.readouterr().err
    assert Path("in.jsonl").read_bytes() == line(b"")


def test_files_of_different_forms_are_refused_before_anything_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("in.jsonl", b"")
    write("in.bin", b"")

    # There is no model either.
    assert run(["annotate", "in.jsonl", "in.bin", "-o", "out", "--model", "."]) == EXIT_FAILED
    assert "in.jsonl OTLP/JSON and in.bin OTLP protobuf" in capsys.readouterr().err
    assert {path.name for path in Path().iterdir()} == {"in.jsonl", "in.bin"}


def test_without_a_model_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    write("in.jsonl", b"")
    Path("empty").mkdir()

    assert run(["annotate", "in.jsonl", "-o", "out", "--model", "empty"]) == EXIT_FAILED
    assert "lacks model.safetensors" in capsys.readouterr().err
    assert {path.name for path in Path().iterdir()} == {"in.jsonl", "empty"}


def test_a_file_that_is_cut_off_is_refused_or_taken_as_far_as_it_goes(
    model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    sent = requests_of_every_shape(400)
    write("in.bin", *sent)
    Path("in.bin").write_bytes(Path("in.bin").read_bytes()[:-1])

    assert annotate("in.bin", "-o", "out", model=model) == EXIT_FAILED
    refusal = capsys.readouterr().err
    assert "in.bin: the file is cut off" in refusal
    assert "before that: 1; --skip-cut-off goes on without the rest" in refusal
    assert not Path("out").exists()
    flags = ("-o", "out", "--skip-cut-off", "--resume")
    assert annotate("in.bin", *flags, model=model) == EXIT_OK
    assert "in.bin: the file is cut off" in capsys.readouterr().err
    assert spans_in(read("out")) == spans_in(sent[:1])


OTHER_SIGNALS = {
    "logs.jsonl": b'{"resourceLogs":[]}\n',
    "metrics.bin": ExportMetricsServiceRequest(
        resource_metrics=[
            ResourceMetrics(
                scope_metrics=[
                    ScopeMetrics(metrics=[Metric(sum=Sum(data_points=[NumberDataPoint(as_int=1)]))])
                ]
            )
        ]
    ).SerializeToString(),
    "jaeger.json": b'{"data": [{"traceID": "1"}]}',
}


@pytest.mark.parametrize(("name", "content"), OTHER_SIGNALS.items(), ids=OTHER_SIGNALS)
def test_what_is_no_traces_is_refused_before_anything_is_done(
    name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_bytes(content)

    # There is no model either.
    assert run(["annotate", name, "-o", "out", "--model", "."]) == EXIT_FAILED
    assert name.split(".", maxsplit=1)[0] in capsys.readouterr().err.lower().partition(":")[2]
    assert {path.name for path in Path().iterdir()} == {name}


@pytest.mark.parametrize("flags", [("--on-error", "skip"), ("--skip-damaged",)])
def test_what_cannot_be_read_is_skipped_on_request(
    flags: tuple[str, ...], model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    sent = [request(span(name)).SerializeToString() for name in ("one", "two")]
    bad = b'{"resourceSpans": 5}\n'
    Path("in.jsonl").write_bytes(line(sent[0]) + bad + line(sent[1]))

    assert annotate("in.jsonl", "-o", "out", model=model) == EXIT_FAILED
    assert "; --on-error skip goes on without it" in capsys.readouterr().err
    assert annotate("in.jsonl", "-o", "out", *flags, model=model) == EXIT_SKIPPED
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("otel-embedder: in.jsonl: line 2 is not OTLP/JSON: ")
    assert said[-1] == (
        "otel-embedder: 1 request that can't be read was skipped, and kept in out.rejected; "
        "why: out.rejected.reasons"
    )
    assert spans_in(read("out")) == spans_in(sent)
    assert Path("out.rejected").read_bytes() == bad


def write_many(name: str, count: int) -> None:
    """Write as many requests of one span, each with another attribute."""
    # To put another number into a request is quicker than to make it.
    write(name, request(span("one", {"a": "number 00000"})).SerializeToString())
    example = Path(name).read_bytes()
    with Path(name).open("wb") as file:
        file.writelines(example.replace(b"00000", b"%05d" % number) for number in range(count))


# So many that both take as long: enough to be killed between the first thousand and the end.
@pytest.mark.parametrize(
    ("name", "out", "count"), [("in.jsonl", "out", 5_000), ("in.bin", "out.zst", 10_000)]
)
def test_what_was_killed_goes_on_to_the_same_content(
    name: str, out: str, count: int, model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    write_many(name, count)
    with annotate_process(name, "-o", out, model=model) as process:
        wait_for(Path(f"{out}.checkpoint"))
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not Path(out).exists()
    assert annotate(name, "-o", out, model=model) == EXIT_FAILED
    assert f"{out}.partial is there, of a run that did not end" in capsys.readouterr().err

    assert annotate(name, "-o", out, "--resume", model=model) == EXIT_OK
    spans_now = int(capsys.readouterr().err.split(" spans")[0].replace(",", ""))
    assert annotate(name, "-o", f"whole-{out}", model=model) == EXIT_OK
    read_all = READERS[Path(out).suffix]
    assert read_all(Path(out).read_bytes()) == read_all(Path(f"whole-{out}").read_bytes())
    assert 0 < spans_now < count
    assert {path.name for path in Path().iterdir()} == {name, out, f"whole-{out}"}


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (("--encoding", "bytes"), "encoding was array, is bytes"),
        (("--template", "{operation}"), "text_version was words-4, is template-4."),
        ((), "file 1 was "),
    ],
    ids=["encoding", "text", "file"],
)
def test_what_was_killed_goes_on_with_the_same_files_and_settings_only(
    changed: tuple[str, ...],
    difference: str,
    model: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_many("in.jsonl", 1_001)
    with Path("in.jsonl").open("ab") as file:
        file.write(b"{\n")
    assert annotate("in.jsonl", "-o", "out", model=model) == EXIT_FAILED
    if not changed:
        write_many("in.jsonl", 1_001)
    capsys.readouterr()

    assert annotate("in.jsonl", "-o", "out", "--resume", *changed, model=model) == EXIT_FAILED
    assert f"out.partial is of another run: {difference}" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(model: tuple[str, ...]) -> None:
    write_many("in.bin", 10_000)
    with annotate_process("in.bin", "-o", "out", model=model) as process:
        wait_for(Path("out.checkpoint"))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == EXIT_INTERRUPTED
    assert said == (
        "otel-embedder: interrupted; --resume goes on behind the first 1,000 requests\n"
    )
    assert annotate("in.bin", "-o", "out", "--resume", model=model) == EXIT_OK


def test_a_model_that_fails_says_how_to_go_on(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path / "out")
    output = OutputFile(paths, paths.start({}, resume=False, overwrite=False))

    with (
        pytest.raises(
            EmbeddingError, match=r"^out of memory; --resume goes on behind the first 0 "
        ),
        going_on_later(output),
    ):
        raise EmbeddingFailedError("out of memory")


# Told by the process itself: what `wait4` tells of a child is never less than what the process
# that started it holds.
TELLING_ITS_PEAK = """
import os
import sys
from otel_embedder.cli import run
from tests.support.processes import peak_bytes

exit_code = run(sys.argv[1:])
print(peak_bytes(os.getpid()))
sys.exit(exit_code)
"""


def peak_of(*arguments: str, model: tuple[str, ...]) -> int:
    """Give the most memory that a process of the command holds."""
    # To measure which lines run makes them three times as slow.
    uncounted = {"COVERAGE_PROCESS_CONFIG": ""}
    return int(python(TELLING_ITS_PEAK, "annotate", *arguments, *model, **uncounted))


@pytest.mark.parametrize("form", ["jsonl", "bin"])
def test_memory_does_not_grow_with_the_file(form: str, model: tuple[str, ...]) -> None:
    for megabytes in (10, 40):
        requests = requests_of_texts(1_000, texts=200)
        name = f"in-{megabytes}.{form}"
        write(name, *requests)
        content = Path(name).read_bytes()
        Path(name).write_bytes(content * (megabytes * MEGABYTE // len(content)))
    small, large = (
        peak_of(f"in-{megabytes}.{form}", "-o", f"{megabytes}.zst", model=model)
        for megabytes in (10, 40)
    )

    assert large - small < 10 * MEGABYTE


@pytest.mark.integration
def test_the_real_model_makes_the_vectors(real_model: CTranslate2Model, model_cache: Path) -> None:
    write("in.jsonl", request(span("pay")).SerializeToString())
    flags = ("--model-cache", str(model_cache), "--attach-text")

    assert run(["annotate", "in.jsonl", "-o", "out", *flags]) == EXIT_OK
    [annotated] = spans(read("out"))
    values = {pair.key: pair.value for pair in annotated.attributes}
    vector = [value.double_value for value in values["embedding.vector"].array_value.values]
    [expected] = real_model.encode([values["embedding.text"].string_value])
    assert np.array_equal(vector, expected.vector)
    assert attributes(annotated)["embedding.source"] == "model"


def test_stdout_is_no_output(model: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    write_many("in.bin", 1)

    assert annotate("in.bin", "-o", "-", model=model) == EXIT_USAGE
    assert "OUT must be a file" in capsys.readouterr().err
    assert not Path("-").exists()
