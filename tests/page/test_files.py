"""The page's files, without a browser."""

from __future__ import annotations

import re
from pathlib import Path

import otel_embedder.api

STATIC = Path(otel_embedder.api.__file__).parent / "static"
OWN = [file for file in STATIC.rglob("*.js") if "vendor" not in file.parts]
OUTSIDE = re.compile(r"https?://(?!www\.w3\.org/)[\w.]+")
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(")


def test_what_the_first_view_needs_is_asked_for_at_once_by_the_first_file() -> None:
    asked = re.findall(
        r'(?:modulepreload" href|src)="([^"]+\.js)"', (STATIC / "index.html").read_text()
    )
    needed = imported("app.js") | imported("views/changes.js")
    assert sorted(asked) == sorted(needed)
    views = re.findall(r"import\('\./([^']+)'\)", (STATIC / "app.js").read_text())
    assert needed.union(*map(imported, views)) == {str(file.relative_to(STATIC)) for file in OWN}


def imported(module: str) -> set[str]:
    """Give a module and all that it imports, and so on, by their paths."""
    file = STATIC / module
    others = re.findall(r"^(?:import|}).* from '([^']+)';", file.read_text(), re.MULTILINE)
    paths = ((file.parent / each).resolve().relative_to(STATIC) for each in others)
    return {module}.union(*(imported(str(path)) for path in paths))


def test_no_module_makes_markup_or_names_another_site() -> None:
    for file in [*OWN, STATIC / "index.html", *STATIC.glob("*.css")]:
        text = file.read_text()
        assert not MARKUP.search(text), file
        assert not OUTSIDE.search(text), file


def test_nothing_in_the_first_file_is_inline() -> None:
    index = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", index)


def test_the_licence_of_what_is_another_s_lies_beside_it() -> None:
    for folder in (STATIC / "vendor").iterdir():
        assert "Permission is hereby granted" in (folder / "LICENSE").read_text()
