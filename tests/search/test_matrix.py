from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest

from otel_embedder.errors import StoreError
from otel_embedder.search.matrix import BLOCK, Matrix
from otel_embedder.search.ranking import Ranked, least_of_best

DIMENSION = 24
Rows = npt.NDArray[np.float32]


def some_vectors(count: int, *, seed: int = 1) -> Rows:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def holding(vectors: Rows, *, first: int = 0) -> Matrix:
    matrix = Matrix()
    matrix.put(np.arange(first, first + len(vectors)), vectors)
    return matrix


@pytest.mark.parametrize("step", [1, 2, 200])
def test_products_are_as_near_to_the_true_ones_as_it_says(step: int) -> None:
    vectors, [asked] = some_vectors(3 * BLOCK // 2), some_vectors(1, seed=2)
    matrix = holding(vectors)
    positions = np.arange(0, len(vectors), step)

    cosines = matrix.cosines(asked, positions)

    off = np.abs(cosines - vectors[positions].astype(np.float64) @ asked).max()
    assert 0 < off <= matrix.error(asked) < 1e-4


def test_nor_are_they_further_off_where_each_step_errs_the_same_way() -> None:
    vectors = np.full((1, 16_384), 32_766.5, np.float32)
    vectors[0, 0] = 32_767  # so the scale is 1, and each other number is rounded down
    matrix = holding(vectors)

    for asked in np.linspace(0.5, 1, 60):
        vector = np.full(16_384, asked, np.float32)
        true = float(vectors[0].astype(np.float64) @ vector)
        off = abs(float(matrix.cosines(vector, np.array([0]))[0]) - true)
        assert off <= matrix.error(vector)


def test_vectors_come_in_any_order_and_are_set_anew() -> None:
    vectors = some_vectors(4)
    matrix = holding(np.zeros((9, DIMENSION), np.float32), first=BLOCK - 4)
    positions = np.array([BLOCK + 1, BLOCK - 2, BLOCK, BLOCK - 1])
    matrix.put(positions, vectors)

    assert matrix.vectors(positions) == pytest.approx(vectors, abs=1e-4)
    assert np.flatnonzero(matrix.is_set).tolist() == [*range(BLOCK - 4, BLOCK + 5)]


def test_several_threads_may_set_some() -> None:
    vectors = some_vectors(3 * BLOCK)
    matrix = Matrix()
    with ThreadPoolExecutor(4) as threads:
        pieces = np.array_split(np.arange(len(vectors)), 30)
        for done in [threads.submit(matrix.put, piece, vectors[piece]) for piece in pieces]:
            done.result()

    assert matrix.is_set.all()
    assert matrix.vectors(np.arange(0, len(vectors), 99)) == pytest.approx(vectors[::99], abs=1e-4)


def test_what_is_no_vector_is_near_to_nothing_and_spoils_no_other() -> None:
    vectors = some_vectors(4)
    vectors[1], vectors[2, 3] = 0, np.nan
    matrix = holding(vectors)

    cosines = matrix.cosines(vectors[0], np.arange(4))

    assert cosines[:3].tolist() == pytest.approx([1, 0, 0], abs=1e-4)
    assert matrix.error(vectors[0]) < 1e-4


@pytest.mark.parametrize("count", [1, 7, 500])
@pytest.mark.parametrize("size", [0, 1, 499, 501, 20_003])
def test_the_least_of_the_best_is_what_sorting_finds(size: int, count: int) -> None:
    scores = np.random.default_rng(size).integers(0, 900, size).astype(np.float32)

    least = least_of_best(scores, count)

    assert least == (np.sort(scores)[-count] if size > count else -np.inf)


@pytest.mark.parametrize("threshold", [-np.inf, 0.3, 0.9])
def test_what_is_near_has_in_it_the_best_by_exact_cosines(threshold: float) -> None:
    random = np.random.default_rng(3)
    exact = np.sort(random.random(5_000))
    more, error = random.random(5_000) / 2, 0.001
    about = exact + random.uniform(-error, error, 5_000)
    keys = np.arange(5_000)

    near = Ranked(keys, about + more, about).near(50, threshold=threshold, error=error)
    mended = Ranked(near.keys, exact[near.keys] + more[near.keys], exact[near.keys])

    best = Ranked(keys, exact + more, exact).best(50, threshold=threshold)
    assert mended.best(50, threshold=threshold).keys.tolist() == best.keys.tolist()
    assert len(near.keys) < 200


def test_vectors_of_another_length_are_refused() -> None:
    matrix = holding(some_vectors(2))

    with pytest.raises(StoreError, match="of 12 and 24 numbers"):
        matrix.put(np.arange(2, 4), some_vectors(2)[:, :12])
