"""A training and a validation set drawn from one, with a seed, so that each class has its share in both."""

import json
import os
from pathlib import Path

import numpy as np

from ssd300.data.coco import parse
from ssd300.data.dataset import Dataset
from ssd300.data.look import Part
from ssd300.data.sidecar import NAME, Sidecar
from ssd300.data.voc import annotation_folder
from ssd300.data.write import write_yaml
from ssd300.data.yolo import label_path
from ssd300.errors import ArgumentError, DatasetError
from ssd300.files import write_whole

AT_LEAST_ONE_FROM = 3  # a class in this many pictures or more has at least one in the validation set


def split_dataset(dataset: Dataset, share: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
    """(train, val): about `share` of the pictures of every class, and of those without boxes, go to val.

    The rarest class is dealt out first, so that it is not left to chance (after Sechidis et al., On the Stratification
    of Multi-Label Data, 2011). The same pictures, share and seed give the same split. Both keep the order of the whole.
    """
    if not 0 < share < 1:
        raise ArgumentError(f"the validation share must lie between 0 and 1, got {share}")
    if len(dataset) < 2:
        raise DatasetError(f"{dataset.name}: {len(dataset)} picture(s) cannot be split into training and validation")
    held_out = draw(dataset, share, seed)
    if held_out.all() or not held_out.any():
        held_out[:] = np.arange(len(dataset)) < 1  # too few of everything: one picture, so that neither is empty
    train = dataset.subset(np.flatnonzero(~held_out).tolist(), f"{dataset.name} (train)")
    return train, dataset.subset(np.flatnonzero(held_out).tolist(), f"{dataset.name} (val)")


def draw(dataset: Dataset, share: float, seed: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The mask [pictures] of those that go to the validation set."""
    count = len(dataset)
    holds = np.zeros((count, len(dataset.classes) + 1), bool)  # the last column: no boxes at all
    for row, picture in enumerate(dataset.pictures):
        positions = [dataset.classes.position_of_id[i] for i in set(picture.annotations.class_ids.tolist())]
        holds[row, positions if positions else [-1]] = True
    shuffled = np.random.default_rng(seed).permutation(count)
    held_out, dealt = np.zeros(count, bool), np.zeros(count, bool)
    totals = holds.sum(axis=0)
    for column in np.argsort(totals, kind="stable"):
        total = int(totals[column])
        wanted = max(round(share * total), 1 if total >= AT_LEAST_ONE_FROM else 0)
        free = shuffled[(holds[:, column] & ~dealt)[shuffled]]
        missing = max(wanted - int((held_out & holds[:, column]).sum()), 0)
        held_out[free[:missing]] = True
        dealt[free] = True
    return held_out


def write_split(part: Part, splits: dict[str, Dataset], out: Path | None = None) -> list[Path]:
    """Write the splits (name -> pictures of `part`) as lists in the format of the whole; no picture is copied.

    COCO: out/NAME.json with every field of the whole kept; YOLO: out/data.yaml and out/NAME.txt; VOC: the lists go to
    ImageSets/Main, where VOC looks for them. `out` is the folder "split" beside the data file unless given. Raises
    DatasetError rather than replace a file.
    """
    if part.format == "pack":
        raise ArgumentError(f"{part.source}: a packed set is not split; split the original, then pack its two parts")
    if part.format == "voc":
        if out is not None:
            raise ArgumentError(f"VOC keeps its splits in {part.source / 'ImageSets' / 'Main'}; give no other folder")
        return _write_voc(part, splits)
    folder = out or part.source.parent / "split"
    return _write_coco(part, splits, folder) if part.format == "coco" else _write_yolo(splits, folder)


def _new(paths: list[Path]) -> list[Path]:
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise DatasetError(f"{', '.join(there)} exist(s) already; remove it, or give another folder")
    return paths


def _write_coco(part: Part, splits: dict[str, Dataset], out: Path) -> list[Path]:
    content = parse(part.source)
    paths = _new([out / f"{split}.json" for split in splits])
    for path, dataset in zip(paths, splits.values(), strict=True):
        place = {picture.image_id: os.path.relpath(picture.path, out) for picture in dataset.pictures}
        images = [
            {**image, "file_name": Path(place[own_id]).as_posix()}
            for image in content["images"]
            if (own_id := image.get("source_id", image["id"])) in place
        ]
        ids = {image["id"] for image in images}
        annotations = [annotation for annotation in content["annotations"] if annotation["image_id"] in ids]
        whole = {**content, "images": images, "annotations": annotations}
        write_whole(path, json.dumps(whole, ensure_ascii=False).encode())
    return paths


def _write_yolo(splits: dict[str, Dataset], out: Path) -> list[Path]:
    paths = _new([*(out / f"{split}.txt" for split in splits), out / "data.yaml", out / NAME])
    sidecar = Sidecar(out / NAME)
    for path, dataset in zip(paths, splits.values(), strict=False):
        lines = []
        for picture in dataset.pictures:
            relative = Path(os.path.relpath(picture.path, out))
            lines.append(
                f"./{relative.as_posix()}\n"
            )  # "./" tells other programs, too, that it is relative to the list
            sidecar.add(label_path(out / relative).relative_to(out).as_posix(), picture, held=set())
        write_whole(path, "".join(lines).encode())
        classes = dataset.classes
    write_yaml(out / "data.yaml", classes, {split: f"{split}.txt" for split in splits})
    sidecar.write(classes)
    return paths


def _write_voc(part: Part, splits: dict[str, Dataset]) -> list[Path]:
    annotations = annotation_folder(part.source)
    paths = _new([part.source / "ImageSets" / "Main" / f"{split}.txt" for split in splits])
    for path, dataset in zip(paths, splits.values(), strict=True):
        labels = [picture.labels.relative_to(annotations) for picture in dataset.pictures if picture.labels]
        write_whole(path, "".join(f"{label.with_suffix('').as_posix()}\n" for label in labels).encode())
    return paths
