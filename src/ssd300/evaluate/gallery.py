"""The worst pictures as small JPEG files, with right, wrong and missed boxes drawn."""

import base64
import io

import numpy as np
from PIL import Image

from ssd300.arrays import Float32
from ssd300.colors import PALETTE
from ssd300.draw import draw_boxes
from ssd300.errors import SSD300Error
from ssd300.evaluate.diagnosis import PictureErrors
from ssd300.evaluate.run import Evaluation

LONGEST_SIDE = 640  # pixels
MOST_BYTES = 40_000
RIGHT, WRONG, MISSED = 2, 5, 1  # positions in the palette: green, vermilion, orange
LEGEND = {"right": PALETTE[RIGHT], "wrong": PALETTE[WRONG], "missed": PALETTE[MISSED]}


def draw_thumbnail(evaluation: Evaluation, errors: PictureErrors) -> str | None:
    """The picture with its errors as a data URL of at most 40 KB; None if it can no longer be read."""
    picture = evaluation.dataset.pictures[errors.position]
    try:
        rgb = picture.read()
    except SSD300Error:
        return None
    image = Image.fromarray(rgb)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BILINEAR)
    scale = image.width / picture.width, image.height / picture.height
    boxes_xyxy, captions, colors = _boxes(evaluation, errors)
    drawn = draw_boxes(image, boxes_xyxy * np.array(scale * 2, np.float32), captions, colors)
    return "data:image/jpeg;base64," + base64.b64encode(_small_jpeg(drawn)).decode()


def _boxes(evaluation: Evaluation, errors: PictureErrors) -> tuple[Float32, list[str], list[int]]:
    """Boxes in pixels of the original picture, captions and colors; errors first, so that they are drawn on top."""
    found = evaluation.results[errors.position]
    truth = evaluation.dataset.pictures[errors.position].annotations
    classes = evaluation.dataset.classes
    corners = [found.boxes_xyxy[errors.wrong], truth.boxes_xyxy[errors.missed], found.boxes_xyxy[errors.right]]
    captions = [f"{found.names[i]} {found.scores[i]:.2f}" for i in errors.wrong.tolist()]
    captions += [classes.name_of_id(i) for i in truth.class_ids[errors.missed].tolist()]
    captions += [""] * len(errors.right)  # right boxes need no caption
    colors = [WRONG] * len(errors.wrong) + [MISSED] * len(errors.missed) + [RIGHT] * len(errors.right)
    return np.concatenate(corners), captions, colors


def _small_jpeg(image: Image.Image) -> bytes:
    """The best quality that fits into MOST_BYTES: first reduce quality, then size."""
    while True:
        for quality in (85, 70, 55, 40):
            out = io.BytesIO()
            image.save(out, "JPEG", quality=quality, optimize=True)
            if out.tell() <= MOST_BYTES:
                return out.getvalue()
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)), Image.Resampling.BILINEAR)
