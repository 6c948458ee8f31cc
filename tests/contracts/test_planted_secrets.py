"""A secret is planted wherever a text is made of, and then looked for wherever words come out."""

from __future__ import annotations

import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder.cli import EXIT_OK, run
from otel_embedder.library.service import EmbeddingService
from otel_embedder.library.trace import from_otlp
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.fakes import FakeModel
from tests.support.otlp_samples import request, resource, span
from tests.support.planted import CARD, GITHUB, SECRET, SPANS, cut_after
from tests.support.processes import (
    OTEL_EMBEDDER,
    REPOSITORY,
    Sidecar,
    Sink,
    free_address,
    own_environment,
    send,
)
from tests.support.tiny_model import tiny_model_flags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.telemetry.settings import LogFormat

TEMPLATE = RenderOptions(profile="template")
OPTIONS = {
    "words": RenderOptions(),
    "template": TEMPLATE,
    "no masks": RenderOptions(mask_values=False),
    "exact durations": RenderOptions(exact_durations=True, mask_values=False),
    "nothing volatile": RenderOptions(volatile_keys=(), mask_values=False),
    "other template": RenderOptions(template="{status}|{operation}|{k}{v}|...", mask_values=False),
}

# Packages of these names, for a process of its own: an engine that works for the
# word that it is tried with, and for all others or for none.
ENGINE = """
import numpy as np

class SentenceTransformer:
    max_seq_length = 256
    def __init__(self, *_, **__): pass
    def parameters(self): return iter(())
    def encode(self, inputs, **_):
        if {quoting} and inputs != ["a"]:
            raise ValueError(f"can't encode {{inputs}}")
        return np.ones((len(inputs), 384), np.float32)
"""
PACKAGES = {
    "torch/__init__.py": "def set_num_threads(_): pass",
    "transformers/__init__.py": "",
    "transformers/utils/__init__.py": "",
    "transformers/utils/logging.py": "def disable_progress_bar(): pass",
}

# Of spans in a file, as these number them.
SPAN_IDS = [f"{number:016x}" for number in (1, 4)]

REFUSALS = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE)


def is_clean(words: str) -> bool:
    plain = words.replace(" ", "")
    return not any(secret in plain for secret in (SECRET, CARD.replace(" ", "")))


def text_of(made: Span, options: RenderOptions) -> str:
    return new_renderer(options).render(made.SerializeToString(), "shop").content


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("made", SPANS.values(), ids=SPANS)
def test_no_text_holds_a_secret(made: Span, options: RenderOptions) -> None:
    assert is_clean(text_of(made, options))


@pytest.mark.parametrize("made", SPANS.values(), ids=SPANS)
def test_no_part_that_is_shown_to_whoever_compares_holds_a_secret(made: Span) -> None:
    renderer = new_renderer(RenderOptions(mask_values=False))

    for part in renderer.sayings(made.SerializeToString(), "shop"):
        assert is_clean(f"{part.name} {part.value} {part.words}")


def test_no_service_is_named_with_a_secret() -> None:
    made = resource(f"shop {GITHUB}").SerializeToString()

    assert new_renderer(RenderOptions()).service(made) == "shop <secret>"


@pytest.mark.parametrize("characters", [*range(20), 40, 80, 200, 511, 512, 600, 1_000])
def test_a_secret_that_is_cut_off_is_not_shown(characters: int) -> None:
    text = text_of(cut_after(characters), RenderOptions(mask_values=False))

    shown = text.partition("note=")[2].replace("password=", "")
    assert set(shown.split()) == {"<secret>"}


def test_what_shows_that_there_is_a_secret_is_the_same_for_all() -> None:
    one = text_of(span(attributes={"token": "a", "b": [{"password": 1}]}), TEMPLATE)
    other = text_of(span(attributes={"token": "c", "b": [{"password": 2}]}), TEMPLATE)

    assert one == other
    assert one.endswith("b=[{password=<secret>}] token=<secret>")


@pytest.mark.parametrize("value", [None, True, False, ""])
def test_whether_there_is_a_secret_may_be_seen(value: bool | str | None) -> None:  # noqa: FBT001 - a value of an attribute
    shown = text_of(span(attributes={"token": value}), RenderOptions(template="{k}={v}..."))

    assert shown == f"token={str('null' if value is None else value).lower()}"


def test_secret_keys_can_be_chosen() -> None:
    options = RenderOptions(template="{k}={v} ...", secret_keys=("door.code",), mask_secrets=False)
    made = span(attributes={"doorCode": 1, "note": "door_code=2 b", "password": "c", "jwt": "d"})

    assert text_of(made, options) == "doorCode=<secret> jwt=d note=door_code=<secret> b password=c"


def test_what_looks_like_a_secret_can_be_shown() -> None:
    options = RenderOptions(mask_secrets=False, mask_values=False)

    assert GITHUB in text_of(span(attributes={"note": GITHUB}), options)


