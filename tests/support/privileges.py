"""A thread that keeps to the modes of files, also where tests run as root."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# As linux/capability.h has them.
VERSION = 0x20080522
MODES_DO_NOT_MATTER = 0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH

_LIBC = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def modes_matter() -> Iterator[None]:
    """Let this thread, and those that it begins meanwhile, do no more than modes of files allow."""
    header = _Header(VERSION, 0)
    found = (_Capabilities * 2)()
    assert _LIBC.capget(ctypes.byref(header), found) == 0
    before = found[0].effective
    found[0].effective = before & ~MODES_DO_NOT_MATTER
    assert _LIBC.capset(ctypes.byref(header), found) == 0
    try:
        yield
    finally:
        found[0].effective = before
        assert _LIBC.capset(ctypes.byref(header), found) == 0
