"""What the model gives, beside what sentence-transformers gives in fp32 for the same weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.golden import TEXTS, VECTORS
from tests.golden.rendered import RENDERED, rendered
from tests.support.processor import has_wide_int8

if TYPE_CHECKING:
    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.embedder.models.ctranslate2 import CTranslate2Model

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def reference() -> Vector:
    vectors: Vector = np.load(VECTORS)
    return vectors


def test_there_is_a_golden_vector_for_each_text(reference: Vector) -> None:
    assert reference.shape == (len(TEXTS), 384)
    assert reference.dtype == np.float32
    assert np.allclose(np.linalg.norm(reference, axis=1), 1, atol=1e-6)
    assert len(set(TEXTS)) == len(TEXTS)


@pytest.mark.integration
def test_the_model_is_as_good_as_the_reference(
    real_model: CTranslate2Model, reference: Vector
) -> None:
    cosines = cosines_to(reference, real_model)
    as_rendered = cosines[[not is_tiny(text) for text in TEXTS]]

    assert len(as_rendered) >= 24
    assert as_rendered.min() >= 0.99
    assert as_rendered.mean() >= (0.997 if has_wide_int8() else 0.995)


@pytest.mark.integration
def test_of_a_text_of_hardly_a_word_int8_loses_more(
    real_model: CTranslate2Model, reference: Vector
) -> None:
    """The default template makes none, but somebody may search with one."""
    cosines = cosines_to(reference, real_model)
    tiny = cosines[[is_tiny(text) for text in TEXTS]]

    assert len(tiny) > 0
    assert tiny.min() >= (0.98 if has_wide_int8() else 0.97)


def cosines_to(reference: Vector, model: CTranslate2Model) -> Vector:
    vectors = np.stack([embedding.vector for embedding in model.encode(TEXTS)])
    cosines: Vector = (vectors * reference).sum(axis=1)
    return cosines


def is_tiny(text: str) -> bool:
    return len(text.split()) < 2


def test_spans_read_as_they_did() -> None:
    """Who changes a rule on purpose makes the texts anew, and raises RENDERER_VERSION."""
    assert rendered() == json.loads(RENDERED.read_text("utf-8"))
