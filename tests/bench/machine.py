"""What the numbers are true of."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from loky import cpu_count

from tests.support.processes import REPOSITORY, collector_binary

PACKAGES = ("grpcio", "protobuf", "numpy", "ctranslate2")


def machine() -> dict[str, str]:
    """Name the machine, the versions and the commit."""
    collector = subprocess.check_output([collector_binary(), "--version"], text=True).strip()
    return {
        "machine": f"{cpu_model()}, {cpu_count()} of {os.cpu_count()} CPUs",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{package} {version(package)}" for package in PACKAGES),
        "collector": collector,
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(": ")[1] for line in lines if "model name" in line), "unknown CPU")


def commit() -> str:
    """Give the commit that is checked out, and whether something was changed since."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git there is
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    return described.stdout.strip() or "unknown"
