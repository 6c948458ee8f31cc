"""What the processor can that the tests run on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# Products of int8 added up in 32 bits; on ARM they always are.
WITH_WIDE_INT8 = {"avx512_vnni", "avx_vnni", "asimddp"}


@cache
def has_wide_int8() -> bool:
    """Tell whether sums of two products of int8 can't overflow: on AMD since Zen 4.

    Where they can the engine's vectors are a little farther from the reference.
    """
    return any(flag in WITH_WIDE_INT8 for flag in CPUINFO.read_text("utf-8").split())
