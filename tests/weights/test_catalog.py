import hashlib
from pathlib import Path

import pytest
import torch

from ssd300.errors import ArgumentError, DownloadError, ModelError
from ssd300.weights import catalog
from ssd300.weights.catalog import CATALOG, CatalogEntry, cache_folder, load_weights, resolve
from ssd300.weights.checkpoint import write_checkpoint


@pytest.fixture
def published(tmp_path, server, state, monkeypatch) -> CatalogEntry:
    """A catalog of one downloadable detector without a pinned sha256."""
    torch.save({"model": {key: torch.from_numpy(value) for key, value in state.items()}}, tmp_path / "source.pt")
    server.content = (tmp_path / "source.pt").read_bytes()
    entry = CatalogEntry("cells-net", "detector", "cells.pt", "MIT", "none", server.url)
    monkeypatch.setattr(catalog, "CATALOG", (entry,))
    return entry


def test_the_catalog_names_what_can_be_had() -> None:
    entries = {entry.name: entry for entry in CATALOG}
    assert list(entries)[:2] == ["default", "nvidia-resnet50-coco"]
    assert {name for name in entries if name.startswith("imagenet-")} == {
        f"imagenet-resnet{depth}" for depth in (18, 34, 50, 101, 152)
    }
    for entry in entries.values():
        assert entry.licence
        assert entry.metric
        assert entry.url is None or entry.url.startswith("https://")
        assert entry.sha256_prefix in entry.file_name
        assert entry.state in ("bundled", "absent", "downloadable")


def test_the_cache_folder_can_be_chosen(own_cache, monkeypatch) -> None:
    assert cache_folder() == own_cache
    monkeypatch.setenv("SSD300_CACHE", "~/models")
    assert cache_folder() == Path.home() / "models"
    monkeypatch.delenv("SSD300_CACHE")
    assert cache_folder().name == "ssd300"


def test_a_bundled_model_that_is_missing_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(catalog, "BUNDLED_FOLDER", tmp_path)
    with pytest.raises(ModelError, match=r"'default' is not part of this installation .*reinstall ssd300, or give"):
        resolve("default")


def test_a_bundled_model_is_found(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(catalog, "BUNDLED_FOLDER", tmp_path)
    (tmp_path / "default.safetensors").touch()
    assert resolve("default") == tmp_path / "default.safetensors"


def test_a_file_is_itself(checkpoint, state, metadata) -> None:
    assert resolve(checkpoint) == checkpoint
    assert resolve(str(checkpoint)) == checkpoint
    read, description = load_weights(str(checkpoint))
    assert (list(read), description) == (list(state), metadata)
    for wrong in (None, 7, [checkpoint]):
        with pytest.raises(ArgumentError, match=f"its file, got {type(wrong).__name__}"):
            resolve(wrong)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("defualt", "; did you mean 'default'? Known: default,"),
        ("nvidia-resnet50", "did you mean 'nvidia-resnet50-coco'?"),
        ("imagenet-resnet19", "did you mean 'imagenet-resnet1"),
        ("zzz", "). Known: default, nvidia-resnet50-coco"),
        ("z" * 300, "z: neither a file nor a known model (looked from /"),
        ("", "a folder, expected a model file in it"),
    ],
)
def test_an_unknown_model_is_an_error_with_the_nearest(name, words) -> None:
    for read in (resolve, load_weights):
        with pytest.raises(ModelError) as caught:
            read(name)
        assert words in str(caught.value)


@pytest.mark.parametrize("entry", [entry for entry in CATALOG if entry.url], ids=lambda entry: entry.name)
def test_offline_says_what_to_fetch_and_where_to_put_it(entry, monkeypatch, own_cache) -> None:
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    with pytest.raises(DownloadError) as caught:
        resolve(entry.name)
    assert f"fetch {entry.url} elsewhere and put it at {own_cache / entry.file_name}" in str(caught.value)


def test_a_model_is_downloaded_once_and_its_sha256_recorded(published, server, own_cache, monkeypatch) -> None:
    assert published.state == "downloadable"
    path = resolve("cells-net")
    digest = hashlib.sha256(server.content).hexdigest()
    assert path == own_cache / "cells.pt"
    assert published.state == "cached"
    assert (own_cache / "cells.pt.sha256").read_text() == f"{digest}  cells.pt\n"
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    assert resolve("cells-net") == path
    assert len(server.requests) == 1
    assert load_weights(path)[1].backbone == "resnet18"


