"""Builds the image by buildah, and runs what is in it without a container engine.

An engine can't run in a sandbox. What it would do for a process is done by `unshare` and a few
lines: its own root, which can't be written, its own process ids, among which it is the first, the
image's variables and its user.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.processes import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOCKERFILE = REPOSITORY / "deploy" / "Dockerfile"
CONTEXT = REPOSITORY / "build" / "image" / "context"
BASE_ROOT = REPOSITORY / "build" / "image" / "base.tar"
STORAGE = REPOSITORY / "build" / "image" / "storage"
BUILDAH = (
    *("buildah", "--storage-driver", "vfs"),
    *("--root", str(STORAGE / "root"), "--runroot", str(STORAGE / "run")),
)
BASE, IMAGE = "localhost/otel-embedder-base", "localhost/otel-embedder"
APPLICATION = "opt/otel-embedder"

# What a container engine does before it lets a process begin. Root, user and variables come as
# arguments. A process that changes its user forgets whose end is its own, so that comes last.
ENTER = """
import ctypes, json, os, shutil, signal, subprocess, sys
root, user, variables, *words = sys.argv[1:]
def mount(*how): subprocess.run(["mount", *how], check=True)
mount("--bind", root, root)
mount("-t", "proc", "proc", f"{root}/proc")
mount("--bind", "/dev", f"{root}/dev")
mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/tmp")
mount("-o", "remount,ro,bind", root)
os.chroot(root)
os.chdir("/tmp")
uid, gid = map(int, user.split(":"))
os.setgroups([])
os.setgid(gid)
os.setuid(uid)
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
environment = dict(variable.split("=", 1) for variable in json.loads(variables))
os.execve(shutil.which(words[0], path=environment["PATH"]), words, environment)
"""


@dataclass(frozen=True, slots=True)
class Container:
    """An image's files, mounted, and what it says of how it is to be run.

    Attributes:
        name: buildah's name for it.
        root: the directory that is the root of its files.
        config: the image's own words: User, Env, Entrypoint, Labels and others.

    """

    name: str
    root: Path
    config: dict[str, Any]

    def command(self, *words: str, has_network: bool = True) -> tuple[str, ...]:
        """Give what runs a command in it as the first of its processes, on a read-only root."""
        namespaces = ("--mount", "--pid", "--fork", *(() if has_network else ("--net",)))
        return (
            *("unshare", *namespaces, sys.executable, "-c", ENTER, str(self.root)),
            *(self.config["User"], json.dumps(self.config["Env"]), *words),
        )

    def program(self) -> tuple[str, ...]:
        """Give what runs the image as it is meant to be, less its CMD."""
        return self.command(*self.config["Entrypoint"])

    def run(self, *words: str, has_network: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it to its end."""
        return subprocess.run(
            self.command(*words, has_network=has_network),
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=60,
        )


def buildah(*words: str | Path) -> str:
    """Run buildah; give what it prints.

    Raises:
        subprocess.CalledProcessError: it failed.

    """
    command = [*BUILDAH, *map(str, words)]
    finished = subprocess.run(command, stdout=subprocess.PIPE, check=True, encoding="utf-8")
    return finished.stdout.strip()


def build(*, version: str, extras: str = "none") -> None:
    """Build the image, on a base of our own in place of the two that its file names."""
    build_base()
    buildah(
        *("bud", "--isolation", "chroot", "--format", "docker", "--quiet", "--tag", image(extras)),
        *("--build-arg", f"BASE={BASE}", "--build-arg", f"BUILD_BASE={BASE}"),
        *("--build-arg", f"VERSION={version}", "--build-arg", f"EXTRAS={extras}"),
        *("--file", DOCKERFILE, CONTEXT),
    )
    buildah("rmi", "--prune")  # those whose names these took: 600 MB each


def image(extras: str) -> str:
    """Give the name of an image: each its own, for one with a container can't lose it."""
    return f"{IMAGE}:{extras}"


def build_base() -> None:
    """Make an image of the root that debootstrap made."""
    context = BASE_ROOT.parent / "base"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(f"FROM scratch\nADD {BASE_ROOT.name} /\n")
    (context / BASE_ROOT.name).unlink(missing_ok=True)
    (context / BASE_ROOT.name).hardlink_to(BASE_ROOT)
    buildah("bud", "--isolation", "chroot", "--quiet", "--tag", BASE, context)


@contextmanager
def container(extras: str = "none") -> Iterator[Container]:
    """Mount the image's files."""
    name = buildah("from", "--pull-never", image(extras))
    try:
        inspected = json.loads(buildah("inspect", "--type", "container", name))
        config = inspected["Docker"]["config"]
        yield Container(name, Path(buildah("mount", name)), config)
    finally:
        buildah("rm", name)


def run_by_buildah(box: Container, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as buildah does it: the image's user, in a chroot."""
    command = [*BUILDAH, "run", "--isolation", "chroot", box.name, "--", *words]
    return subprocess.run(command, capture_output=True, check=False, encoding="utf-8", timeout=60)


def packed_bytes(directory: Path, scratch: Path) -> int:
    """Give the size of a directory as a layer that is pulled: a tar, gzipped."""
    with tarfile.open(scratch, "w:gz", compresslevel=6) as archive:
        archive.add(directory)
    return scratch.stat().st_size


def unpacked_bytes(directory: Path) -> int:
    """Give what the files of a directory hold."""
    return sum(file.lstat().st_size for file in directory.rglob("*") if not file.is_dir())
