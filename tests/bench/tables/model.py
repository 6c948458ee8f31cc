"""What the real model does: many texts at once beside other engines, and one alone."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from random import Random
from typing import IO, TYPE_CHECKING, NamedTuple

from loky import cpu_count

from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.weights import find_weights
from tests.bench import model
from tests.bench.engines import UNAVAILABLE
from tests.bench.results import Column, Table
from tests.bench.texts import made_up_texts
from tests.support.processes import REPOSITORY, own_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.extent import Extent

# Where others are, if anywhere; `make test-reference` makes the second one.
ENVIRONMENTS = tuple(REPOSITORY / "build" / name for name in ("engines", "reference"))
OURS = "ours"
NAMES = {
    OURS: "this project (CTranslate2, int8)",
    "torch": "sentence-transformers (torch, float32)",
    "onnx": "sentence-transformers (ONNX Runtime, int8)",
    "openvino": "sentence-transformers (OpenVINO)",
}
NEEDS = {
    "torch": "make build/reference/installed",
    "onnx": "sentence-transformers[onnx] in build/engines",
    "openvino": "sentence-transformers[openvino] in build/engines",
}
COLUMNS = (
    Column("engine"),
    Column("texts of"),
    Column("texts/s", ",.0f"),
    Column("slower by, x"),
    Column("CPU, ms/text", ".2f"),
)


class Took(NamedTuple):
    """What some texts took, in seconds.

    Attributes:
        wall: by the clock.
        cpu: of all threads.

    """

    wall: float
    cpu: float


class Engine:
    """An engine in a process of its own."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin = stdin
        self._stdout = stdout

    def embed(self, texts: Sequence[str]) -> Took:
        """Let it embed texts."""
        self._stdin.write(f"{json.dumps(texts)}\n")
        self._stdin.flush()
        return Took(*json.loads(self._stdout.readline()))


def engines(extent: Extent) -> Table:
    """Let all engines that are installed embed the same texts, in shuffled turns."""
    title = f"The model, {extent.texts} texts, {cpu_count()} threads, medians of turns"
    table = Table(title, COLUMNS)
    random = Random(0)
    with ExitStack() as running:
        there = {name: running.enter_context(running_engine(name)) for name in NAMES}
        contestants = {name: engine for name, engine in there.items() if engine}
        for kind, all_ in made_up_texts().items():
            texts = random.sample(all_, min(extent.texts, len(all_)))
            took: dict[str, list[Took]] = {name: [] for name in contestants}
            for _ in range(extent.rounds):
                for name in random.sample([*contestants], len(contestants)):
                    took[name].append(contestants[name].embed(texts))
            rates = {
                name: len(texts) / statistics.median(turn.wall for turn in turns)
                for name, turns in took.items()
            }
            for name, turns in took.items():
                cpu = statistics.median(turn.cpu for turn in turns) / len(texts) * 1_000
                slower = rates[OURS] / rates[name]
                table.add(NAMES[name], kind, rates[name], slower, cpu)
    for name in (name for name, engine in there.items() if engine is None):
        table.add(NAMES[name], f"not installed: {NEEDS[name]}", None, None, None)
    return table


@contextmanager
def running_engine(name: str) -> Iterator[Engine | None]:
    """Run an engine, if it is installed."""
    weights = find_weights(DEFAULT_MODEL).directory
    command = [interpreter(name), "-m", "tests.bench.engines", name, str(cpu_count()), str(weights)]
    with subprocess.Popen(
        command,
        env=own_environment({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        engine = Engine(process.stdin, process.stdout)
        yield engine if _is_there(process, engine) else None
        process.stdin.close()


def interpreter(name: str) -> str:
    """Give the Python that an engine is looked for in."""
    others = (str(each / "bin" / "python") for each in ENVIRONMENTS if each.exists())
    return sys.executable if name == OURS else next(others, sys.executable)


def _is_there(process: subprocess.Popen[str], engine: Engine) -> bool:
    try:
        engine.embed(["is it there?"])
    except (BrokenPipeError, json.JSONDecodeError):
        if process.wait() == UNAVAILABLE:
            return False
        raise
    return True


def alone(extent: Extent) -> Table:
    """Measure many texts at once, as the sidecar embeds them, and one alone by its length."""
    table = Table("The model in the sidecar", (Column(""), Column("measured"), Column("unit")))
    loaded = model.loaded_model()
    rate = model.texts_a_second(loaded, extent.texts)
    table.add(f"{extent.texts} texts, {cpu_count()} at a time", rate, "texts/s")
    for tokens in model.LENGTHS:
        alone = model.milliseconds_alone(loaded, tokens)
        table.add(f"one text alone, {tokens} tokens", alone, "ms")
    return table
