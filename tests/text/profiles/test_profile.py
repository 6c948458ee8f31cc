from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.text.profiles.profile import built_in, read_profile, words_profile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "short.yaml"


def test_what_a_profile_leaves_out_is_as_in_words(file: Path) -> None:
    file.write_text("duration: none\nparts: [error, operation]\n")

    profile = read_profile(file)

    assert (profile.name, profile.duration, profile.parts) == (
        "short",
        "none",
        ("error", "operation"),
    )
    assert profile.leave_out == words_profile().leave_out


def test_the_profile_that_is_printed_is_a_profile(file: Path) -> None:
    file.write_text(built_in("words"))

    assert read_profile(file).digest() == words_profile().digest()


def test_an_empty_file_is_words(file: Path) -> None:
    file.write_text("# nothing yet\n")

    assert read_profile(file).digest() == words_profile().digest()


def test_profiles_of_other_choices_have_another_digest_and_comments_none(file: Path) -> None:
    digests = []
    for text in ("duration: none", "duration: series", "# why\nduration: 'none'"):
        file.write_text(text)
        digests.append(read_profile(file).digest())

    assert digests[0] == digests[2] != digests[1]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("parts: [error, words]", ["line 1: parts.1: ", "'status'"]),
        ("\nparts: [error, error]", ["line 2: parts: error stands there twice"]),
        ("parts: []", ["line 1: parts: "]),
        ("duration: long", ["line 1: duration: ", "'none', 'words' or 'series'"]),
        ("error_words: -1", ["line 1: error_words: "]),
        ("error_words: 1000", ["line 1: error_words: "]),
        ("durations: none", ["line 1: durations: there is no such choice", "profile show words"]),
        ("masks: sometimes\nkeep: app.*", ["line 1: masks: ", "line 2: keep: "]),
        ("codes: [{keys: [a]}]", ["line 1: codes.0.words: "]),
        ("parts: [error", ["is not YAML in line "]),
        ("just words", ["must hold choices"]),
        ("- parts", ["must hold choices"]),
        ("&a [*a]", ["must hold choices"]),
    ],
)
def test_what_no_profile_can_be_is_told_with_its_line(
    file: Path, text: str, problems: list[str]
) -> None:
    file.write_text(text)
    with pytest.raises(ValueError, match=r"short\.yaml") as raised:
        read_profile(file)

    for problem in problems:
        assert problem in str(raised.value)


@pytest.mark.parametrize("content", [b"\x80\x81", b"a\0b: 1"])
def test_what_is_no_text_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError, match="YAML"):
        read_profile(file)


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(ValueError, match="can't be read: No such file"):
        read_profile(file)


def test_a_file_without_end_is_refused(file: Path) -> None:
    file.write_bytes(b"#" * 2_000_000)
    with pytest.raises(ValueError, match="larger than"):
        read_profile(file)
