"""`data check` and `train` never disagree on what is usable: sets of every format with faults planted by chance.

What training takes is what `usable_sets` gives and then can read, picture by picture.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.sets import pictures, write
from ssd300.data.check import check_dataset
from ssd300.data.usable import usable_sets
from ssd300.errors import SSD300Error

SIZE = (64, 48)
CLASSES = ("cat", "dog", "bird")
Rng = np.random.Generator


def chance(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)


def box(rng: Rng, way: str) -> list[float]:
    """A box [left, top, right, bottom] in pixels; with some chance over the edge, outside, without area or endless."""
    w, h = rng.uniform(3, 40), rng.uniform(3, 30)
    x, y = rng.uniform(0, SIZE[0] - w), rng.uniform(0, SIZE[1] - h)
    if way == "outside" and chance(rng, 0.5):
        x += SIZE[0]
    if way == "edge" and chance(rng, 0.5):
        x = SIZE[0] - w + 1
    if way == "flat" and chance(rng, 0.5):
        w = 0.0
    if way == "nan" and chance(rng, 0.3):
        x = float("nan")
    return [x, y, x + w, y + h]


def write_coco(root: Path, split: str, names: list[str], rng: Rng, way: str) -> None:
    images, annotations = [], []
    for n, name in enumerate(names, 1):
        images.append({"id": n, "file_name": f"{name}.jpg", "width": SIZE[0], "height": SIZE[1]})
        if way == "size" and chance(rng, 0.3):
            images[-1]["width"] = 70
        for _ in range(0 if way == "empty" else int(rng.integers(0, 4))):
            x1, y1, x2, y2 = box(rng, way)
            wide = [x1, y1, x2, y2] if way == "corners" else [x1, y1, x2 - x1, y2 - y1]
            wide = [v / s for v, s in zip(wide, SIZE * 2, strict=True)] if way == "fractions" else wide
            annotations.append(
                {"id": len(annotations) + 1, "image_id": n, "category_id": 1 + int(rng.integers(0, 2)), "bbox": wide}
            )
    if way == "entry" and annotations:
        annotations[0][str(rng.choice(["image_id", "category_id", "bbox", "area"]))] = "x"
    if way == "class" and annotations and split == "val":
        annotations[0]["category_id"] = 3
    known = CLASSES if split == "val" else CLASSES[:2]
    categories = [{"id": i, "name": name} for i, name in enumerate(known, 1)]
    write(root / f"{split}.json", {"images": images, "annotations": annotations, "categories": categories})


def write_yolo(root: Path, split: str, names: list[str], rng: Rng, way: str) -> None:
    for name in names:
        lines = []
        for _ in range(0 if way == "empty" else int(rng.integers(0, 4))):
            x1, y1, x2, y2 = (v / s for v, s in zip(box(rng, way), SIZE * 2, strict=True))
            row = [x1, y1, x2, y2] if way == "corners" else [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
            lines.append(f"{int(rng.integers(0, 2))} {' '.join(map(str, row))}")
        if way == "entry" and chance(rng, 0.3):
            lines.append(str(rng.choice(["9 0.5 0.5 0.1 0.1", "0 1 2", "x", "0 20 20 30 30"])))
        if not (way == "unlabeled" and chance(rng, 0.7)):
            write(root / "labels" / split / f"{name}.txt", "\n".join(lines))
    parts = "".join(
        f"{part}: images/{part}\n" for part in ("train", "val", "test") if (root / "images" / part).is_dir()
    )
    write(root / "data.yaml", f"{parts}names: [cat, dog]\n")


def write_voc(root: Path, split: str, names: list[str], rng: Rng, way: str) -> None:
    for name in names:
        things = ""
        for n in range(0 if way == "empty" else int(rng.integers(0, 4))):
            edges = zip(("xmin", "ymin", "xmax", "ymax"), box(rng, way), strict=True)
            tags = "".join(f"<{tag}>{value}</{tag}>" for tag, value in edges)
            label = "bird" if way == "class" and split == "val" and n == 0 else CLASSES[int(rng.integers(0, 2))]
            things += f"<object><name>{label}</name><bndbox>{tags}</bndbox></object>"
        text = f"<annotation><filename>{name}.jpg</filename>{things}</annotation>"
        text = text[:-9] if way == "entry" and chance(rng, 0.2) else text
        write(root / "Annotations" / f"{name}.xml", text)
    write(root / "ImageSets" / "Main" / f"{split}.txt", "\n".join(names))


WRITERS: dict[str, tuple[str, Callable[..., None]]] = {
    "coco": ("{split}", write_coco),
    "yolo": ("images/{split}", write_yolo),
    "voc": ("JPEGImages", write_voc),
}
WAYS = ("sound", "sound", "outside", "edge", "flat", "nan", "size", "empty", "corners", "fractions", "entry", "class",
        "missing", "corrupt", "cut", "twice", "unlabeled", "no train")  # fmt: skip


def make(root: Path, rng: Rng) -> str:
    """A set of a format by chance, with one kind of fault in one of its parts; returns what it is."""
    format, way = str(rng.choice(list(WRITERS))), str(rng.choice(WAYS))
    splits = [["train"], ["train", "val"], ["train", "val", "test"], ["train", "test"]][int(rng.integers(0, 4))]
    splits = ["val", "test"] if way == "no train" else splits
    faulty = str(rng.choice(splits))
    place, writer = WRITERS[format]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    for split in splits:
        names = [next(letters) for _ in range(int(rng.integers(2, 7)))]
        folder = root / place.format(split=split)
        pictures(folder, names="".join(names))
        writer(root, split, names, rng, way if split == faulty or way == "class" else "sound")
        if split == faulty and way == "missing":
            (folder / f"{names[0]}.jpg").unlink()
        if split == faulty and way == "corrupt":
            (folder / f"{names[0]}.jpg").write_bytes(b"<html>")
        if split == faulty and way == "cut":
            data = (folder / f"{names[0]}.jpg").read_bytes()
            (folder / f"{names[0]}.jpg").write_bytes(data[: len(data) // 2])
        if split == faulty and way == "twice":
            shutil.copyfile(folder / f"{names[0]}.jpg", folder / f"{names[1]}.jpg")
    return f"{format}, {way} in {faulty} of {splits}"


def what_train_takes(root: Path) -> tuple[bool, str, dict[str, Any]]:
    """(whether it can be trained on, why not, pictures and boxes of both sets)."""
    try:
        sets = usable_sets(root)
        for dataset in (sets.train, sets.val):
            for picture in dataset.pictures:
                picture.read()
    except SSD300Error as error:
        return False, str(error), {}
    totals = {"pictures": len(sets.train) + len(sets.val), "boxes": sets.train.num_boxes + sets.val.num_boxes}
    notes = [note.action for dataset in (sets.train, sets.val) for note in dataset.notes]
    return True, "", totals | {"clipped": notes.count("clipped"), "refused": notes.count("refused")}


def agree(root: Path, seed: int) -> bool:
    """Whether the set of a seed is usable; raises AssertionError where the two do not say the same of it."""
    what = make(root, np.random.default_rng(seed))
    report = check_dataset(root)
    usable, why, totals = what_train_takes(root)
    assert report.usable == usable, (seed, what, report.reason, why)
    if not usable:
        assert report.number("error") or "none is named train" in report.reason, (seed, what, report.reason)
        return False
    used = [name for name in report.totals if name in ("train", "val")]
    counted = [report.totals[name] for name in used]
    assert totals["pictures"] == sum(one.pictures for one in counted), (seed, what)
    assert totals["boxes"] == sum(one.kept + one.clipped for one in counted), (seed, what)
    assert totals["clipped"] == sum(one.clipped for one in counted), (seed, what)
    assert totals["refused"] == sum(one.refused for one in counted), (seed, what)
    json.dumps(report.to_dict())
    return True


def test_check_and_train_agree_on_some_sets(tmp_path: Path) -> None:
    outcomes = [agree(tmp_path / str(seed), seed) for seed in range(24)]
    assert 5 < sum(outcomes) < 19


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_check_and_train_agree_on_five_hundred_sets(tmp_path: Path) -> None:
    outcomes = [agree(tmp_path / str(seed), seed) for seed in range(1000, 1500)]
    assert 100 < sum(outcomes) < 400
