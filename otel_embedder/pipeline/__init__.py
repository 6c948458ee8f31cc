"""One request through: rendered, embedded, annotated and passed on, in the time that there is."""
