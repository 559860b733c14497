"""The output files of `ssd300 detect`: drawn pictures, crops, YOLO labels. Existing files are never replaced."""

import errno
import json
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from ssd300 import draw
from ssd300.detections import Detections
from ssd300.digits import Distinct, whole_number
from ssd300.errors import ArgumentError, SSD300Error
from ssd300.files import path_from
from ssd300.formats import csv_text
from ssd300.images.addresses import local_path
from ssd300.images.encode import LONGEST_JPEG_SIDE, LONGEST_WEBP_SIDE, encode_picture
from ssd300.images.folders import name_on_disk, portable_name
from ssd300.images.profiles import with_profile
from ssd300.label_tools import to_labelme

_RUNS = Path("runs/detect")
_KEPT_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")  # others are saved as .jpg
_LONGEST_NAME = 200  # bytes; file systems allow 255, and extensions and numbers are appended


@dataclass(frozen=True)
class Rendered:
    """One result with its files to write; `fault` says why there are none."""

    found: Detections
    extension: str = ""
    drawn: bytes = b""
    crops: list[tuple[str, str, bytes]] = field(default_factory=list)  # class name, number.extension, file
    fault: SSD300Error | None = None


def render(found: Detections, *, crops: bool, style: draw.DrawStyle | None = None) -> Rendered:
    """Draw one picture's detections, and crop them if requested. Runs in the threads that detect.

    `style` as for `draw.draw_detections`. The result refers to no pixels.
    """
    kept = replace(found, picture=None)
    try:
        rgb = draw.load_pixels(found)
        extension = _extension(found)
        drawn = encode_picture(draw.draw_detections(rgb, found, style=style), extension)
        pieces = draw.crop(rgb, found.boxes_xyxy) if crops else []
        cut = []
        for number, (one, piece) in enumerate(zip(found, pieces, strict=bool(pieces)), 1):
            if piece.size:
                kind = ".png" if max(piece.shape) > LONGEST_JPEG_SIDE else ".jpg"
                cut.append((one.name, f"{number}{kind}", encode_picture(draw.as_image(with_profile(piece, rgb)), kind)))
    except SSD300Error as error:
        return Rendered(kept, fault=error)
    return Rendered(kept, extension, drawn, cut)


def refuse_filled(path: Path | None) -> None:
    """Raise ArgumentError for a --save-dir that is not empty: this run's files would mix with others."""
    try:
        entry = next(path.iterdir(), None) if path else None
    except OSError:  # new, or not a folder: creating it reports that
        return
    if path and entry:
        raise ArgumentError(
            f"--save-dir {path}: the folder is not empty (it holds {entry.name}), and the files of a run are not mixed "
            "with others: give a new or an empty folder, or none for the next number under runs/detect"
        )