async def test_no_text_of_the_library_holds_a_secret() -> None:
    model = FakeModel()
    async with EmbeddingService(model=model, text=RenderOptions(mask_values=False)) as service:
        for made in SPANS.values():
            trace = from_otlp(made, resource(f"shop {GITHUB}"))
            assert is_clean(await service.render(trace))
            await service.embed_trace(trace)

    assert is_clean(str(model.batches))


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return tiny_model_flags(tmp_path_factory.mktemp("models"))


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "traces.bin"
    sent = request(*SPANS.values(), service=f"shop {GITHUB}")
    for number, made in enumerate(sent.resource_spans[0].scope_spans[0].spans):
        made.span_id = number.to_bytes(8)
    file.write_bytes(sent.SerializeToString())
    return file


@pytest.mark.parametrize("output", ["table", "json"])
@pytest.mark.parametrize(
    "arguments",
    [("nearest", "--to", "login", "--count", "99"), ("compare", *SPAN_IDS, "--in")],
    ids=["nearest", "compare"],
)
def test_no_command_prints_a_secret(
    arguments: Sequence[str],
    output: str,
    file: Path,
    model: Sequence[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([*arguments, str(file), "--output", output, "--no-mask-values", *model]) == EXIT_OK

    captured = capsys.readouterr()
    assert "pay" in captured.out
    assert is_clean(captured.out + captured.err)


def test_no_line_of_a_rendered_file_holds_a_secret(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", str(file), "--no-mask-values"]) == EXIT_OK

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(SPANS)
    assert all(map(is_clean, lines))


def test_no_text_is_attached_with_a_secret(file: Path, model: Sequence[str]) -> None:
    output = file.with_name("out.bin")
    flags = ("--attach-text", "--no-mask-values", *model)
    assert run(["annotate", str(file), "-o", str(output), *flags]) == EXIT_OK

    annotated = ExportTraceServiceRequest.FromString(output.read_bytes())
    spans = annotated.resource_spans[0].scope_spans[0].spans
    texts = [
        pair.value.string_value
        for made in spans
        for pair in made.attributes
        if pair.key == "embedding.text"
    ]
    assert len(texts) == len(SPANS)
    assert all(map(is_clean, texts))


@contextmanager
def talkative_sidecar(
    next_hop: str, directory: Path, log_format: LogFormat, *, quoting: bool
) -> Iterator[tuple[Sidecar, str]]:
    """Run a sidecar that logs all it can; give it, and where its metrics are."""
    packages = {**PACKAGES, "sentence_transformers/__init__.py": ENGINE.format(quoting=quoting)}
    for name, code in packages.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(code, encoding="utf-8")
    address, metrics = free_address(), free_address()
    command = [
        *(*OTEL_EMBEDDER, "serve", "--log-format", log_format, "--log-level", "debug"),
        *("--listen", address, "--next-hop", f"http://{next_hop}", "--metrics-listen", metrics),
        *("--engine", "sentence-transformers", "--model", "acme/model", "--attach-text"),
    ]
    environment = own_environment({"PYTHONPATH": f"{directory}:{REPOSITORY}"})
    with Sidecar(command, environment) as sidecar:
        sidecar.address = address
        sidecar.wait_for_line("model.loaded")
        sidecar.wait_for_line("service.started")
        yield sidecar, metrics


class QuotingRefusal(grpc.Status):
    """What a next hop answers that quotes what it was sent."""

    details = f"can't store {GITHUB}, password={SECRET}"
    trailing_metadata = ()

    def __init__(self, code: grpc.StatusCode) -> None:
        self.code = code


@pytest.mark.parametrize("quoting", [False, True], ids=["working", "quoting its input"])
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_log_line_and_no_metric_of_a_sidecar_holds_a_secret(
    tmp_path: Path, log_format: LogFormat, *, quoting: bool
) -> None:
    sent = request(*SPANS.values(), service=f"shop {GITHUB}").SerializeToString()
    with (
        Sink(refusals=list(map(QuotingRefusal, REFUSALS))) as sink,
        talkative_sidecar(sink.address, tmp_path, log_format, quoting=quoting) as (sidecar, at),
    ):
        for encoded in (sent, sent, SECRET.encode()):
            with suppress(grpc.RpcError):
                send(sidecar.address, [encoded])
        sink.wait_for_any()
        with urllib.request.urlopen(f"http://{at}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        sidecar.stop()
        lines = "".join(sidecar.lines_with(""))

    assert len(sink.call_times) > len(REFUSALS)
    assert ("embedding-generation-failed" in lines) is quoting
    assert "service.stopped" in lines
    assert is_clean(lines)
    assert is_clean(metrics)
    assert "otel_embedder_receiver_refused_spans_total" in metrics
