"""What every command says that meets a malformed request in a file of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli import EXIT_FAILED, run
from tests.support.otlp_samples import SPAN_ID, field, request, span
from tests.support.processes import Sink
from tests.support.tiny_model import tiny_model_flags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

COMMANDS: Mapping[str, Sequence[str]] = {
    "render": ("render", "FILE"),
    "index": ("index", "FILE", "--catalogue", "CATALOGUE", "MODEL"),
    "nearest": ("nearest", "FILE", "--to", "a", "MODEL"),
    "compare": ("compare", "a", SPAN_ID.hex(), "--in", "FILE", "MODEL"),
    "annotate": ("annotate", "FILE", "-o", "OUT", "MODEL"),
    "send": ("send", "FILE", "--to", "SINK"),
}
GOOD = request(span()).SerializeToString().replace(SPAN_ID, bytes(8))


def request_of(span_: bytes, resource: bytes = b"") -> bytes:
    """Encode a request around the bytes of a span and of its resource."""
    return field(1, field(1, resource) + field(2, field(2, span_)))


# What is malformed, and who does not look at that: `compare` reads the spans that it was asked
# for, and `send` no resource.
MALFORMED: Mapping[str, tuple[bytes, set[str]]] = {
    "request": (b"\xff", set()),
    "span": (request_of(b"\xff"), {"compare"}),
    "attribute": (request_of(field(2, SPAN_ID) + field(9, b"\xff")), set()),
    "status": (request_of(field(2, SPAN_ID) + field(15, b"\xff")), set()),
    "resource": (request_of(field(2, SPAN_ID), resource=b"\xff"), {"send"}),
}
CASES = [
    pytest.param(command, encoded, id=f"{command}, {what}")
    for what, (encoded, without) in MALFORMED.items()
    for command in COMMANDS
    if command not in without
]


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return tiny_model_flags(tmp_path_factory.mktemp("models"))


@pytest.fixture(name="sink", scope="module")
def _sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "traces.bin"


@pytest.fixture(name="words")
def _words(
    file: Path, tmp_path: Path, model: tuple[str, ...], sink: Sink
) -> Mapping[str, tuple[str, ...]]:
    """Give what stands for words of the commands."""
    out = str(tmp_path / "out")
    return {
        "FILE": (str(file),),
        "OUT": (out,),
        "CATALOGUE": (f"sqlite:///{out}",),
        "MODEL": model,
        "SINK": (sink.address,),
    }


@pytest.mark.parametrize(("command", "encoded"), CASES)
def test_a_malformed_request_is_named_with_its_file(
    command: str,
    encoded: bytes,
    file: Path,
    words: Mapping[str, tuple[str, ...]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file.write_bytes(b"".join(len(each).to_bytes(4) + each for each in (GOOD, encoded, GOOD)))
    arguments = [each for word in COMMANDS[command] for each in words.get(word, (word,))]

    assert run(arguments) == EXIT_FAILED
    assert f"otel-embedder: {file}: request 2 is not OTLP protobuf: " in capsys.readouterr().err
