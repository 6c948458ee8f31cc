"""Makes the golden vectors with the reference, sentence-transformers in fp32: `make golden`.

It runs in an environment of its own, with torch. The weights are checked and
found as the sidecar's are; none of its engines has a hand in the vectors.
"""

import numpy as np
from sentence_transformers import SentenceTransformer

from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.weights import find_weights
from tests.golden import TEXTS, VECTORS


def main() -> None:
    """Embed each text by itself, so that none is padded, and write the vectors."""
    reference = SentenceTransformer(
        str(find_weights(DEFAULT_MODEL).directory), device="cpu", model_kwargs={"dtype": "float32"}
    )
    vectors = reference.encode(TEXTS, batch_size=1, normalize_embeddings=True)
    np.save(VECTORS, np.asarray(vectors, dtype=np.float32))


if __name__ == "__main__":
    main()
