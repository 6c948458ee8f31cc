"""Whether the spans nearest to a faulty one have its fault: of another time that it was injected.

Spans of its own injection are like it for other reasons: the same minute, the
same load, the same trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.evaluation.measures import precision
from otel_embedder.search.ranking import duration_likeness

if TYPE_CHECKING:
    from otel_embedder.search.evaluation.measures import Integers
    from otel_embedder.search.ranking import Floats

NEAREST = (1, 10)


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """How alike spans are.

    Attributes:
        cosines: of each text with each; shape (texts, texts).
        texts: the number of each span's text; shape (spans,).
        lasting: how long each took, in decades; the same shape.

    """

    cosines: Floats
    texts: Integers
    lasting: Floats

    def of(self, span: int, *, weight: float) -> Floats:
        """Give how alike each span is to one: shape (spans,).

        Args:
            span: its number.
            weight: what the durations count beside the cosine.

        """
        cosines: Floats = self.cosines[self.texts[span]][self.texts]
        if not weight:
            return cosines
        return cosines + weight * duration_likeness(self.lasting, self.lasting[span])


def neighbours(
    likeness: Likeness, injections: Integers, faults: Integers, *, weight: float
) -> Floats:
    """Give which share of each span's nearest 1 and 10 has the same fault: shape (spans, 2).

    Args:
        likeness: of the spans.
        injections: the number of each span's injection; shape (spans,).
        faults: the number of each span's fault; the same shape.
        weight: what durations count beside the cosine.

    """
    values = np.empty((len(faults), len(NEAREST)))
    for span in range(len(faults)):
        others = injections != injections[span]
        scores = likeness.of(span, weight=weight)[others]
        same = (faults == faults[span])[others]
        values[span] = [precision(scores, same, count) for count in NEAREST]
    return values
