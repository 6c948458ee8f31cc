"""Fuzzes each check in turn and says what was found; `make fuzz` runs it.

It ends with 1 if there is a finding. The input is kept in build/fuzz/findings and printed, with the
command that tries it again. Once mended it belongs into tests/fuzz/corpus, to be tried ever after.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import click

from tests.fuzz.checks import CHECKS, CORPUS

BUILD = Path("build/fuzz")

# A span of 64 KiB takes some milliseconds, when nothing else runs.
MAX_SECONDS_AN_INPUT = 10
MAX_BYTES = {"render": 65_536}
# Of many small spans these take long enough already.
USUAL_MAX_BYTES = 16_384
MAX_MEGABYTES = 2_048
SHOWN_LINES = 40

PROGRESS = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+)", re.MULTILINE)


def main() -> None:
    arguments = parsed_arguments()
    if arguments.replay:
        [name] = arguments.checks
        CHECKS[name](arguments.replay.read_bytes())
        return
    seconds = arguments.seconds // len(arguments.checks)
    found = [fuzz(name, seconds, arguments.seed) for name in arguments.checks]
    sys.exit(any(found))


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("checks", nargs="*", default=[*CHECKS], help=f"of {', '.join(CHECKS)}")
    parser.add_argument("--seconds", type=int, default=60, help="for all of them (60)")
    parser.add_argument("--seed", type=int, default=0, help="of what is tried (another each time)")
    parser.add_argument("--replay", type=Path, help="try this input again, without atheris")
    arguments = parser.parse_args()
    if unknown := {*arguments.checks} - {*CHECKS}:
        parser.error(f"there is no check {', '.join(sorted(unknown))}")
    if arguments.replay and len(arguments.checks) != 1:
        parser.error("name the one check to try the input with")
    return arguments


def fuzz(name: str, seconds: int, seed: int) -> bool:
    """Fuzz a check; tell whether there was a finding."""
    findings = made(BUILD / "findings" / name)
    before = set(findings.iterdir())
    ended = subprocess.run(  # noqa: PLW1510 - the code is looked at below
        [sys.executable, "-m", "tests.fuzz.guided", name, findings, *options(name, seconds, seed)],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    click.echo(f"{name}: {progress(ended.stderr)}")
    if ended.returncode:
        click.echo("\n".join(ended.stderr.splitlines()[-SHOWN_LINES:]))
        for finding in sorted({*findings.iterdir()} - before):
            show(name, finding)
    return ended.returncode != 0


def options(name: str, seconds: int, seed: int) -> list[str | Path]:
    """Give libFuzzer's options. What takes a new branch it writes into the first directory."""
    return [
        f"-seed={seed}",
        f"-max_total_time={seconds}",
        f"-timeout={MAX_SECONDS_AN_INPUT}",
        f"-max_len={MAX_BYTES.get(name, USUAL_MAX_BYTES)}",
        f"-rss_limit_mb={MAX_MEGABYTES}",
        made(BUILD / "corpus" / name),
        CORPUS / name,
    ]


def made(directory: Path) -> Path:
    """Give a directory that is there."""
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def progress(log: str) -> str:
    """Say how many inputs were tried, and how the branches that they took became more."""
    counts = PROGRESS.findall(log)
    if not counts:
        return "not one input tried"
    (_, first), (inputs, last) = counts[0], counts[-1]
    return f"{inputs} inputs, {first} to {last} places in the code reached"


def show(name: str, finding: Path) -> None:
    """Print an input that was found, and how to try it again."""
    click.echo(f"{finding}\n{finding.read_bytes().hex()}")
    click.echo(f"{sys.executable} -m tests.fuzz {name} --replay {finding}")


if __name__ == "__main__":
    main()
