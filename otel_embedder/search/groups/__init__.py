"""Which failures there are: failing traces put together by the words of their cause."""
