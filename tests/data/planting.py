"""Changes of a data set on the disk that plant one fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

HARMLESS = {"rare class"}  # the sound sets are small


def edit_json(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((root / "annotations.json").read_text())
    change(content)
    (root / "annotations.json").write_text(json.dumps(content))


def annotation(**fields: Any) -> Callable[[Path], object]:
    """Change the second annotation of the COCO set (picture a.jpg, id 2)."""
    return lambda root: edit_json(root, lambda content: content["annotations"][1].update(fields))


def image(**fields: Any) -> Callable[[Path], object]:
    """Change the first picture of the COCO set (a.jpg)."""
    return lambda root: edit_json(root, lambda content: content["images"][0].update(fields))


def append(key: str, entry: Any) -> Callable[[Path], object]:
    return lambda root: edit_json(root, lambda content: content[key].append(entry))


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text(content)


def data(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes(content)


def remove(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).unlink()


def replaced(name: str, old: str, new: str) -> Callable[[Path], object]:
    def plant(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new, 1))

    return plant


def copied(name: str, new: str) -> Callable[[Path], object]:
    return lambda root: shutil.copyfile(root / name, root / new)


def cut(name: str, share: float) -> Callable[[Path], object]:
    def shorten(root: Path) -> None:
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: int(len(content) * share)])

    return shorten


def both(*plants: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda root: [plant(root) for plant in plants]


ENTRY = {"id": 9, "image_id": 20, "category_id": 90}


LINE = "0 0.5 0.5 0.5 0.5\n"


BOX = "<bndbox><xmin>4</xmin><ymin>6</ymin><xmax>24</xmax><ymax>36</ymax></bndbox>"
