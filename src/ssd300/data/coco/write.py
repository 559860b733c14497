"""Writing COCO JSON. Numbers have the fewest digits that read back the same float32."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.arrays import Bool, Float64
from ssd300.data.coco.entries import has_source_ids, known_id, picture_id
from ssd300.data.coco.read import parse
from ssd300.data.dataset import Annotations, Dataset
from ssd300.data.parts import PARTS, Part
from ssd300.data.writing import Copier, round_shortest
from ssd300.files import path_from, write_whole
from ssd300.formats import shortest

SIZE_DIGITS = (0, 1, 2, 3, 4, 6, 8, 10)  # after the point, tried in turn: widths and heights


def write(splits: dict[str, Dataset], names: list[list[str]], out: Path, copy: Copier) -> None:
    """Write PART.json beside PART/ with its pictures; annotations.json and images/ for a set without parts."""
    for (split, dataset), own in zip(splits.items(), names, strict=True):
        file, folder = (f"{split}.json", split) if split in PARTS else ("annotations.json", "images")
        for picture, name in zip(dataset.pictures, own, strict=True):
            copy(picture, out / folder / name)
        write_coco(out / file, dataset, own)


def split_files(part: Part, splits: Iterable[str], out: Path) -> list[Path]:
    """The files that `write_split` writes, one for each part."""
    return [out / f"{split}.json" for split in splits]


def write_split(part: Part, splits: dict[str, Dataset], out: Path) -> None:
    """Write one PART.json each to `out`, with relative picture paths; of a COCO set all other fields are kept."""
    content = parse(part.source) if part.format == "coco" else None
    for path, dataset in zip(split_files(part, splits, out), splits.values(), strict=True):
        places = [path_from(out, picture.path) for picture in dataset.pictures]
        if content is None:
            write_coco(path, dataset, places)
        else:
            ids = [picture.image_id for picture in dataset.pictures]
            _write_json(path, _select_pictures(content, dict(zip(ids, places, strict=True))))


def _select_pictures(content: dict[str, Any], place: dict[int | str, str]) -> dict[str, Any]:
    """The content of a COCO file with only the pictures of these ids, under their new paths."""
    field = "source_id" if has_source_ids(content["images"]) else "id"
    images = [
        {**image, "file_name": place[own_id]}
        for image in content["images"]
        if (own_id := picture_id(image[field])) in place
    ]
    ids = {picture_id(image["id"]) for image in images}
    known = {key for image in content["images"] if (key := picture_id(image["id"])) is not None}
    annotations = [one for one in content["annotations"] if known_id(one["image_id"], known) in ids]
    return {**content, "images": images, "annotations": annotations}


def write_coco(path: Path, dataset: Dataset, names: Sequence[str]) -> None:
    """Write a COCO JSON file; `names` [pictures] are the file names to write.

    COCO tools expect integers: other picture ids become 1, 2, ... with the user's own in `source_id`, and
    annotation ids are renumbered if a box has none or two are equal.
    """
    numbered = all(isinstance(picture.image_id, int) for picture in dataset.pictures)
    images: list[dict[str, Any]] = []
    for number, (picture, name) in enumerate(zip(dataset.pictures, names, strict=True), 1):
        image = {"id": picture.image_id, "file_name": name, "width": picture.width, "height": picture.height}
        images.append(image if numbered else image | {"id": number, "source_id": picture.image_id})
    ids = [i for picture in dataset.pictures for i in picture.annotations.ids.tolist()]
    renumber = 0 in ids or len(set(ids)) < len(ids)
    next_ids = iter(range(1, len(ids) + 1)) if renumber else iter(ids)
    annotations = [
        {"id": next(next_ids), "image_id": image["id"], **record}
        for image, picture in zip(images, dataset.pictures, strict=True)
        for record in _records(picture.annotations)
    ]
    pairs = zip(dataset.classes.names, dataset.classes.ids, strict=True)
    categories = [{"id": class_id, "name": name} for name, class_id in pairs]
    info: dict[str, Any] = {}  # without it COCO.loadRes of pycocotools 2.0.9 and 2.0.10 raises KeyError
    _write_json(path, {"info": info, "images": images, "annotations": annotations, "categories": categories})


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, ensure_ascii=False)
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        text = json.dumps(content)  # file names that are not UTF-8
    write_whole(path, text.encode())


def _records(boxes: Annotations) -> list[dict[str, Any]]:
    low = np.array(shortest(boxes.boxes_xyxy[:, :2].ravel()), np.float64).reshape(-1, 2)
    high = boxes.boxes_xyxy[:, 2:]

    def reads_back(size: Float64) -> Bool:
        return np.asarray(np.all((low + size).astype(np.float32) == high, axis=1))

    boxes_xywh = np.concatenate([low, round_shortest(high - low, reads_back, SIZE_DIGITS)], axis=1)
    areas, scores = shortest(boxes.area), shortest(boxes.scores)
    records = []
    for i, box in enumerate(boxes_xywh.tolist()):
        record = {"category_id": int(boxes.class_ids[i]), "bbox": box, "area": areas[i], "iscrowd": int(boxes.crowd[i])}
        record |= {"ignore": 1} if boxes.ignore[i] else {}
        records.append(record | ({"score": scores[i]} if scores[i] != 1 else {}))
    return records
