"""The files by which one proves who one is, which are renewed while we run."""
