"""The page and the API over HTTP."""
