"""Small data sets that tests write: the same three pictures with four boxes in COCO, YOLO, VOC and darknet's layout."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ssd300.data.dataset import Dataset

SIZE = (64, 48)
WRITTEN = ("coco", "yolo", "voc")  # the formats that `convert` writes
Boxes = list[tuple[str, tuple[float, float, float, float]]]
TRUTH: dict[str, Boxes] = {
    "a": [("cat", (4, 6, 24, 36)), ("dog", (30, 10, 55, 35))],
    "b": [("cat", (0, 0, 64, 48))],
    "c": [("dog", (10, 12, 32, 30))],
}


def pictures(folder: Path, suffix: str = ".jpg", names: str = "abc") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        coarse = np.random.default_rng(ord(name)).integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(coarse).resize(SIZE).save(folder / f"{name}{suffix}")


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8", newline="\n")


def append(path: Path, text: str) -> None:
    write(path, path.read_text(encoding="utf-8") + text)


def found(dataset: Dataset) -> dict[str, Boxes]:
    """What came out, as TRUTH says it."""
    return {
        Path(picture.path).stem: [
            (dataset.classes.name_of_id(i), tuple(round(float(edge), 2) for edge in box))
            for i, box in zip(picture.annotations.class_ids, picture.annotations.boxes_xyxy, strict=True)
        ]
        for picture in dataset.pictures
    }


def fractions(box: tuple[float, ...]) -> list[float]:
    return [box[0] / SIZE[0], box[1] / SIZE[1], box[2] / SIZE[0], box[3] / SIZE[1]]


XML = "<?xml version='1.0' encoding='utf-8'?>"


def coco_content(names: str = "abc") -> dict[str, Any]:
    """TRUTH as COCO with the categories 1 cat and 2 dog."""
    images = [{"id": n, "file_name": f"{s}.jpg", "width": 64, "height": 48} for n, s in enumerate(names, 1)]
    annotations = []
    for n, stem in enumerate(names, 1):
        for label, (x1, y1, x2, y2) in TRUTH[stem]:
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "category_id": 1 if label == "cat" else 2}
            annotations.append({"id": len(annotations) + 1, "image_id": n, **box})
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }


def coco(root: Path, content: dict[str, Any] | None = None, names: str = "abc") -> Path:
    pictures(root, names=names)
    write(root / "annotations.json", content or coco_content(names))
    return root


def line(label: str, box: tuple[float, ...], more: str = "") -> str:
    x1, y1, x2, y2 = box
    cx, cy, w, h = (x1 + x2) / 2 / SIZE[0], (y1 + y2) / 2 / SIZE[1], (x2 - x1) / SIZE[0], (y2 - y1) / SIZE[1]
    return f"{('cat', 'dog').index(label)} {cx} {cy} {w} {h}{more}\n"


def yolo(
    root: Path,
    yaml: str = "train: images\nnames: [cat, dog]\n",
    images: str = "images",
    labels: str = "labels",
    more: str = "",
    suffix: str = ".txt",
    names: str = "abc",
) -> Path:
    pictures(root / images, names=names)
    for stem in names:
        write(root / labels / f"{stem}{suffix}", "".join(line(*thing, more) for thing in TRUTH[stem]))
    write(root / "data.yaml", yaml)
    return root


def voc_text(stem: str, things: Boxes, head: str = XML, size: str = "<width>64</width><height>48</height>") -> str:
    boxes = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        "</bndbox></object>"
        for label, (x1, y1, x2, y2) in things
    )
    return f"{head}<annotation><filename>{stem}.jpg</filename><size>{size}</size>{boxes}</annotation>"


def voc(
    root: Path,
    annotations: str = "Annotations",
    images: str = "JPEGImages",
    suffix: str = ".xml",
    names: str = "abc",
    **xml: str,
) -> Path:
    pictures(root / images, names=names)
    for stem in names:
        write(root / annotations / f"{stem}{suffix}", voc_text(stem, TRUTH[stem], **xml))
    return root


def stems(dataset: Dataset) -> set[str]:
    return set(found(dataset))


def darknet(root: Path, listed: str = "data/obj_train_data/{}.jpg", places: str = "data/") -> None:
    pictures(root / "obj_train_data")
    for stem in TRUTH:
        write(root / f"obj_train_data/{stem}.txt", "".join(line(*thing) for thing in TRUTH[stem]))
    write(root / "train.txt", "\n".join(listed.format(stem) for stem in TRUTH))
    write(root / "obj.names", "cat\ndog\n\n")
    write(root / "obj.data", f"classes = 2\ntrain = {places}train.txt\nnames = {places}obj.names\nbackup = backup/\n")
