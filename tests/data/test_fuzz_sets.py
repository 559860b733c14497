"""Thousands of data sets with changed bytes, of every kind: results or an SSD300Error, soon and in little memory."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.sets import coco, darknet, voc, yolo
from data.test_kitti_createml_via import createml, kitti, via, via_table
from data.test_labelme import LABELME
from data.test_tables import TABLES
from ssd300.data.check import check_dataset
from ssd300.data.load import load_dataset
from ssd300.data.pack import pack_dataset
from ssd300.errors import SSD300Error

SECONDS, KIB = 10, 2 * 2**20  # for one set, of this process's own time; beyond what is taken before the first


def pack(root: Path) -> None:
    """A packed set of small pictures: most of its bytes say something."""
    original = root.with_name("original")
    coco(original)
    pack_dataset(load_dataset(original), root / "set.pack", max_side=32)


MAKERS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {  # each with the files that are changed in turn
    "coco": (coco, ("annotations.json",)),
    "yolo": (yolo, ("data.yaml", "labels/a.txt")),
    "voc": (voc, ("Annotations/a.xml",)),
    "pack": (pack, ("set.pack",)),
    "csv": (TABLES["tensorflow"], ("annotations.csv",)),
    "kitti": (kitti, ("label_2/a.txt",)),
    "createml": (createml, ("_annotations.createml.json",)),
    "via": (via, ("via.json",)),
    "via-table": (via_table, ("via.csv",)),
    "labelme": (LABELME["beside"], ("a.json",)),
    "darknet": (darknet, ("obj.data", "train.txt")),
}


@pytest.mark.parametrize("format", MAKERS)
def test_changed_bytes_give_results_or_errors(tmp_path: Path, format: str) -> None:
    """A fast share of what `make test-slow` does with many more."""
    fuzz(tmp_path, format, range(12))


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("format", MAKERS)
def test_two_thousand_sets_of_every_kind(tmp_path: Path, format: str) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
    before = memory("VmRSS")
    slowest = fuzz(tmp_path, format, range(1000, 3000))
    taken = memory("VmHWM") - before
    print(f"{format}: 2,000 sets, the slowest {slowest:.2f} s, {taken / 1024:.0f} MiB")
    assert taken < KIB


def fuzz(root: Path, format: str, numbers: range) -> float:
    """Check, load and read one changed set for each number; the seconds that the slowest took."""
    make, files = MAKERS[format]
    place = root / format
    place.mkdir()
    make(place)
    originals = [(place / name).read_bytes() for name in files]
    slowest = 0.0
    for number in numbers:
        at = number % len(files)
        (place / files[at]).write_bytes(mutated(originals[at], np.random.default_rng(number)))
        start = time.process_time()
        for use in (lambda: json.dumps(check_dataset(place).to_dict()), lambda: read(place)):
            try:
                use()
            except SSD300Error:
                continue
        slowest = max(slowest, time.process_time() - start)
        assert slowest < SECONDS, number
        (place / files[at]).write_bytes(originals[at])
    return slowest


def read(place: Path) -> None:
    """What training takes: boxes that are numbers and lie in their pictures."""
    for picture in load_dataset(place, split="all").pictures:
        boxes = picture.annotations.boxes_xyxy
        assert np.isfinite(boxes).all()
        assert (boxes <= np.array([picture.width, picture.height] * 2) + 0.01).all()
        try:
            picture.read()
        except SSD300Error:
            continue


def memory(of: str) -> int:
    """A line of this process's memory, in KiB: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(of))


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, cut, doubled or replaced by what parsers stumble over."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        at, kind = int(rng.integers(0, len(changed) + 1)), rng.integers(0, 5)
        odd = [
            b"1e999",
            b"-1",
            b"null",
            b"[[",
            b"\xff\xfe",
            b"\x00",
            b"99999999999999999999",
            b"nan",
            b"<a>",
            b"&x;",
            b"*a",
        ]
        if kind == 0 and at < len(changed):
            changed[at] = int(rng.integers(0, 256))
        elif kind == 1:
            del changed[at : at + int(rng.integers(1, 30))]
        elif kind == 2:
            changed[at:at] = changed[at : at + int(rng.integers(1, 60))]
        else:
            changed[at : at + int(rng.integers(0, 4))] = odd[int(rng.integers(0, len(odd)))]
    return bytes(changed)
