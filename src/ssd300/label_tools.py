"""Detections as predictions for labeling tools: labelme, Label Studio, FiftyOne and CVAT.

Boxes are clipped to the picture; one outside of it is left out.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

from ssd300.boxes import clip
from ssd300.digits import Distinct
from ssd300.formats import shortest
from ssd300.images.addresses import stem_of
from ssd300.result import Found

CVAT_FIRST = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
CVAT_LAST = "</annotations>\n"


def _boxes(found: Found) -> Iterator[tuple[str, float, tuple[float, float, float, float]]]:
    """(name, score, box_xyxy in pixels) of each object inside the picture."""
    height, width = found.image_size_hw
    boxes_xyxy = shortest(clip(found.boxes_xyxy, width, height))
    for name, score, (left, top, right, bottom) in zip(found.names, shortest(found.scores), boxes_xyxy, strict=True):
        if left < right and top < bottom:
            yield name, score, (left, top, right, bottom)


def to_labelme(found: Found, picture: str | None = None) -> dict[str, Any]:
    """A labelme file: rectangles with their scores in `description`. `picture` is its path, relative to the file."""
    height, width = found.image_size_hw
    shapes: list[dict[str, Any]] = [
        {
            "label": name,
            "points": [[left, top], [right, bottom]],
            "group_id": None,
            "description": f"score {score}",
            "shape_type": "rectangle",
            "flags": {},
        }
        for name, score, (left, top, right, bottom) in _boxes(found)
    ]
    return {
        "version": "5.0.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": picture or found.source or "",
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def to_label_studio(found: Found, image: str | None = None) -> dict[str, Any]:
    """A Label Studio task with one prediction, for `<RectangleLabels name="label" toName="image">`.

    `image` is the URL under which Label Studio finds the picture; it defaults to the source.
    """
    height, width = found.image_size_hw
    results = [
        {
            "id": f"box{number}",
            "type": "rectanglelabels",
            "from_name": "label",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": score,
            "value": {
                "x": 100 * left / width,
                "y": 100 * top / height,
                "width": 100 * (right - left) / width,
                "height": 100 * (bottom - top) / height,
                "rotation": 0,
                "rectanglelabels": [name],
            },
        }
        for number, (name, score, (left, top, right, bottom)) in enumerate(_boxes(found), 1)
    ]
    prediction = {"model_version": "ssd300", "result": results}
    return {"data": {"image": image or found.source or ""}, "predictions": [prediction]}


def to_fiftyone(found: Found) -> list[dict[str, Any]]:
    """The objects of a picture as FiftyOne's detections: boxes are left, top, width, height in the unit frame."""
    height, width = found.image_size_hw
    return [
        {
            "label": name,
            "bounding_box": [left / width, top / height, (right - left) / width, (bottom - top) / height],
            "confidence": score,
        }
        for name, score, (left, top, right, bottom) in _boxes(found)
    ]


class FiftyOneRows:
    """The `labels` of a FiftyOneImageDetectionDataset, picture by picture, under the file's name without its extension.

    A name that is already in use gets -2, -3, ... appended.
    """

    def __init__(self) -> None:
        self._distinct = Distinct[str]()

    def __call__(self, found: Found) -> list[str]:
        name = self._distinct(stem_of(found.source or "picture"))
        return [f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(to_fiftyone(found), ensure_ascii=False)}"]


class CvatImages:
    """The <image> elements of CVAT for images 1.1; the score of a box is an attribute of it.

    Their ids are -1, -2, ...: CVAT takes the id of a name that its task does not have as the number of a frame, whose
    picture would get the boxes of another one. So it refuses the name.
    """

    def __init__(self) -> None:
        self._number = 0

    def __call__(self, found: Found) -> list[str]:
        from xml.sax.saxutils import quoteattr  # imports ssl and more, which the other formats do not need

        height, width = found.image_size_hw
        self._number -= 1
        name = quoteattr(_xml(found.source or "picture").replace(os.sep, "/").removeprefix("./"))
        lines = [f'<image id="{self._number}" name={name} width="{width}" height="{height}">']
        for label, score, (left, top, right, bottom) in _boxes(found):
            sides = f'xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"'
            lines.append(f'<box label={quoteattr(_xml(label))} source="auto" occluded="0" {sides} z_order="0">')
            lines.append(f'<attribute name="score">{score}</attribute></box>')
        return ["\n".join([*lines, "</image>\n"])]


def _xml(text: str) -> str:
    """The text with characters that XML forbids (control characters, lone surrogates, ...) replaced by "?"."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