def test_a_cached_file_that_changed_is_refused(published, server) -> None:
    path = resolve("cells-net")
    with path.open("r+b") as file:
        file.seek(100_000)
        file.write(b"changed")
    with pytest.raises(ModelError, match="the file has changed or is damaged; delete it to download it again"):
        resolve("cells-net")
    path.unlink()
    assert resolve("cells-net") == path
    assert len(server.requests) == 2


def test_force_downloads_again_and_a_changed_file_is_refused(published, server) -> None:
    path = resolve("cells-net")
    assert resolve("cells-net", force=True) == path
    assert len(server.requests) == 2
    old, server.content = server.content, server.content + b"x"
    with pytest.raises(DownloadError, match="its sha256 is"):
        resolve("cells-net", force=True)
    assert path.read_bytes() == old


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 no archive"])
def test_a_download_that_is_no_model_leaves_nothing(published, server, own_cache, content) -> None:
    server.content = content
    with pytest.raises(DownloadError, match="it is not the expected file"):
        resolve("cells-net")
    assert [path.name for path in own_cache.iterdir() if not path.name.endswith(".lock")] == []


def test_a_file_put_there_by_hand_is_checked_against_its_pin(own_cache, monkeypatch) -> None:
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    digest = hashlib.sha256(b"weights").hexdigest()
    entry = CatalogEntry("net", "backbone", "net.pth", "MIT", "none", "http://127.0.0.1:9/net.pth", digest[:8])
    monkeypatch.setattr(catalog, "CATALOG", (entry,))
    (own_cache / "net.pth").write_bytes(b"weights")
    assert resolve("net") == own_cache / "net.pth"
    assert (own_cache / "net.pth.sha256").read_text().startswith(digest)
    (own_cache / "net.pth.sha256").unlink()
    (own_cache / "net.pth").write_bytes(b"other weights")
    with pytest.raises(ModelError, match=f"expected {digest[:8]}: the file has changed or is damaged"):
        resolve("net")


def test_a_damaged_file_put_there_by_hand_does_not_refuse_the_whole_one(published, own_cache, monkeypatch, server):
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    (own_cache / "cells.pt").write_bytes(server.content[:-1000])
    with pytest.raises(ModelError, match="copy or download it again"):
        resolve("cells-net")
    (own_cache / "cells.pt").write_bytes(server.content)
    assert resolve("cells-net") == own_cache / "cells.pt"


def test_a_cache_that_cannot_be_read_has_no_files(published, tmp_path, monkeypatch):
    monkeypatch.setenv("SSD300_CACHE", str(tmp_path / ("x" * 300)))  # an OSError for everyone, root included
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    assert published.state == "downloadable"
    with pytest.raises(DownloadError, match="put it at"):
        resolve("cells-net")


@pytest.mark.filterwarnings("ignore:.*is downloaded for this run only:UserWarning")
def test_where_nothing_can_be_cached_a_run_downloads_once(published, server, tmp_path, monkeypatch):
    (tmp_path / "in the way").touch()
    monkeypatch.setenv("SSD300_CACHE", str(tmp_path / "in the way"))
    paths = [resolve("cells-net"), resolve("cells-net")]
    assert len(server.requests) == 1
    assert paths == [resolve("cells-net", force=True)] * 2
    assert len(server.requests) == 2
    assert paths[0].read_bytes() == server.content


def test_a_name_wins_over_a_file_of_that_name_and_a_path_does_not(published, tmp_path, monkeypatch, state, metadata):
    monkeypatch.chdir(tmp_path)
    write_checkpoint("cells-net", state, metadata)
    assert resolve("cells-net").name == "cells.pt"
    assert resolve(Path("cells-net")) == Path("cells-net")


def test_a_backbone_is_refused_before_anything_is_fetched(own_cache) -> None:
    with pytest.raises(ModelError, match=r"'imagenet-resnet18' is not a detector, .*detectors: default, nvidia"):
        resolve("imagenet-resnet18", detector=True)
    assert not any(own_cache.iterdir())


def test_a_zip_application_is_refused_by_name(tmp_path, monkeypatch) -> None:
    (tmp_path / "app.pyz").write_bytes(b"PK")
    monkeypatch.setattr(catalog, "BUNDLED_FOLDER", tmp_path / "app.pyz" / "ssd300" / "weights" / "files")
    with pytest.raises(ModelError, match=r"loaded from inside .*app\.pyz, .* build a program with PyInstaller"):
        resolve("default")
