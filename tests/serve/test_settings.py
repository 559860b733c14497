"""Texts that clients and operators give: Accept, sizes, key files, settings."""

import pytest

from ssd300.serve.answers import choose_media
from ssd300.serve.problem import Problem
from ssd300.serve.settings import Settings, read_keys, size_in_bytes


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, application/*;q=0.8, text/csv;q=0.9", "text/csv"),
        ("image/webp, image/png", "image/webp"),
        ("IMAGE/PNG", "image/png"),
        ("*/*, text/csv", "application/json"),
        ("*/*;q=0.1, text/*;q=0.2", "text/csv"),
        ("*/*, application/*;q=0, text/csv;q=0", "image/jpeg"),
        ("*/*;q=0, image/*", "image/jpeg"),
    ],
)
def test_accept(accept, media) -> None:
    assert choose_media(accept) == media


@pytest.mark.parametrize("accept", ["text/html", "image/png;q=0", "image/png;q=x", ","])
def test_accept_of_what_there_is_not(accept) -> None:
    with pytest.raises(Problem, match="Accept is"):
        choose_media(accept)


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("500k", 512000), ("32M", 2**25), ("1 GiB", None), ("1GiB", 2**30)]
)
def test_sizes(text, size) -> None:
    if size is None:
        with pytest.raises(ValueError, match="is not a size"):
            size_in_bytes(text)
    else:
        assert size_in_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no key in this file"),
        ("# words\n\n", "no key in this file"),
        ("short", "one has 5 characters"),
        ("two words here", "one has a space or a character that is not ASCII"),
    ],
)
def test_key_files_without_a_good_key(tmp_path, text, words) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_keys(tmp_path / "keys")


def test_a_key_file(tmp_path) -> None:
    (tmp_path / "keys").write_text("# ours\nfirst-key\n second-key \n", encoding="utf-8-sig")
    assert read_keys(tmp_path / "keys") == ("first-key", "second-key")
    with pytest.raises(ValueError, match="cannot be read"):
        read_keys(tmp_path / "none")


@pytest.mark.parametrize("bad", [{"queue": 0}, {"max_body": 0}, {"timeout": 0}, {"max_pixels": 2**40}])
def test_settings_refuse_what_cannot_be(bad) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Settings(**bad)
