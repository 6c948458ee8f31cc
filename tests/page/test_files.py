"""The page's files, without a browser."""

from __future__ import annotations

import re
from pathlib import Path

import otel_embedder.api

STATIC = Path(otel_embedder.api.__file__).parent / "static"
OWN = [file for file in STATIC.rglob("*.js") if "vendor" not in file.parts]
OUTSIDE = re.compile(r"https?://(?!www\.w3\.org/)[\w.]+")
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(")


def test_each_module_is_asked_for_at_once_by_the_first_file() -> None:
    asked = re.findall(
        r'(?:modulepreload" href|src)="([^"]+\.js)"', (STATIC / "index.html").read_text()
    )
    assert sorted(asked) == sorted(str(file.relative_to(STATIC)) for file in OWN)


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
