"""Where `ssd300 detect` puts its files: drawn pictures, crops, YOLO labels; never two under one name."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from ssd300 import draw
from ssd300.arrays import UInt8
from ssd300.detections import Detections
from ssd300.errors import ArgumentError, SSD300Error

RUNS = Path("runs/detect")
_KEPT_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")  # others are saved as .jpg
_LONGEST_NAME = 200  # bytes; file systems take 255, and endings and numbers are still to come


class OutputFolder:
    """One run's folder. Names come from the pictures' names; a name that is taken gets -2, -3, ... appended."""

    def __init__(self, path: Path | None) -> None:
        """`path`, made if need be; without it the next free number under runs/detect. ArgumentError if it cannot be."""
        try:
            self.path = _next_run() if path is None else path
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            wanted = RUNS if path is None else path
            raise ArgumentError(
                f"cannot make the folder {wanted} for the drawn pictures ({error.strerror}): "
                f"choose another one with --save-dir, or draw none with --no-save"
            ) from error
        self._taken: set[str] = set()
        self.saved = 0
        self.last = self.path  # the newest drawn picture

    def save(self, found: Detections, picture: Any, *, crops: bool, yolo: bool) -> None:
        """Draw one picture's detections; cut them out and write labels if wanted. SSD300Error names the source."""
        name = self._free_name(found.source or "picture")
        try:
            rgb = draw.pixels_of(found, picture)
            drawn = self.path / _file_name(name, found)
            draw.save_picture(draw.draw_detections(rgb, found), drawn)
            if crops:
                self._save_crops(name, found, draw.crop(rgb, found.boxes_xyxy))
            if yolo:
                (self.path / "labels").mkdir(exist_ok=True)
                found.save(self.path / "labels" / f"{name}.txt")
                (self.path / "classes.txt").write_text("\n".join(found.classes.names) + "\n", encoding="utf-8")
        except OSError as error:
            raise SSD300Error(f"{found.source}: detected, but not saved in {self.path}: {error.strerror}") from error
        self.saved += 1
        self.last = drawn

    def remove_if_empty(self) -> None:
        """Leave no empty folder behind where nothing could be saved."""
        if not self.saved and not any(self.path.iterdir()):
            self.path.rmdir()

    def _save_crops(self, name: str, found: Detections, pieces: list[UInt8]) -> None:
        for number, (one, piece) in enumerate(zip(found, pieces, strict=True), 1):
            if piece.size:
                folder = self.path / "crops" / _safe(one.name)
                folder.mkdir(parents=True, exist_ok=True)
                draw.save_picture(Image.fromarray(piece), folder / f"{name}_{number}.jpg")

    def _free_name(self, source: str) -> str:
        """The source's bare file name, once: case does not count, because not every file system minds it."""
        path = urlsplit(source).path if "://" in source else source
        bare = _safe(Path(path).stem.strip("<>"))  # <stdin>
        name, number = bare, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{bare}-{number}"
        self._taken.add(name.casefold())
        return name


def _next_run() -> Path:
    """A new folder runs/detect/<n>: mkdir decides between several runs that start at once."""
    RUNS.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(p.name) for p in RUNS.iterdir() if p.name.isascii() and p.name.isdigit()), default=0)
    while True:
        try:
            (RUNS / str(number)).mkdir()
        except FileExistsError:
            number += 1
        else:
            return RUNS / str(number)


def _file_name(name: str, found: Detections) -> str:
    ending = Path(found.source or "").suffix
    height, width = found.image_size_hw
    if max(height, width) > draw.LONGEST_WEBP_SIDE:
        ending = ".png"  # the one that holds any size
    return name + (ending if ending.lower() in _KEPT_ENDINGS else ".jpg")


def _safe(name: str) -> str:
    """A name that every file system takes: no separators, control characters or reserved marks, not too long."""
    clean = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]', "_", name).strip(" .")
    raw = clean.encode("utf-8", "surrogateescape")
    if len(raw) > _LONGEST_NAME:
        clean = raw[:_LONGEST_NAME].decode("utf-8", "ignore")
    return clean or "picture"
