"""Checks of boxes and classes: duplicate, tiny or unmatched boxes, rare or missing classes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ssd300.arrays import Bool, Float32
from ssd300.boxes import iou
from ssd300.data.dataset import Dataset, Picture
from ssd300.data.notes import Note
from ssd300.data.values import similar_names
from ssd300.priors import IMAGE_SIZE, MAP_SIZES, STEPS, anchor_sizes

TINY = 8.0  # pixels at 300x300: a box whose longer side is less covers one cell of the finest feature map
_SAME = 0.98  # IoU from which two boxes are duplicates
MATCH = 0.5  # IoU that training requires of a default box
FEW = 10  # boxes; a class with fewer is rare
_ROWS = 512  # of boxes that are compared at a time
UNBALANCED = 100  # times more boxes of one class than of another


@dataclass(frozen=True)
class BoxShapes:
    """Boxes at 300x300 compared with the default boxes. Percentiles are the 5th, 50th and 95th."""

    count: int
    sides: tuple[float, float, float]  # pixels, sqrt(width * height)
    ratios: tuple[float, float, float]  # width / height
    unmatched: float  # share of the boxes with IoU < 0.5 to every default box

    def sentence(self) -> str:
        """One line of text."""
        side, ratio = (" / ".join(f"{value:.3g}" for value in values) for values in (self.sides, self.ratios))
        number = f"{round(self.unmatched * self.count)} of your {self.count} boxes ({self.unmatched:.1%})"
        size = f"side at 300x300 (5 / 50 / 95 %): {side} px; width / height: {ratio}"
        return f"{number} match no default box at IoU {MATCH}; {size}"


def best_prior_iou(boxes_xyxy: Float32) -> Float32:
    """IoU [M] of each box [M, 4], in the unit frame, with the best of the 8732 default boxes.

    Of all default boxes of one size the one with the nearest center overlaps most, for each axis separately, so only
    30 of them have to be compared.
    """
    center = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2 * IMAGE_SIZE  # [M, 2] pixels at 300x300
    size = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * IMAGE_SIZE
    best = np.zeros(len(boxes_xyxy))
    for k, (cells, step) in enumerate(zip(MAP_SIZES, STEPS, strict=True)):
        nearest = (np.clip(np.round(center / step - 0.5), 0, cells - 1) + 0.5) * step
        apart = np.abs(center - nearest)
        for anchor in np.minimum(anchor_sizes(k), IMAGE_SIZE):  # the sides are clamped to the picture
            inter = np.clip((size + anchor) / 2 - apart, 0, np.minimum(size, anchor)).prod(axis=1)
            union = size.prod(axis=1) + anchor.prod() - inter
            best = np.maximum(best, inter / np.maximum(union, 1e-9))
    return best.astype(np.float32)


def unit_boxes(picture: Picture) -> Float32:
    """The boxes [M, 4] of a picture in the unit frame."""
    size = np.array([picture.width, picture.height] * 2, np.float32)
    return np.asarray(picture.annotations.boxes_xyxy / size, np.float32)


def measure_shapes(dataset: Dataset) -> BoxShapes | None:
    """The shapes of the boxes at the network's resolution; None without any. Crowd regions are ignored."""
    boxes = [unit_boxes(picture)[~picture.annotations.crowd] for picture in dataset.pictures]
    whole = np.concatenate(boxes) if boxes else np.zeros((0, 4), np.float32)
    if not len(whole):
        return None
    size = (whole[:, 2:] - whole[:, :2]) * IMAGE_SIZE
    sides = np.percentile(np.sqrt(size.prod(axis=1)), [5, 50, 95]).tolist()
    ratios = np.percentile(size[:, 0] / size[:, 1], [5, 50, 95]).tolist()
    unmatched = float((best_prior_iou(whole) < MATCH).mean())
    return BoxShapes(len(whole), tuple(sides), tuple(ratios), unmatched)


