"""Tells whether the default model, as it runs here, embeds what it should.

Its files may be right and its vectors wrong all the same. The engine writes its own machine code,
and where memory may not be both written and run, as under systemd's MemoryDenyWriteExecute, it
computes other vectors and says nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.errors import EmbeddingFailedError

if TYPE_CHECKING:
    from otel_embedder.embedder.embedding import Model

# One of the golden texts, and what sentence-transformers in fp32 makes of it.
REFERENCE_FILE = Path(__file__).with_name("reference.json")
# In int8 the cosine is .9981 for this text, and .9952 for the worst of the golden ones.
MIN_COSINE = 0.99


def check_reference(model: Model) -> None:
    """Make sure that the default model's vector of one text is what it should be.

    Raises:
        EmbeddingFailedError: it is not, or there is none.

    """
    reference = json.loads(REFERENCE_FILE.read_text(encoding="utf-8"))
    [embedding] = model.encode([reference["text"]])
    cosine = float(embedding.vector @ np.asarray(reference["vector"], np.float32))
    if not cosine >= MIN_COSINE:
        raise EmbeddingFailedError(
            f"the cosine to sentence-transformers' vector is {cosine:.4f}, not {MIN_COSINE} or more"
        )
