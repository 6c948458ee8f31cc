"""Texts as the renderer makes them, and what sentence-transformers makes of these.

The texts are the project's own: spans of shops, banks and queues that do not
exist. `make` makes the vectors.
"""

from __future__ import annotations

import json
from pathlib import Path

TEXTS: list[str] = json.loads(Path(__file__).with_name("texts.json").read_text(encoding="utf-8"))
VECTORS = Path(__file__).with_name("vectors.npy")