def box_notes(dataset: Dataset) -> Iterator[Note]:
    """Tiny boxes, duplicate boxes, and boxes that no default box matches."""
    for picture in dataset.pictures:
        boxes = picture.annotations
        if not len(boxes):
            continue
        unit = unit_boxes(picture)
        size = (unit[:, 2:] - unit[:, :2]) * IMAGE_SIZE
        real = ~boxes.crowd
        for i in np.flatnonzero((size.max(axis=1) < TINY) & real).tolist():
            words = f"{size[i, 0]:.3g}x{size[i, 1]:.3g} px once the picture is 300x300 (under {TINY:g})"
            yield _note("tiny box", picture, i, words)
        for i in np.flatnonzero((best_prior_iou(unit) < MATCH) & real & (size.max(axis=1) >= TINY)).tolist():
            words = f"{size[i, 0]:.0f}x{size[i, 1]:.0f} px at 300x300 has IoU < {MATCH} with every default box"
            yield _note("no matching prior", picture, i, words)
        for i, j in _find_duplicates(boxes.boxes_xyxy, real):
            first, second = (dataset.classes.name_of_id(boxes.class_ids[k]) for k in (i, j))
            if first == second:
                yield _note("duplicate box", picture, j, f"the same {first} is drawn twice (box {i + 1} and {j + 1})")
            else:
                yield _note("one box, two classes", picture, j, f"box {i + 1} is {first}, box {j + 1} is {second}")


def _find_duplicates(boxes_xyxy: Float32, real: Bool) -> Iterator[tuple[int, int]]:
    """(earlier, later) of duplicate boxes [M, 4]; each later one appears once, with the first that it equals."""
    for start in range(0, len(boxes_xyxy), _ROWS):
        later = np.arange(start, min(start + _ROWS, len(boxes_xyxy)))
        same = iou(boxes_xyxy[later], boxes_xyxy[: later[-1] + 1]) >= _SAME  # [rows, all up to them]
        same &= real[later][:, None] & real[None, : later[-1] + 1] & (np.arange(later[-1] + 1)[None] < later[:, None])
        for row in np.flatnonzero(same.any(axis=1)).tolist():
            yield int(same[row].argmax()), int(later[row])


def _note(kind: str, picture: Picture, index: int, words: str) -> Note:
    annotation = int(picture.annotations.ids[index]) or f"box {index + 1}"
    return Note(kind, "noted", str(picture.labels or picture.path), picture.file_name, str(annotation), words)


def class_notes(splits: dict[str, Dataset], training: str) -> Iterator[Note]:
    """Classes without boxes, with few boxes, unbalanced, with similar names, or in one split only."""
    dataset = splits[training]
    counts = dataset.boxes_per_class()
    place = (dataset.name, "", "")
    if not sum(counts.values()):
        yield Note("no boxes", "noted", *place, f"none of the {len(dataset)} pictures has a box")
        return
    for name, count in counts.items():
        if count == 0:
            yield Note("unused class", "noted", *place, f"{name!r} has no box")
        elif count < FEW:
            yield Note("rare class", "noted", *place, f"{name!r} has {count} box{'es' * (count > 1)}")
    used = Counter({name: count for name, count in counts.items() if count})
    (most, high), (least, low) = used.most_common()[0], used.most_common()[-1]
    if high >= UNBALANCED * low:
        words = f"{most!r} has {high} boxes, {least!r} {low}: {high / low:.0f} times as many"
        yield Note("unbalanced classes", "noted", *place, words)
    for names in similar_names(counts):
        yield Note("similar class names", "noted", *place, " and ".join(map(repr, names)))
    for split, other in splits.items():
        if split != training:
            yield from _compare_splits(dataset, other, split)


def _compare_splits(train: Dataset, other: Dataset, split: str) -> Iterator[Note]:
    counts, theirs = train.boxes_per_class(), other.boxes_per_class()
    for name in [name for name, count in theirs.items() if count and not counts.get(name)]:
        words = f"{name!r} has {theirs[name]} boxes here and none in training"
        measured = split.startswith("val")
        kind = "class unknown in training" if measured and name not in counts else "class only in validation"
        yield Note(kind, "noted", other.name, "", "", words)
    for name in [name for name, count in counts.items() if count and not theirs.get(name)]:
        yield Note("class not in validation", "noted", other.name, "", "", f"{name!r} has boxes in training, none here")
