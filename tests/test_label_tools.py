"""Predictions for labeling tools: read back by our own readers where there is one."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd300.cli.results import ResultStream, result_layout
from ssd300.data.load import load_dataset
from ssd300.data.markup import parse_xml
from ssd300.detections import Detections
from ssd300.label_tools import CVAT_FIRST, CVAT_LAST, CvatImages, to_fiftyone, to_label_studio, to_labelme
from ssd300.labels import ClassList

CLASSES = ClassList(("cat", 'a "b" & <c>'), (3, 7))
BOXES = ([], [[1.5, 2, 30, 40.25], [-5, 10, 50, 70], [90, 90, 99, 99]])  # of 60 x 80; the last lies outside


def found(folder: Path, boxes: list, name: str = "ü.jpg") -> Detections:
    path = folder / name
    Image.new("RGB", (60, 80)).save(path)
    count = len(boxes)
    rows = np.array(boxes, np.float32).reshape(count, 4)
    return Detections(rows, np.linspace(0.9, 0.5, count), [3, 7, 3][:count], CLASSES, (80, 60), str(path))


def written(name: str, answers: list[Detections], path: Path) -> Path:
    with path.open("w", encoding="utf-8") as file:
        stream = ResultStream(result_layout(name, many=len(answers) > 1, bold=False), file)
        for answer in answers:
            stream.add(answer)
        stream.end()
    return path


@pytest.mark.parametrize("name", ["cvat", "labelme"])
@pytest.mark.parametrize("boxes", BOXES)
def test_files_of_tools_read_back(tmp_path, name, boxes) -> None:
    answer = found(tmp_path, boxes)
    beside = found(tmp_path, BOXES[1][:1], "full.jpg")  # a set needs a box
    if name == "cvat":
        path = written("cvat", [answer, beside], tmp_path / "annotations.xml")
    else:
        path = tmp_path
        for one in (answer, beside):
            text = json.dumps(to_labelme(one, Path(one.source).name))
            Path(one.source).with_suffix(".json").write_text(text)
    read = {picture.path.name: picture.annotations for picture in load_dataset(path, format=name).pictures}
    expected = answer.clipped().boxes_xyxy[:2]
    np.testing.assert_allclose(np.sort(read["ü.jpg"].boxes_xyxy, 0), np.sort(expected, 0), atol=1e-4)


def test_label_studio_and_fiftyone_have_shares_of_the_picture(tmp_path) -> None:
    assert to_fiftyone(found(tmp_path, [])) == []
    assert to_label_studio(found(tmp_path, []))["predictions"][0]["result"] == []
    answer = found(tmp_path, BOXES[1])
    first, second = to_fiftyone(answer)
    assert first == {"label": "cat", "bounding_box": [1.5 / 60, 2 / 80, 28.5 / 60, 38.25 / 80], "confidence": 0.9}
    assert second["bounding_box"] == [0, 10 / 80, 50 / 60, 60 / 80]
    results = to_label_studio(answer, "https://host/ü.jpg")["predictions"][0]["result"]
    assert [one["value"]["rectanglelabels"] for one in results] == [["cat"], ['a "b" & <c>']]
    assert results[1]["value"]["height"] == 75
    assert len({one["id"] for one in results}) == 2


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("name", ["fiftyone", "labelstudio"])
def test_streams_are_whole_json(tmp_path, name, count) -> None:
    content = json.loads(written(name, [found(tmp_path, BOXES[1])] * count, tmp_path / "out.json").read_bytes())
    if name == "fiftyone":
        assert list(content["labels"]) == ["ü", "ü-2"][:count]
    else:
        assert len(content) == count


@pytest.mark.parametrize("name", ["a\x00b", "a\x1fb", "a\ud800b", "a\ufffeb", "a\uffffb", "a?b"])
def test_names_that_xml_cannot_hold_leave_a_file_that_can_be_read(tmp_path, name) -> None:
    text = "".join([CVAT_FIRST, *CvatImages()(replace(found(tmp_path, []), source=name)), CVAT_LAST])
    (tmp_path / "annotations.xml").write_text(text, encoding="utf-8")
    assert [image.get("name") for image in parse_xml(tmp_path / "annotations.xml").iter("image")] == ["a?b"]


@pytest.mark.parametrize(("source", "name"), [("a.jpg", "a.jpg"), ("./a.jpg", "a.jpg"), ("./b/a.jpg", "b/a.jpg")])
def test_cvat_finds_pictures_by_their_names_alone(tmp_path, source, name) -> None:
    """A name that its task does not have must not be found by the number of the element."""
    answers = [replace(found(tmp_path, BOXES[1]), source=one) for one in (source, "other.jpg")]
    images = [*parse_xml(written("cvat", answers, tmp_path / "annotations.xml")).iter("image")]
    assert [image.get("name") for image in images] == [name, "other.jpg"]
    assert [int(image.get("id")) for image in images] == [-1, -2]
