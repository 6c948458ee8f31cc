"""Texts in, vectors out: `FallbackEmbedder(CachingEmbedder(BatchingEmbedder(model)))`."""
