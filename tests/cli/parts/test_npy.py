from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest

from otel_embedder.cli.parts.npy import npy_file

if TYPE_CHECKING:
    from pathlib import Path

    from otel_embedder.embedder.embedding import Vector


def vectors(count: int) -> Vector:
    return np.random.default_rng(0).standard_normal((count, 16)).astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, 10, 1234])
def test_what_is_written_is_read_by_numpy(count: int, tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"

    with npy_file(path, dimension=16) as npy:
        for vector in vectors(count):
            npy.write(vector)

    read = np.load(path)
    assert (read.dtype, read.shape) == (np.dtype("<f4"), (count, 16))
    assert read.tobytes() == vectors(count).tobytes()


def test_it_is_the_very_file_that_numpy_writes(tmp_path: Path) -> None:
    np.save(tmp_path / "numpy.npy", vectors(3))

    with npy_file(tmp_path / "ours.npy", dimension=16) as npy:
        for vector in vectors(3):
            npy.write(vector)

    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


def test_a_file_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), npy_file(tmp_path / "vectors.npy", dimension=16) as npy:
        npy.write(vectors(1)[0])
        raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_there_stays_until_the_new_one_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    path.write_text("old")

    with npy_file(path, dimension=16) as npy:
        npy.write(vectors(1)[0])
        assert path.read_text() == "old"

    assert np.load(path).shape == (1, 16)
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError),
        npy_file(tmp_path / "missing" / "vectors.npy", dimension=16),
    ):
        pass
