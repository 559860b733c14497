"""Small synthetic data sets on the disk: the same three pictures with boxes, and one without, in each format."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SIZE_WH = (64, 48)
BOXES_XYWH = {
    "a": [[4, 6, 20, 30], [30.5, 10.25, 25, 25]],
    "b": [[0, 0, 64, 48]],
    "c": [[10, 12, 22, 18]],
    "empty": [],
}
CLASSES = {"a": [7, 90], "b": [7], "c": [90], "empty": []}  # sparse ids
NAMES = {7: "cat", 90: "dog"}


@pytest.fixture
def make_picture() -> Callable[..., Path]:
    """make_picture(path, seed, size_wh=..., orientation=1): smooth noise, unlike that of any other seed."""

    def make(path: Path, seed: int, size_wh: tuple[int, int] = SIZE_WH, orientation: int = 1) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
        picture = Image.fromarray(coarse).resize(size_wh, Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture.save(path, exif=exif, **({"quality": 95} if path.suffix == ".jpg" else {}))
        return path

    return make


@pytest.fixture
def coco(tmp_path: Path, make_picture: Callable[..., Path]) -> Path:
    """A COCO set: annotations.json and images/."""
    return coco_at(tmp_path / "coco", make_picture)


def coco_at(root: Path, make_picture: Callable[..., Path], seed: int = 0) -> Path:
    images, annotations = [], []
    for number, (name, boxes) in enumerate(BOXES_XYWH.items()):
        make_picture(root / "images" / f"{name}.jpg", seed + number)
        images.append({"id": 10 * number, "file_name": f"{name}.jpg", "width": SIZE_WH[0], "height": SIZE_WH[1]})
        for box, class_id in zip(boxes, CLASSES[name], strict=True):
            entry: dict[str, Any] = {"id": len(annotations) + 1, "image_id": 10 * number}
            annotations.append(entry | {"category_id": class_id, "bbox": box})
    categories = [{"id": class_id, "name": name} for class_id, name in NAMES.items()]
    write_json(root, {"images": images, "annotations": annotations, "categories": categories})
    return root


def write_json(root: Path, content: Any, name: str = "annotations.json") -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(content))
    return root / name


@pytest.fixture
def edit_coco(coco: Path) -> Callable[[Callable[[dict[str, Any]], object]], Path]:
    """edit_coco(change): the COCO set with its JSON content changed in place."""

    def edit(change: Callable[[dict[str, Any]], object]) -> Path:
        content = json.loads((coco / "annotations.json").read_text())
        change(content)
        write_json(coco, content)
        return coco

    return edit


@pytest.fixture
def yolo(tmp_path: Path, make_picture: Callable[..., Path]) -> Path:
    """The same as YOLO: data.yaml, images/train, labels/train."""
    root = tmp_path / "yolo"
    width, height = SIZE_WH
    for number, (name, boxes) in enumerate(BOXES_XYWH.items()):
        make_picture(root / "images" / "train" / f"{name}.jpg", number)
        lines = []
        for (x, y, w, h), class_id in zip(boxes, CLASSES[name], strict=True):
            numbers = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            lines.append(f"{list(NAMES).index(class_id)} {' '.join(map(str, numbers))}\n")
        path = root / "labels" / "train" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines))
    (root / "data.yaml").write_text("path: .\ntrain: images/train\nnames:\n  0: cat\n  1: dog\n")
    return root


@pytest.fixture
def voc(tmp_path: Path, make_picture: Callable[..., Path]) -> Path:
    """The same as Pascal VOC: Annotations and JPEGImages."""
    root = tmp_path / "voc"
    (root / "Annotations").mkdir(parents=True)
    for number, (name, boxes) in enumerate(BOXES_XYWH.items()):
        make_picture(root / "JPEGImages" / f"{name}.jpg", number)
        things = "".join(
            f"<object><name>{NAMES[class_id]}</name><difficult>0</difficult><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
            f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>\n"
            for (x, y, w, h), class_id in zip(boxes, CLASSES[name], strict=True)
        )
        size = f"<size><width>{SIZE_WH[0]}</width><height>{SIZE_WH[1]}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{name}.jpg</filename>{size}{things}</annotation>"
        (root / "Annotations" / f"{name}.xml").write_text(text)
    return root


@pytest.fixture
def sets(coco: Path, yolo: Path, voc: Path) -> dict[str, Path]:
    """All three by format."""
    return {"coco": coco, "yolo": yolo, "voc": voc}
