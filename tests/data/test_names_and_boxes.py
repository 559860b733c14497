"""Class names as they are written, categories of one name, and boxes of another kind than the format's."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.sets import SIZE, TRUTH, coco, coco_content, write, yolo
from ssd300.data.check import check_dataset
from ssd300.data.load import load_dataset
from ssd300.data.usable import usable_sets
from ssd300.errors import DatasetError


@pytest.mark.parametrize(
    "names",
    [
        ["yes", "no"], ["on", "off"], ["true", "False"], ["null", "~"], ["010", "0x1F"], ["12:30", "1:2:3"],
        ["1e3", ".inf"], ["2020-01-01", "1_000"], ["1.0", "1.10"], ["Y", "N"], ["=", "3"],
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "style", ["[{}, {}]", "{{0: {}, 1: {}}}", "\n- {}\n- {}", "\n  0: {}\n  1: {}", "['{}', \"{}\"]"]
)
def test_names_in_yaml_are_read_as_they_are_written(tmp_path: Path, names: list[str], style: str) -> None:
    yolo(tmp_path, f"train: images\nnames: {style.format(*names)}\n")
    assert load_dataset(tmp_path).classes.names == tuple(names)


CAT, DOG = {"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}


@pytest.mark.parametrize(
    ("categories", "names"),
    [
        ([CAT, DOG], ("cat", "dog")),
        ([CAT, DOG, CAT], ("cat", "dog")),
        ([{"id": 0, "name": "cat", "supercategory": "none"}, CAT, DOG], ("cat", "dog")),
        ([CAT, DOG, {"id": 3, "name": "cat"}], ("cat", "dog")),
        ([{"id": 9, "name": "dog"}, CAT, DOG], ("cat", "dog")),
        (
            [
                {"id": 0, "name": "pets", "supercategory": "none"},
                *({**one, "supercategory": "pets"} for one in (CAT, DOG)),
            ],
            ("cat", "dog"),
        ),
        ([{"id": 0, "name": "pets"}, CAT, DOG], ("pets", "cat", "dog")),
        ([{"id": 1, "name": " cat "}, DOG], ("cat", "dog")),
        ([{"id": "1", "name": "cat"}, {"id": 2.0, "name": "dog"}], ("cat", "dog")),
        ([{"id": 1, "name": 1}, {"id": 2, "name": 2}], ("1", "2")),
    ],
)
def test_categories_of_one_name_are_resolved_where_that_is_safe(
    tmp_path: Path, categories: list[Any], names: tuple[str, ...]
) -> None:
    dataset = load_dataset(coco(tmp_path, coco_content() | {"categories": categories}))
    assert dataset.classes.names == names
    assert dataset.num_boxes == 4


@pytest.mark.parametrize(
    ("categories", "words"),
    [
        ([CAT, {"id": 2, "name": "cat"}], "boxes use the ids 1, 2"),
        ([CAT, DOG, {"id": 1, "name": "cow"}], "the id 1 is given twice"),
        ([CAT, {"id": 2, "name": 1.5}], "expected an integer `id` and a text `name`"),
        ([CAT, {"id": 2, "name": ""}], "expected an integer `id` and a text `name`"),
        ([CAT, {"id": 2, "name": 1e300}], "1e\\+300"),
    ],
)
def test_categories_that_cannot_be_told_apart_are_faults(tmp_path: Path, categories: list[Any], words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        load_dataset(coco(tmp_path, coco_content() | {"categories": categories}))


# Units and corners


def honest_boxes(seed: int) -> list[list[float]]:
    """Some boxes [x, y, width, height] anywhere in a picture."""
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(int(rng.integers(10, 60))):
        w, h = rng.uniform(2, 60), rng.uniform(2, 44)
        boxes.append([rng.uniform(0, 64 - w), rng.uniform(0, 48 - h), w, h])
    return boxes


def as_fractions(x: float, y: float, w: float, h: float) -> list[float]:
    return [x / 64, y / 48, w / 64, h / 48]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (as_fractions, "fractions of the picture where pixels are expected"),
        (lambda x, y, w, h: [x / 64, y / 48, (x + w) / 64, (y + h) / 48], "fractions of the picture"),
        (lambda x, y, w, h: [x, y, x + w, y + h], "fit as the corners left, top, right, bottom"),
        (lambda x, y, w, h: [x + w / 2, y + h / 2, w, h], "fit as center x, center y, width, height"),
    ],
)  # fmt: skip
def test_boxes_of_another_kind_are_named_in_coco(
    tmp_path: Path, change: Callable[..., list[float]], words: str
) -> None:
    content = coco_content()
    content["annotations"] = [
        {"id": n, "image_id": 1 + n % 3, "category_id": 1, "bbox": change(*box)}
        for n, box in enumerate(honest_boxes(0), 1)
    ]
    coco(tmp_path, content)
    assert [case.kind for case in check_dataset(tmp_path).cases][:2] == [
        "unusable for training",
        "suspected box format",
    ]
    with pytest.raises(DatasetError, match=words):
        usable_sets(tmp_path)


@pytest.mark.parametrize(("kept", "said"), [(0, False), (3, True)])
def test_to_train_without_the_boxes_left_out_is_offered_if_others_remain(tmp_path: Path, kept: int, said: bool) -> None:
    boxes = [[4, 4, 8, 8]] * kept + [[40, 30, 63, 47]] * 6
    content = coco_content()
    content["annotations"] = [
        {"id": n, "image_id": 1 + n % 3, "category_id": 1, "bbox": box} for n, box in enumerate(boxes, 1)
    ]
    coco(tmp_path, content)
    with pytest.raises(DatasetError, match="fit as the corners") as caught:
        usable_sets(tmp_path)
    assert ("pass --allow-lost" in str(caught.value)) == said
    with nullcontext() if said else pytest.raises(DatasetError, match=r"write them as the format requires$"):
        usable_sets(tmp_path, allow_lost=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x1, y1, x2, y2: (x1, y1, x2, y2), "fit as the corners"),
        (lambda x1, y1, x2, y2: (x1, y1, x2 - x1, y2 - y1), "fit as left, top, width, height"),
    ],
)
def test_boxes_of_another_kind_are_named_in_yolo(
    tmp_path: Path, change: Callable[..., tuple[float, ...]], words: str
) -> None:
    yolo(tmp_path)
    for stem, things in TRUTH.items():
        rows = [change(*(v / s for v, s in zip(box, (*SIZE, *SIZE), strict=True))) for _, box in things]
        write(tmp_path / f"labels/{stem}.txt", "".join(f"0 {' '.join(map(str, row))}\n" for row in rows))
    with pytest.raises(DatasetError, match=words):
        usable_sets(tmp_path)
    assert not check_dataset(tmp_path).usable


@pytest.mark.parametrize("seed", range(10))
def test_honest_boxes_are_never_suspected(tmp_path: Path, seed: int) -> None:
    content = coco_content()
    content["annotations"] = [
        {"id": n, "image_id": 1 + n % 3, "category_id": 1, "bbox": box} for n, box in enumerate(honest_boxes(seed), 1)
    ]
    dataset = load_dataset(coco(tmp_path, content))
    assert not [note for note in dataset.notes if note.kind == "suspected box format"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("cat", "Cat"), ("traffic light", "traffic_light"), ("e-bike", "ebike"), ("cr\u00e8me", "cre\u0300me")],
)
def test_one_class_in_two_spellings_is_said(tmp_path: Path, one: str, other: str) -> None:
    for name, folder in ((one, "a"), (other, "b")):
        content = coco_content()
        content["categories"][0]["name"] = name
        coco(tmp_path / folder, content)
    words = f"{one!r} and {other!r} are two classes; rename one if they mean the same"
    assert words in usable_sets([tmp_path / "a", tmp_path / "b"]).messages
    assert not [said for said in usable_sets(tmp_path / "a").messages if "two classes" in said]
