"""How often the page's threads work, by a clock of the test's own."""

from __future__ import annotations

import asyncio

import pytest

from otel_embedder.api.pool import MOST_REST_SECONDS, Pool, Rest


def test_after_each_work_there_is_a_rest_in_proportion() -> None:
    rest = Rest(2.0)
    assert rest.left(now=100.0) == 0.0

    rest.worked(0.010, now=100.0)

    assert rest.left(now=100.0) == pytest.approx(0.020)
    assert rest.left(now=100.015) == pytest.approx(0.005)
    assert rest.left(now=100.021) == 0.0


def test_what_several_worked_at_once_is_added_up() -> None:
    rest = Rest(1.0)
    for now in (100.0, 100.001):
        rest.worked(0.010, now=now)

    assert rest.left(now=100.001) == pytest.approx(0.019)


def test_after_a_long_work_nobody_waits_as_long() -> None:
    rest = Rest(1.0)
    rest.worked(30.0, now=100.0)

    assert rest.left(now=100.0) == pytest.approx(MOST_REST_SECONDS)


def test_what_a_function_gives_or_raises_comes_back() -> None:
    def fails() -> None:
        raise KeyError("it")

    with Pool(threads=1, waiting=1, rest=1.0) as pool:
        assert asyncio.run(pool.run(lambda: 3)) == 3
        with pytest.raises(KeyError):
            asyncio.run(pool.run(fails))
        assert asyncio.run(pool.run(lambda: 4)) == 4