class OutputFolder:
    """One run's folder. Names come from the pictures' names; a name that is in use gets -2, -3, ... appended."""

    def __init__(self, path: Path | None) -> None:
        """`path`, new or empty; else the next number under runs/detect. Raises ArgumentError if it cannot be made."""
        refuse_filled(path)
        try:
            self._made = path is None or not path.exists()  # else it stays, also without files
            self.path = _next_run() if path is None else path
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            wanted = _RUNS if path is None else path
            raise ArgumentError(
                f"cannot make the folder {wanted} for the drawn pictures ({error.strerror}): "
                f"choose another one with --save-dir, or write no files with --no-save"
            ) from error
        self._distinct = Distinct[str](name_on_disk)
        self._begun: set[str] = set()  # files about all pictures; the first one may not be saved
        self._class_folders: dict[str, str] = {}
        self.saved = 0
        self.last = self.path  # the last drawn picture

    def write(self, rendered: Rendered, labels: Collection[str] = ()) -> None:
        """Write the files of one result, and its labels if yolo or labelme is among `labels`.

        Raises an SSD300Error that names the source.
        """
        if rendered.fault:
            raise rendered.fault
        found = rendered.found
        try:
            name, drawn = self._write_drawn(rendered)
            for label, ending, data in rendered.crops:
                folder = self.path / "crops" / self._class_folder(label, found.classes.names)
                folder.mkdir(parents=True, exist_ok=True)
                _write_new(folder / f"{name}_{ending}", data)
            if "yolo" in labels:
                self._write_labels(name, drawn, found)
            if "labelme" in labels:
                self._write_labelme(name, found)
        except OSError as error:
            raise SSD300Error(f"{found.source}: detected, but not saved in {self.path}: {error.strerror}") from error
        self.saved += 1
        self.last = drawn

    def video_path(self, source: str) -> Path:
        """A new path for a drawn video, which another function writes."""
        return self.path / f"{self._free_name(source)}.mp4"

    def remove_if_empty(self) -> None:
        if self._made and not self.saved and not any(self.path.iterdir()):
            self.path.rmdir()

    def _write_drawn(self, rendered: Rendered) -> tuple[str, Path]:
        """Write the drawn picture under the first free name; return (name, path)."""
        while True:
            name = self._free_name(rendered.found.source or "picture")
            path = self.path / (name + rendered.extension)
            try:
                _write_new(path, rendered.drawn)
            except FileExistsError:  # another program writes here at the same time
                continue
            return name, path

    def _write_labels(self, name: str, drawn: Path, found: Detections) -> None:
        """Write the YOLO labels, the classes, and a table of the drawn picture and source of each label file."""
        labels = self.path / "labels"
        labels.mkdir(exist_ok=True)
        _write_new(labels / f"{name}.txt", found.to_yolo().encode())
        for file, text in (("classes.txt", found.classes.to_lines()), ("sources.csv", "label,picture,source\n")):
            if file not in self._begun:
                _write_new(self.path / file, text.encode())
                self._begun.add(file)
        row = csv_text([(f"labels/{name}.txt", drawn.name, found.source or "")]).encode("utf-8", "backslashreplace")
        with (self.path / "sources.csv").open("ab", buffering=0) as table:
            end = table.tell()
            if table.write(row) < len(row):  # the disk is full; the next row would be read as the rest of this one
                table.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _write_labelme(self, name: str, found: Detections) -> None:
        """Write a labelme file, which refers to the picture by a relative path."""
        folder = self.path / "labelme"
        folder.mkdir(exist_ok=True)
        source = local_path(found.source or "")
        picture = path_from(folder, Path(source)) if os.path.isfile(source) else None
        text = json.dumps(to_labelme(found, picture), ensure_ascii=False, indent=1)
        _write_new(folder / f"{name}.json", text.encode("utf-8", "backslashreplace"))

    def _class_folder(self, label: str, names: Sequence[str]) -> str:
        """The folder of a class's crops, one for each of all the names: "a/b" and "a:b" must not be mixed."""
        if not self._class_folders:
            distinct = Distinct[str](name_on_disk)
            self._class_folders = {name: distinct(_sanitize(name)) for name in names}
        return self._class_folders[label]

    def _free_name(self, source: str) -> str:
        """The stem of the source's file name, unique."""
        source = local_path(source)
        path = urlsplit(source).path if "://" in source else source
        return self._distinct(_sanitize(Path(path).stem.strip("<>")))  # <stdin>


def _write_new(path: Path, data: bytes) -> None:
    """Write a new file, completely or not at all. Raises FileExistsError, OSError."""
    file = path.open("xb")
    try:
        with file:
            file.write(data)
    except BaseException:  # Ctrl-C, too; the file is closed, as Windows removes no open one
        path.unlink(missing_ok=True)
        raise


def _next_run() -> Path:
    """A new folder runs/detect/<n>; mkdir is atomic, so runs that start at once get different ones."""
    _RUNS.mkdir(parents=True, exist_ok=True)
    number = 1 + max((whole_number(p.name) or 0 for p in _RUNS.iterdir()), default=0)
    while True:
        try:
            (_RUNS / str(number)).mkdir()
        except FileExistsError:
            number += 1
        else:
            return _RUNS / str(number)


def _extension(found: Detections) -> str:
    """The extension of the drawn picture: the source's if supported, else .jpg, or .png for very large pictures."""
    height, width = found.image_size_hw
    given = Path(found.source or "").suffix
    if max(height, width) > LONGEST_WEBP_SIDE:
        return ".png"
    return given if given.lower() in _KEPT_EXTENSIONS else ".jpg"


def _sanitize(name: str) -> str:
    """A name that is valid on every system: no separators, control or reserved characters, not too long."""
    clean = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]', "_", name).strip(" .")
    raw = clean.encode("utf-8", "surrogateescape")
    if len(raw) > _LONGEST_NAME:
        clean = raw[:_LONGEST_NAME].decode("utf-8", "ignore")
    return portable_name(clean) or "picture"
