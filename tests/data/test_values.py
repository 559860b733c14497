"""Numbers as text, sizes of 0, and boxes that only a mask tells."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.sets import SIZE, TRUTH, append, coco, coco_content, found, voc, yolo
from ssd300.data.check import check_dataset
from ssd300.data.load import find_parts, load_dataset


@pytest.mark.parametrize(
    "change",
    [
        {"image_id": "1"}, {"image_id": 1.0}, {"category_id": "1"}, {"category_id": 1.0}, {"id": "1"}, {"id": 1.0},
        {"iscrowd": "0"}, {"iscrowd": 0.0}, {"iscrowd": False}, {"ignore": "0"}, {"area": "600"},
        {"bbox": ["4", "6", "20", "30"]},
        {"iscrowd": None}, {"score": "1.0"},
    ],
)  # fmt: skip
def test_whole_numbers_as_text_or_floats_are_taken(tmp_path: Path, change: dict[str, Any]) -> None:
    content = coco_content()
    content["annotations"][0] |= change
    dataset = load_dataset(coco(tmp_path, content))
    assert found(dataset) == TRUTH
    assert dataset.pictures[0].annotations.ids.tolist() == [1, 2]


@pytest.mark.parametrize("key", ["image_id", "category_id", "id", "iscrowd"])
@pytest.mark.parametrize("value", ["x", 1.5, "1.5", [1], {"a": 1}, "nan", 1e300, "9" * 500])
def test_what_is_no_whole_number_is_a_fault(tmp_path: Path, key: str, value: Any) -> None:
    content = coco_content()
    content["annotations"][0][key] = value
    faults = [case for case in check_dataset(coco(tmp_path, content)).cases if case.action == "fault"]
    assert len(faults) == 1


@pytest.mark.parametrize(
    "size", [(0, 0), (64, 0), ("64", "48"), (64.0, 48.0), ("0", "0"), (None, None), ("", ""), (64, None), (0.0, 0.0)]
)
def test_sizes_in_coco(tmp_path: Path, size: tuple[Any, Any]) -> None:
    content = coco_content()
    content["images"][0] |= {"width": size[0], "height": size[1]}
    picture = load_dataset(coco(tmp_path, content)).pictures[0]
    assert (picture.width, picture.height) == SIZE


@pytest.mark.parametrize(
    "size", ["", "<width>0</width><height>0</height>", "<width>64.0</width><height>48.0</height>",
                                  "<width/><height/>", "<width> 64 </width><height>48</height>", "<width>0</width>"]
)  # fmt: skip
def test_sizes_in_voc(tmp_path: Path, size: str) -> None:
    assert found(load_dataset(voc(tmp_path, size=size))) == TRUTH


# COCO with masks alone


def runs(box: tuple[float, ...]) -> list[int]:
    mask = np.zeros(SIZE[::-1], bool)
    x1, y1, x2, y2 = map(int, box)
    mask[y1:y2, x1:x2] = True
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat.astype(int))) + 1
    ends = [0, *changes.tolist(), len(flat)]
    lengths = np.diff(ends).tolist()
    return [0, *lengths] if flat[0] else lengths


def compressed(box: tuple[float, ...]) -> str:
    from pycocotools import mask as tools

    return str(tools.frPyObjects({"size": [48, 64], "counts": runs(box)}, 48, 64)["counts"].decode())


SEGMENTATIONS: dict[str, Callable[[tuple[float, ...]], Any]] = {
    "polygon": lambda b: [[b[0], b[1], b[2], b[1], b[2], b[3], b[0], b[3]]],
    "two polygons": lambda b: [[b[0], b[1], b[2], b[1], b[2], b[1] + 2], [b[0], b[3] - 2, b[2], b[3], b[0], b[3]]],
    "flat polygon": lambda b: [b[0], b[1], b[2], b[1], b[2], b[3]],
    "polygon of text": lambda b: [[str(v) for v in (b[0], b[1], b[2], b[1], b[2], b[3])]],
    "runs": lambda b: {"size": [48, 64], "counts": runs(b)},
    "runs in a list": lambda b: [{"size": [48, 64], "counts": runs(b)}],
    "compressed runs": lambda b: {"size": [48, 64], "counts": compressed(b)},
}


@pytest.mark.parametrize("way", SEGMENTATIONS)
@pytest.mark.parametrize("empty", [None, [], [0, 0.0, 0, 0]])
def test_boxes_come_from_masks_where_there_are_none(tmp_path: Path, way: str, empty: Any) -> None:
    content = coco_content()
    things = [box for stem in TRUTH for _, box in TRUTH[stem]]
    for annotation, box in zip(content["annotations"], things, strict=True):
        annotation |= {"bbox": empty, "segmentation": SEGMENTATIONS[way](box), "area": None}
    dataset = load_dataset(coco(tmp_path, content))
    assert found(dataset) == TRUTH
    assert not [note for note in dataset.notes if "segmentation" in note.words]


def test_a_mask_of_another_size_is_a_fault(tmp_path: Path) -> None:
    """Its box would lie elsewhere in the picture, and often inside it."""
    content = coco_content()
    content["annotations"][0] |= {"bbox": None, "segmentation": {"size": [24, 32], "counts": [1, 20, 747]}}
    content["annotations"][1] |= {"segmentation": {"size": [24, 32], "counts": [1, 20, 747]}}  # it has a box
    [case] = [case for case in check_dataset(coco(tmp_path, content)).cases if case.action == "fault"]
    assert (case.kind, case.words) == (
        "wrong picture size",
        "the mask in `segmentation` is 32x24, its picture 64x48; give a `bbox`",
    )


@pytest.mark.parametrize("seed", range(20))
def test_boxes_of_masks_are_those_of_pycocotools(seed: int) -> None:
    from pycocotools import mask as tools

    from ssd300.data.shapes import box_of_segmentation

    rng = np.random.default_rng(seed)
    mask = np.asfortranarray(
        rng.random((rng.integers(1, 40), rng.integers(1, 40))) < rng.choice([0.002, 0.05, 0.6]), np.uint8
    )
    encoded = tools.encode(mask)
    ours = box_of_segmentation({"size": encoded["size"], "counts": encoded["counts"].decode()})
    assert ours == (tools.toBbox(encoded).tolist() if mask.any() else None)


@pytest.mark.parametrize(
    "segmentation",
    [
        [], {}, [[1, 2]], [[1, 2, 3, 4, 5]], {"size": [48, 64], "counts": [1, 2]}, {"size": [48], "counts": [1]},
        {"size": [48, 64], "counts": "~~~~"}, {"size": [48, 64], "counts": "o" * 99}, "x", [["a"] * 6],
        {"size": [48, 64], "counts": [3072]}, {"size": [2**40, 2**40], "counts": [1] * 3},
    ],
)  # fmt: skip
def test_masks_that_are_none_are_faults(tmp_path: Path, segmentation: Any) -> None:
    content = coco_content()
    content["annotations"][0] |= {"bbox": None, "segmentation": segmentation}
    cases = check_dataset(coco(tmp_path, content)).cases
    assert [case.kind for case in cases if case.action == "fault"] == ["malformed box"]


def test_the_helpers_write_what_they_say(tmp_path: Path) -> None:
    """Otherwise no other test of this file says anything."""
    for format, make in (("coco", coco), ("yolo", yolo), ("voc", voc)):
        root = make(tmp_path / format)
        assert found(load_dataset(root)) == TRUTH
        assert [part.format for part in find_parts(root)] == [format]
        assert load_dataset(root).notes == ()
    append(tmp_path / "yolo/labels/a.txt", "0 0.5 0.5 0.5 0.5\n")
    assert found(load_dataset(tmp_path / "yolo")) != TRUTH
