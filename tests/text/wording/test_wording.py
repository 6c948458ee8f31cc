from __future__ import annotations

import pytest

from otel_embedder.text.errors.error_text import Part
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.wording.wording import Wording, fitted


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [
        ([], []),
        ([3, 2], [3, 2]),
        ([100], [60]),
        ([3, 100, 2], [3, 55, 2]),
        ([50, 50], [30, 30]),
        ([10, 30, 50], [10, 25, 25]),
        ([10] * 100, [1] * 60 + [0] * 40),
    ],
)
def test_the_longest_parts_are_cut_to_one_length(lengths: list[int], kept: list[int]) -> None:
    parts = [[f"{number}"] * length for number, length in enumerate(lengths)]
    words = fitted(parts, 60)

    assert [words.count(f"{number}") for number in range(len(parts))] == kept


def test_an_error_has_the_same_words_after_others_as_alone() -> None:
    profile = RenderOptions(profile="words").words_profile()
    assert profile
    wording = Wording(profile)
    down, late = Part("acme.Down", "no shelf is free in Lyon"), Part("acme.Late", "after 5s")
    errors = [(down,), (late,), (down, late), (late, down), (down, down)]

    alone = [Wording(profile).error(parts) for parts in errors]
    assert [wording.error(parts) for parts in errors] == alone
    assert [wording.error(parts) for parts in errors] == alone
