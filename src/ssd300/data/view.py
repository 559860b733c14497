"""Contact sheets: pictures of a data set with their boxes, before and after augmentation."""

import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from ssd300.arrays import Bool, Float32, Int64, UInt8
from ssd300.data.dataset import Dataset, Picture
from ssd300.data.files import entries
from ssd300.draw import draw_boxes
from ssd300.errors import OutputError
from ssd300.files import unwritable, write_whole

_COLUMNS, _ROWS = 6, 4  # tiles of a sheet
GAP = 4  # pixels between tiles
PAPER = (255, 255, 255)
_MAKER = "ssd300 data view"


@dataclass(frozen=True)
class View:
    """A picture, uint8 RGB [H, W, 3], with boxes [M, 4] in its pixels and a caption and a color key for each."""

    rgb: UInt8
    boxes_xyxy: Float32
    captions: tuple[str, ...]
    color_keys: tuple[int, ...]
    crowd: Bool


Augment = Callable[[UInt8, Float32, Int64, Bool, np.random.Generator], tuple[UInt8, Float32, Int64]]
"""(picture, boxes in the unit frame [M, 4], their positions [M], crowd flags [M], generator) -> the first three."""


def draw_sheets(
    dataset: Dataset,
    out: Path,
    positions: Sequence[int],
    *,
    augment: Augment | None = None,
    tile: int = 300,
    seed: int = 0,
) -> list[Path]:
    """Write PNG sheets of the pictures at these positions, up to 24 tiles of `tile` pixels each, to `out`.

    With `augment` every picture is followed by an augmented one. The random numbers depend only on the seed and the
    picture's position. Crowd regions are marked "(crowd)", boxes that training ignores "(ignore)"; scores below 1 are
    shown. Sheets of an earlier call in `out` are replaced or removed. Raises OutputError, before any work, where it has
    other files.
    """
    _refuse_other_files(out)
    count, each = len(positions) * (1 if augment is None else 2), _COLUMNS * _ROWS
    paths = [out / f"sheet-{number:03}.png" for number in range(1, -(-count // each) + 1)]
    views = _make_views(dataset, positions, augment, tile, seed)
    for path in paths:
        write_whole(path, _encode(contact_sheet(list(islice(views, each)), _COLUMNS, tile)))
    _remove_others(out, paths)
    return paths


def _make_views(
    dataset: Dataset, positions: Sequence[int], augment: Augment | None, tile: int, seed: int
) -> Iterator[View]:
    """The views of the pictures, each followed by its augmented one if wanted."""
    for position in positions:
        before = make_view(dataset, dataset.pictures[position])
        yield shrink_view(before, tile)  # not whole: many large pictures would fill the memory
        if augment is not None:
            yield _augment_view(before, augment, np.random.default_rng([seed, position]))


def _encode(sheet: Image.Image) -> bytes:
    """A PNG file that says what made it: so a later call does not take a user's picture for a sheet."""
    maker, data = PngImagePlugin.PngInfo(), io.BytesIO()
    maker.add_text("Software", _MAKER)
    sheet.save(data, "PNG", pnginfo=maker)
    return data.getvalue()


def _is_sheet(path: Path) -> bool:
    with suppress(OSError):
        if re.fullmatch(r"sheet-\d+\.png", path.name) and path.is_file():
            with path.open("rb") as file:
                return _MAKER.encode() in file.read(100)  # behind the header
    return False


def _remove_others(out: Path, paths: Sequence[Path]) -> None:
    """Remove the sheets that these do not replace: their boxes may be old."""
    for old in filter(_is_sheet, set(entries(out)) - set(paths)):  # others came here meanwhile
        try:
            old.unlink()
        except OSError as error:
            raise unwritable(old, error) from error


def _refuse_other_files(out: Path) -> None:
    if os.path.lexists(out) and not out.is_dir():
        raise OutputError(f"{out}: cannot be written: it is no folder; choose another one")
    others = [entry.name for entry in entries(out) if not _is_sheet(entry)]
    if others:
        raise OutputError(
            f"{out} is not empty (it holds {others[0]}), and sheets replace no other files; choose another folder"
        )


def make_view(dataset: Dataset, picture: Picture) -> View:
    """A picture with its true boxes and their names."""
    boxes = picture.annotations
    captions = []
    for i, class_id in enumerate(boxes.class_ids.tolist()):
        flags = " (crowd)" * bool(boxes.crowd[i]) + " (ignore)" * bool(boxes.ignore[i])
        score = f" {boxes.scores[i]:.2f}" if boxes.scores[i] != 1 else ""
        captions.append(f"{dataset.classes.name_of_id(class_id)}{score}{flags}")
    return View(picture.read(), boxes.boxes_xyxy, tuple(captions), tuple(boxes.class_ids.tolist()), boxes.crowd)


def _augment_view(view: View, augment: Augment, rng: np.random.Generator) -> View:
    height, width = view.rgb.shape[:2]
    whole = np.asarray(view.boxes_xyxy / np.array([width, height, width, height], np.float32), np.float32)
    rgb, unit, kept = augment(view.rgb, whole, np.arange(len(whole)), view.crowd, rng)
    height, width = rgb.shape[:2]
    boxes = np.asarray(unit * np.array([width, height, width, height], np.float32), np.float32)
    captions = tuple(view.captions[i] for i in kept.tolist())
    return View(rgb, boxes, captions, tuple(view.color_keys[i] for i in kept.tolist()), view.crowd[kept])


def contact_sheet(views: Sequence[View], columns: int, tile: int) -> Image.Image:
    """Views in rows of `columns`, each resized to fit a square of `tile` pixels, on white."""
    columns = max(1, min(columns, len(views)))
    rows = max(1, -(-len(views) // columns))
    step = tile + GAP
    sheet = Image.new("RGB", (columns * step + GAP, rows * step + GAP), PAPER)
    for number, view in enumerate(views):
        small = shrink_view(view, tile)
        drawn = draw_boxes(small.rgb, small.boxes_xyxy, view.captions, view.color_keys)
        row, column = divmod(number, columns)
        x, y = GAP + column * step + (tile - drawn.width) // 2, GAP + row * step + (tile - drawn.height) // 2
        sheet.paste(drawn, (x, y))
    return sheet


def shrink_view(view: View, tile: int) -> View:
    """The view resized to fit a square of `tile` pixels."""
    height, width = view.rgb.shape[:2]
    scale = tile / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(Image.fromarray(view.rgb).resize(size, Image.Resampling.BILINEAR))
    return replace(view, rgb=small, boxes_xyxy=np.asarray(view.boxes_xyxy * scale, np.float32))
