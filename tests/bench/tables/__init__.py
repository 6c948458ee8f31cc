"""One table a module: what is measured, and how it is laid out."""
