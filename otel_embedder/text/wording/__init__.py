"""A span in words: what keys, values, statements and addresses say, as a profile has it."""
