"""Faces to the outside that are no command: a page and an API over HTTP, RPC, tools."""
