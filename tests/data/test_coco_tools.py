"""COCO as Detectron2, LVIS and others write it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssd300.data.load import load_dataset
from ssd300.errors import DatasetError

Edit = Callable[[Callable[[dict[str, Any]], object]], Path]


@pytest.mark.parametrize(("mode", "corners"), [(0, True), (1, False), (None, False)])
def test_the_mode_of_detectron2_s_boxes(edit_coco: Edit, mode: int | None, corners: bool) -> None:
    def write_mode(content: dict[str, Any]) -> None:
        for annotation in content["annotations"]:
            x, y, w, h = annotation["bbox"]
            annotation |= {"bbox_mode": mode, "bbox": [x, y, x + w, y + h] if corners else [x, y, w, h]}

    assert load_dataset(edit_coco(write_mode)).pictures[0].annotations.boxes_xyxy[0].tolist() == [4, 6, 24, 36]


def test_another_mode_of_boxes_is_a_fault(edit_coco: Edit) -> None:
    with pytest.raises(DatasetError, match=r"bbox_mode is 4; 0 \(corners\) and 1 are read"):
        load_dataset(edit_coco(lambda content: content["annotations"][0].update(bbox_mode=4)))


def test_names_of_lvis_are_the_ends_of_addresses(edit_coco: Edit) -> None:
    def address(content: dict[str, Any]) -> None:
        for image in content["images"]:
            image["coco_url"] = f"http://images.cocodataset.org/val2017/{image.pop('file_name')}"

    assert [picture.path.name for picture in load_dataset(edit_coco(address)).pictures][:2] == ["a.jpg", "b.jpg"]


def test_an_entry_of_a_picture_that_is_given_twice_is_one(edit_coco: Edit) -> None:
    dataset = load_dataset(edit_coco(lambda content: content["images"].append(dict(content["images"][0]))))
    assert (len(dataset), dataset.num_boxes) == (4, 4)
    other = {"id": 0, "file_name": "other.jpg", "width": 64, "height": 48}
    with pytest.raises(DatasetError, match="the image id 0 is given twice"):
        load_dataset(edit_coco(lambda content: content["images"].append(other)))


@pytest.mark.parametrize(
    ("attributes", "box"),
    [
        ({"occluded": False, "rotation": 90.0}, [-1, 11, 29, 31]), ({"rotation": 45}, [-3.6, 3.3, 31.7, 38.7]),
        ({"rotation": "180"}, [4, 6, 24, 36]),
        ({"rotation": 0.0}, [4, 6, 24, 36]), ({}, [4, 6, 24, 36]), (None, [4, 6, 24, 36]), ([5], [4, 6, 24, 36]),
        ({"rotation": "x"}, [4, 6, 24, 36]), ({"rotation": float("nan")}, [4, 6, 24, 36]),
    ],
)  # fmt: skip
def test_a_box_that_cvat_turned_is_enclosed(edit_coco: Edit, attributes: Any, box: list[int]) -> None:
    dataset = load_dataset(edit_coco(lambda content: content["annotations"][0].update(attributes=attributes)))
    assert dataset.pictures[0].annotations.boxes_xyxy[0].round(1).tolist() == pytest.approx(
        [max(edge, 0) for edge in box], abs=0.05
    )
    assert not [note for note in dataset.notes if note.action != "noted"]


def test_a_panoptic_file_is_named(edit_coco: Edit) -> None:
    path = edit_coco(lambda content: content.update(annotations=[{"image_id": 0, "segments_info": []}]))
    with pytest.raises(DatasetError, match="a panoptic file; give the file of the instances"):
        load_dataset(path)
