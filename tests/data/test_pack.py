import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd300.data.convert import convert_dataset
from ssd300.data.dataset import Dataset
from ssd300.data.load import load_dataset
from ssd300.data.pack import pack_dataset, write
from ssd300.data.pack.read import ENCODINGS, FOOTER
from ssd300.errors import ArgumentError, DatasetError, OutputError
from ssd300.labels import ClassList


@pytest.fixture
def pets(coco: Path) -> Dataset:
    return load_dataset(coco)


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no pictures to pack"):
        pack_dataset(Dataset("none", ClassList(("cat",), (1,)), ()), tmp_path / "none.pack")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("write", ["pack", "convert"])
def test_the_umask_decides_who_can_read_what_was_written(pets: Dataset, tmp_path: Path, write: str) -> None:
    out = tmp_path / "new" / "pets.pack"
    old = os.umask(0o002)
    try:
        pack_dataset(pets, out) if write == "pack" else convert_dataset({"train": pets}, out, "yolo")
    finally:
        os.umask(old)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "new").rglob("*")}
    assert modes == ({0o664} if write == "pack" else {0o664, 0o775})
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["pets.pack"]


def test_a_full_disk_says_so_and_the_old_file_stays(pets: Dataset, tmp_path: Path, monkeypatch) -> None:
    pack_dataset(pets, tmp_path / "pets.pack")
    before = (tmp_path / "pets.pack").read_bytes()

    def full(piece: object, picture: object, data: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ssd300.data.pack.write._Piece.add", full)
    with pytest.raises(OutputError, match=r"pets\.pack: cannot be written: No space left on device; free some space"):
        pack_dataset(pets, tmp_path / "pets.pack")
    assert [p.name for p in tmp_path.glob("*pets*")] == ["pets.pack"]
    assert (tmp_path / "pets.pack").read_bytes() == before


@pytest.mark.parametrize(
    "write", [pack_dataset, lambda pets, out: convert_dataset({"train": pets}, out.parent, "coco")]
)
def test_a_folder_that_cannot_be_read_is_named(pets: Dataset, tmp_path: Path, monkeypatch, write: Any) -> None:
    def closed(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(Path, "iterdir", closed)
    with pytest.raises(OutputError, match=r"cannot be written: Permission denied; choose another folder"):
        write(pets, tmp_path / "out" / "pets.pack")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("piece_mb", [None, 0.002])
def test_a_packed_set_reads_back(pets: Dataset, tmp_path: Path, encoding: str, piece_mb: float | None) -> None:
    paths = pack_dataset(pets, tmp_path / "pets.pack", encoding=encoding, piece_mb=piece_mb)  # type: ignore[arg-type]
    assert (len(paths) == 1) == (piece_mb is None)
    read = load_dataset(paths[-1])
    assert read.name == pets.name
    assert read.classes == pets.classes
    for ours, theirs in zip(pets.pictures, read.pictures, strict=True):
        assert theirs.annotations == ours.annotations
        assert (theirs.image_id, theirs.file_name) == (ours.image_id, ours.file_name)
        difference = theirs.read().astype(int) - ours.read()
        assert np.abs(difference).mean() < (8 if encoding == "jpeg" else 1e-9)


def test_larger_pictures_are_shrunk_with_their_boxes(pets: Dataset, tmp_path: Path) -> None:
    pack_dataset(pets, tmp_path / "pets.pack", encoding="raw", max_side=32)
    picture = load_dataset(tmp_path / "pets.pack").pictures[0]
    assert (picture.width, picture.height) == (32, 24)
    assert picture.read().shape == (24, 32, 3)
    assert picture.annotations.boxes_xyxy.tolist() == [[2, 3, 12, 18], [15.25, 5.125, 27.75, 17.625]]
    assert picture.annotations.area.tolist() == [150, 156.25]


def test_originals_keep_their_size_and_bytes(pets: Dataset, tmp_path: Path) -> None:
    pack_dataset(pets, tmp_path / "pets.pack", encoding="original", max_side=32)
    assert (tmp_path / "pets.pack").read_bytes().find(pets.pictures[0].path.read_bytes()) > 0
    assert load_dataset(tmp_path / "pets.pack").pictures[0].width == 64


def test_raw_pixels_are_views_of_the_file(pets: Dataset, tmp_path: Path) -> None:
    pack_dataset(pets, tmp_path / "pets.pack", encoding="raw")
    first, second = load_dataset(tmp_path / "pets.pack").pictures[:2]
    pixels = first.read()
    assert not pixels.flags.writeable
    assert not pixels.flags.owndata
    assert np.array_equal(pixels, pets.pictures[0].read())
    assert np.array_equal(second.read(), pets.pictures[1].read())


def test_a_packed_picture_pickles_small(pets: Dataset, tmp_path: Path) -> None:
    pack_dataset(pets, tmp_path / "pets.pack", encoding="raw")
    data = pickle.dumps(load_dataset(tmp_path / "pets.pack").pictures[0])
    assert len(data) < 2500
    assert np.array_equal(pickle.loads(data).read(), pets.pictures[0].read())


def test_a_replaced_file_is_mapped_anew(pets: Dataset, tmp_path: Path) -> None:
    (path,) = pack_dataset(pets, tmp_path / "pets.pack", encoding="raw")
    load_dataset(path).pictures[0].read()
    pack_dataset(pets.subset([2]), path, encoding="raw")
    assert np.array_equal(load_dataset(path).pictures[0].read(), pets.pictures[2].read())


@pytest.mark.parametrize(("more_classes", "letter"), [(0, "a"), (1500, "a"), (0, "😀")])
def test_pieces_stay_within_their_limit(pets: Dataset, tmp_path: Path, more_classes: int, letter: str) -> None:
    more = [f"class {number}" for number in range(more_classes)]
    many = pets.with_classes(ClassList.from_names([*pets.classes.names, *more])).subset([0, 1, 2, 3] * 10)
    long = [replace(one, file_name=f"{letter * 200}{n}.jpg") for n, one in enumerate(many.pictures)]
    many = replace(many, pictures=tuple(long))
    paths = pack_dataset(many, tmp_path / "pets.pack", encoding="raw", piece_mb=0.05)
    assert [path.name for path in paths][:2] == [f"pets-{i:05}-of-{len(paths):05}.pack" for i in (0, 1)]
    assert len(paths) > 5
    assert max(path.stat().st_size for path in paths) <= 50_000
    assert load_dataset(tmp_path, split="pets").num_boxes == 40


def test_there_may_be_more_pieces_than_files_may_be_open(pets: Dataset, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = os.dup(0)  # the next free number
    os.close(most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + 16, hard))
    try:
        paths = pack_dataset(pets.subset([0, 1, 2, 3] * 10), tmp_path / "pets.pack", encoding="raw", piece_mb=0.01)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(paths) > 20
    assert len(load_dataset(paths[0])) == 40


def test_a_missing_piece_is_named(pets: Dataset, tmp_path: Path) -> None:
    paths = pack_dataset(pets, tmp_path / "pets.pack", encoding="raw", piece_mb=0.015)
    paths[1].unlink()
    with pytest.raises(DatasetError, match=rf"1 of {len(paths)} pieces are missing .*: {paths[1].name}"):
        load_dataset(paths[0])


def test_a_piece_of_another_set_is_named(pets: Dataset, tmp_path: Path) -> None:
    paths = pack_dataset(pets, tmp_path / "pets.pack", encoding="raw", piece_mb=0.015)
    others = pack_dataset(pets.subset([3, 2, 1, 0]), tmp_path / "other.pack", encoding="raw", piece_mb=0.015)
    others[1].replace(paths[1])
    with pytest.raises(DatasetError, match=rf"{paths[1].name} belong to another data set"):
        load_dataset(paths[0])


def test_pieces_of_two_packings_of_one_set_are_not_taken_for_whole(pets: Dataset, tmp_path: Path, monkeypatch) -> None:
    """The second one, of other boxes, is stopped between two of its pieces."""
    pack_dataset(pets, tmp_path / "pets.pack", encoding="raw", piece_mb=0.015)
    shrunk = replace(pets.pictures[0].annotations, area=pets.pictures[0].annotations.area / 2)
    other = replace(pets, pictures=(replace(pets.pictures[0], annotations=shrunk), *pets.pictures[1:]))
    publish, done = write.publish, []

    def stop_at_the_second(temporary: Path, path: Path) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(path)
        publish(temporary, path)

    monkeypatch.setattr(write, "publish", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        pack_dataset(other, tmp_path / "pets.pack", encoding="raw", piece_mb=0.015)
    with pytest.raises(DatasetError, match="belong to another data set"):
        load_dataset(done[0])


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("piece_mb", [None, 0.015])
def test_a_piece_that_is_read_only_is_refused_before_any_is_replaced(
    pets: Dataset, tmp_path: Path, monkeypatch, piece_mb: float | None
) -> None:
    paths = pack_dataset(pets, tmp_path / "pets.pack", encoding="raw", piece_mb=0.015)
    before = [path.read_bytes() for path in paths]
    paths[-1].chmod(0o444)
    monkeypatch.setattr(os, "access", lambda path, mode: bool(os.stat(path).st_mode & 0o200))  # for root, too
    with pytest.raises(OutputError, match=f"{paths[-1].name}: cannot be written: it exists and is read-only"):
        pack_dataset(pets.subset([1, 2]), tmp_path / "pets.pack", encoding="raw", piece_mb=piece_mb)
    assert [path.read_bytes() for path in sorted(tmp_path.glob("*.pack"))] == before


@pytest.mark.parametrize(
    ("keep", "words"),
    [(0, "cannot be read"), (5, "not a packed data set"), (100, "cut off"), (-1, "cut off"), (-40, "cut off")],
)
def test_a_file_that_is_cut_off(pets: Dataset, tmp_path: Path, keep: int, words: str) -> None:
    path = tmp_path / "pets.pack"
    pack_dataset(pets, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatasetError, match=words):
        load_dataset(path)


def test_a_picture_that_fails_leaves_nothing_and_keeps_the_old_file(pets: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "out" / "pets.pack"
    pack_dataset(pets, path)
    before = path.read_bytes()
    pets.pictures[2].path.unlink()
    with pytest.raises(Exception, match=r"c\.jpg"):
        pack_dataset(pets, path)
    assert [file.name for file in path.parent.iterdir()] == ["pets.pack"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "options", [{"encoding": "png"}, {"max_side": 0}, {"jpeg_quality": 101}, {"piece_mb": 0.0}, {"piece_mb": -1.0}]
)
def test_options_out_of_range(pets: Dataset, tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(ArgumentError):
        pack_dataset(pets, tmp_path / "pets.pack", **options)  # type: ignore[arg-type]


def test_a_packed_set_packs_again_but_has_no_originals(pets: Dataset, tmp_path: Path) -> None:
    pack_dataset(pets, tmp_path / "pets.pack", encoding="original")
    packed = load_dataset(tmp_path / "pets.pack")
    pack_dataset(packed, tmp_path / "raw.pack", encoding="raw")
    assert np.array_equal(load_dataset(tmp_path / "raw.pack").pictures[1].read(), pets.pictures[1].read())
    with pytest.raises(ArgumentError, match="no original files"):
        pack_dataset(packed, tmp_path / "again.pack", encoding="original")


def test_packing_again_replaces_every_piece(pets: Dataset, tmp_path: Path) -> None:
    (tmp_path / "pets-of-others.pack").write_bytes(b"kept")
    pack_dataset(pets.subset([0, 1]), tmp_path / "pets.pack", encoding="raw", piece_mb=0.01)
    pack_dataset(pets, tmp_path / "pets.pack", encoding="raw")
    pieces = pack_dataset(pets, tmp_path / "pets.pack", encoding="raw", piece_mb=0.02)
    assert sorted(tmp_path.glob("*.pack")) == sorted([*pieces, tmp_path / "pets-of-others.pack"])
    assert len(load_dataset(pieces[0])) == len(pets)


@pytest.mark.parametrize("piece_mb", [None, 0.02])
def test_what_is_packed_is_never_what_is_replaced(pets: Dataset, tmp_path: Path, piece_mb: float | None) -> None:
    pieces = pack_dataset(pets, tmp_path / "pets.pack", encoding="original", piece_mb=piece_mb)
    before = [path.read_bytes() for path in pieces]
    with pytest.raises(ArgumentError, match=r"pets\.pack: .* give another name"):
        pack_dataset(load_dataset(pieces[0]), tmp_path / "pets.pack", max_side=32)
    assert [path.read_bytes() for path in pieces] == before


@pytest.mark.parametrize("header", [b"{}", b"not JSON", b"[" * 100_000, b'{"arrays": {"counts": ["|O", [1], 0]}}'])
def test_a_damaged_header_is_named(pets: Dataset, tmp_path: Path, header: bytes) -> None:
    (path,) = pack_dataset(pets, tmp_path / "pets.pack")
    content = path.read_bytes()
    start, _, magic = FOOTER.unpack(content[-FOOTER.size :])
    path.write_bytes(content[:start] + header + FOOTER.pack(start, len(header), magic))
    with pytest.raises(DatasetError, match=r"pets\.pack: the packed file is damaged"):
        load_dataset(path)


@pytest.mark.parametrize("encoding", ["jpeg", "raw"])
def test_every_damaged_byte_behind_the_pictures_is_an_error_or_harmless(
    pets: Dataset, tmp_path: Path, encoding: str
) -> None:
    """Boxes stay finite and inside, counts and places valid, whatever was changed; only DatasetError is raised."""
    (path,) = pack_dataset(pets, tmp_path / "pets.pack", encoding=encoding)  # type: ignore[arg-type]
    content = path.read_bytes()
    start, length, _ = FOOTER.unpack(content[-FOOTER.size :])
    listed = json.loads(content[start : start + length])["arrays"]
    first = min(offset for _, _, offset in listed.values())
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.choice(np.arange(first, len(content)), 150, replace=False):
        damaged = bytearray(content)
        damaged[at] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            dataset = load_dataset(path)
        except DatasetError:
            refused += 1
            continue
        for picture in dataset.pictures:
            boxes = picture.annotations.boxes_xyxy
            assert np.isfinite(boxes).all()
            assert (boxes >= 0).all()
            assert set(picture.annotations.class_ids.tolist()) <= set(dataset.classes.ids)
    assert refused > 20


def test_a_file_that_shrinks_or_changes_while_it_is_open_is_an_error(pets: Dataset, tmp_path: Path) -> None:
    (path,) = pack_dataset(pets, tmp_path / "pets.pack", encoding="raw")
    picture, stamp = load_dataset(path).pictures[3], path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(DatasetError, match="written again since it was opened"):
        picture.read()
    os.utime(path, ns=(stamp, stamp))
    with pytest.raises(DatasetError, match="cut off since it was opened"):
        picture.read()


@pytest.mark.posix
def test_a_pipe_is_no_packed_set(pets: Dataset, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pets.pack")
    with pytest.raises(DatasetError, match="device"):
        load_dataset(tmp_path / "pets.pack")
    with pytest.raises(DatasetError, match="was not found in this folder"):
        load_dataset(tmp_path)
    with pytest.raises(OutputError, match="FIFO"):
        pack_dataset(pets, tmp_path / "pets.pack")
