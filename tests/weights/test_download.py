"""Downloads: whole, continued, refused, and by several at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ssd300.errors import DownloadError, ModelError
from ssd300.weights import download as module
from ssd300.weights.download import download
from ssd300.weights.lines import SafeRedirects
from weights.downloading import digest_of, files_in


def test_an_empty_file_is_downloaded(tmp_path, server) -> None:
    server.content = b""
    assert download(server.url, tmp_path / "m.pt") == digest_of(b"")
    assert (tmp_path / "m.pt").read_bytes() == b""


def test_a_file_is_downloaded_with_progress(tmp_path, server) -> None:
    seen = []
    path = tmp_path / "new folder" / "m.pt"
    assert download(server.url, path, progress=lambda *n: seen.append(n)) == digest_of(server.content)
    assert path.read_bytes() == server.content
    assert files_in(path.parent) == {"m.pt"}
    assert seen[-1] == (3_000_000, 3_000_000)
    assert seen == sorted(seen)


def test_a_file_of_unknown_length_is_downloaded(tmp_path, server) -> None:
    server.claims_length = False
    seen = []
    download(server.url, tmp_path / "m.pt", progress=lambda *n: seen.append(n))
    assert (tmp_path / "m.pt").read_bytes() == server.content
    assert seen[-1] == (3_000_000, None)


def test_an_interrupted_transfer_is_continued(tmp_path, server) -> None:
    server.cut_after = 1_000_000
    with pytest.raises(
        DownloadError, match=r"ended after 1,000,000 of 3,000,000 bytes; run it again, it continues after"
    ):
        download(server.url, tmp_path / "m.pt")
    assert files_in(tmp_path) == {"m.pt.part", "m.pt.part.tag"}
    assert download(server.url, tmp_path / "m.pt") == digest_of(server.content)
    assert server.requests == [None, "bytes=1000000-"]
    assert files_in(tmp_path) == {"m.pt"}


@pytest.mark.parametrize("change", ["file", "no ranges"])
def test_a_part_of_another_file_is_not_continued(tmp_path, server, change) -> None:
    server.cut_after = 1_000_000
    with pytest.raises(DownloadError):
        download(server.url, tmp_path / "m.pt")
    if change == "file":
        server.content, server.etag = server.content[::-1], '"2"'
    else:
        server.ranges = False
    assert download(server.url, tmp_path / "m.pt") == digest_of(server.content)
    assert files_in(tmp_path) == {"m.pt"}


def test_a_part_that_cannot_be_told_apart_is_not_continued(tmp_path, server) -> None:
    server.etag, server.cut_after = None, 1_000_000
    with pytest.raises(DownloadError, match="check the network and run it again"):
        download(server.url, tmp_path / "m.pt")
    download(server.url, tmp_path / "m.pt")
    assert server.requests == [None, None]


def test_a_part_longer_than_the_file_starts_again(tmp_path, server) -> None:
    (tmp_path / "m.pt.part").write_bytes(b"x" * 4_000_000)
    (tmp_path / "m.pt.part.tag").write_text('"1"')
    assert download(server.url, tmp_path / "m.pt") == digest_of(server.content)


def test_the_wrong_part_of_a_file_is_refused(tmp_path, server) -> None:
    server.cut_after = 1_000_000
    with pytest.raises(DownloadError):
        download(server.url, tmp_path / "m.pt")
    server.status, server.ranges = 206, False  # everything, called a part of it
    with pytest.raises(DownloadError, match="another part than requested"):
        download(server.url, tmp_path / "m.pt")
    assert files_in(tmp_path) == set()


def test_a_wrong_sha256_is_refused_and_nothing_stays(tmp_path, server) -> None:
    with pytest.raises(DownloadError, match=r"its sha256 is [0-9a-f]{64}, expected abcdef12"):
        download(server.url, tmp_path / "m.pt", sha256_prefix="abcdef12")
    assert files_in(tmp_path) == set()
    digest = digest_of(server.content)
    assert download(server.url, tmp_path / "m.pt", sha256_prefix=digest[:8]) == digest


def test_a_file_that_is_not_what_it_should_be_is_refused(tmp_path, server) -> None:
    def verify(path) -> None:
        raise ModelError(f"{path}: not a torch file")

    with pytest.raises(DownloadError, match=r"it is not the expected file: .*not a torch file"):
        download(server.url, tmp_path / "m.pt", verify=verify)
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize(("status", "words"), [(404, "answers 404"), (403, "answers 403"), (500, "answers 500")])
def test_a_server_that_refuses(tmp_path, server, status, words) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=words) as caught:
        download(server.url, tmp_path / "m.pt")
    assert server.url in str(caught.value)
    assert files_in(tmp_path) == set()


def test_a_web_page_is_refused(tmp_path, server) -> None:
    server.content, server.headers = b"<html>log in</html>", {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(DownloadError, match="the server sent a web page, not the file"):
        download(server.url, tmp_path / "m.pt")
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize("claims_length", [True, False])
def test_a_file_too_large_is_refused(tmp_path, server, claims_length, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_MODEL_BYTES", 1_000_000)
    server.claims_length = claims_length
    with pytest.raises(
        DownloadError, match=r"than 1,000,000, the limit of a model|than 1,000,000 bytes, the limit of a model"
    ):
        download(server.url, tmp_path / "m.pt")
    assert not (tmp_path / "m.pt").exists()


def test_no_server(tmp_path) -> None:
    with pytest.raises(
        DownloadError, match=rf"the network failed .*, or fetch it elsewhere and put it at {tmp_path}/m\.pt$"
    ):
        download("http://127.0.0.1:9/model.pt", tmp_path / "m.pt")


def test_a_server_that_falls_silent(tmp_path, server, monkeypatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    server.pause = 1.0
    with pytest.raises(DownloadError, match=r"the network failed \(timed out\); run it again, it continues after 1,5"):
        download(server.url, tmp_path / "m.pt")


def test_a_folder_that_cannot_be_written(tmp_path, server) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"cannot be written: .*; set SSD300_CACHE to another folder"):
        download(server.url, tmp_path / "file" / "m.pt")


def test_https_is_never_left() -> None:
    import urllib.request

    handler = SafeRedirects()
    request = urllib.request.Request("https://example.invalid/a")
    with pytest.raises(DownloadError, match=r"redirected to http://example.invalid/b, which is not https"):
        handler.redirect_request(request, None, 302, "Found", {}, "http://example.invalid/b")
    followed = handler.redirect_request(request, None, 302, "Found", {}, "https://example.invalid/b")
    assert followed.full_url == "https://example.invalid/b"


def test_two_at_once_download_it_once(tmp_path, server, monkeypatch) -> None:
    both, lock = threading.Barrier(2), module.lock_file

    def lock_together(*arguments, **options) -> None:
        both.wait(60)
        lock(*arguments, **options)

    monkeypatch.setattr(module, "lock_file", lock_together)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: download(server.url, tmp_path / "m.pt"), range(2)))
    assert answers == [digest_of(server.content)] * 2
    assert server.requests == [None]
    assert (tmp_path / "m.pt").read_bytes() == server.content
