"""Find the data set at a path, of any format, and load it: all of it, the part to train on, or that to evaluate on."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ssd300.data import coco, createml, cvat, kitti, labelme, pack, tables, via, voc, yolo
from ssd300.data.dataset import Dataset, join
from ssd300.data.files import child, entries, folders_in, is_picture, with_suffix
from ssd300.data.finder import is_another
from ssd300.data.notes import Note
from ssd300.data.parts import Part, choose_parts, parse_part, training_parts, validation_parts
from ssd300.data.reading import first_line
from ssd300.data.unread import describe_damaged, describe_unread
from ssd300.data.writing import Copier, new_files
from ssd300.digits import counted
from ssd300.errors import ArgumentError, DatasetError, unknown_name
from ssd300.files import looked_from
from ssd300.terminal import as_argument


class Format(Protocol):
    """The functions of every format: find the parts at a path (none, if it has another format), and read one."""

    def find(self, path: Path) -> list[Part]: ...

    def read(self, part: Part) -> Dataset: ...


class WritableFormat(Protocol):
    """The functions of a format that can be written: a whole set (parts and names of their pictures), and lists."""

    def write(self, splits: dict[str, Dataset], names: list[list[str]], out: Path, copy: Copier) -> None: ...

    def write_split(self, part: Part, splits: dict[str, Dataset], out: Path) -> None: ...

    def split_files(self, part: Part, splits: Iterable[str], out: Path) -> list[Path]: ...


FORMATS_BY_NAME: dict[str, Format] = {
    "pack": pack, "yolo": yolo, "coco": coco, "cvat": cvat, "voc": voc, "createml": createml, "via": via,
    "labelme": labelme, "csv": tables, "kitti": kitti,
}  # fmt: skip
"""Name -> format, in the order of detection."""
WRITABLE_FORMATS: dict[str, WritableFormat] = {"coco": coco, "yolo": yolo, "voc": voc}
FORMATS = tuple(FORMATS_BY_NAME)
_MAX_DEPTH = 5  # folders in one another that are looked into
_SHOWN_FAULTS = 3
_DOCUMENTS = (".txt", ".md", ".pdf", ".html", ".zip")


def load_dataset(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    format: str | None = None,
    split: str | None = None,
) -> Dataset:
    """Load the data set at a path: a file or folder in any format of docs/data.md.

    The format is detected unless `format` names it ("coco", "yolo", "voc", "pack", ...). `split` selects one of several
    parts ("train", "val", ...); "train+val" and "all" join some or all of them. A list of paths is joined, classes by
    name. Boxes that reach a little outside the picture are clipped, those beyond the tolerance left out;
    `Dataset.notes` lists each, and `Dataset.summary()` counts them. Any other fault (an unknown id, a missing picture,
    a malformed line) raises DatasetError with file, picture and annotation: nothing is dropped silently.
    """
    paths = each_path(path)
    return join([load_parts(choose_parts(find_parts(one, format), one, split), one, format) for one in paths])


def each_path(paths: Any) -> list[Any]:
    """The paths of a data set: one, or several. `find_parts` checks each."""
    one = isinstance(paths, str | bytes | os.PathLike) or not isinstance(paths, Iterable)
    return [paths] if one else list(paths)


def load_parts(parts: Sequence[Part], path: str | Path, format: str | None = None) -> Dataset:
    """Load and join some parts of a path, found as `format`. Raises DatasetError with the faults of each."""
    datasets = [read_part(part) for part in parts]
    for dataset in datasets:
        raise_faults(dataset, path, format)
    return join(datasets)


def load_training(path: str | Path | Sequence[str | Path]) -> Dataset:
    """Load the part to train on from one or several paths: train, or the only one. It may be without boxes."""
    return join([load_parts(training_parts(find_parts(one, None), one), one) for one in each_path(path)])


def load_validation(path: str | Path) -> Dataset:
    """Load the part to evaluate on: val, or the only one."""
    return load_parts(validation_parts(find_parts(path, None), path, alone=True), path)


def raise_faults(dataset: Dataset, path: str | Path, format: str | None = None) -> None:
    """Raises DatasetError with the first faults of a set, if there are any."""
    faults = [note for note in dataset.notes if note.action == "fault"]
    if not faults:
        return
    shown = [f"{fault.kind}: {fault}" for fault in faults[:_SHOWN_FAULTS]]
    if len(faults) > _SHOWN_FAULTS:
        shown.append(f"and {len(faults) - _SHOWN_FAULTS} more")
    named = f" --input-format {format}" if format else ""
    command = f"ssd300 data check {as_argument(path)}{named} --cases cases.csv"
    raise DatasetError(
        f"{dataset.name} has {counted(len(faults), 'fault')} (`{command}` lists them): {'; '.join(shown)}"
    )


def find_parts(path: str | os.PathLike[str], format: str | None = None) -> list[Part]:
    """The parts found at a path, sorted by name within a format. Raises DatasetError if there are none.

    The first format that finds any is used; docs/data.md shows the folders of each. Raises ArgumentError for what is no
    path, and for an unknown format.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentError(f"a data set is named by its path, got {type(path).__name__}")
    if not os.fspath(path):  # which is the current folder for Path
        raise DatasetError("'': no such file or folder, the path is empty; check the variable that it comes from")
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise unknown_name("data format", format, FORMATS)
    if not os.path.exists(path):  # unlike Path's, False for a name that the file system does not allow
        raise DatasetError(
            f"{path}: no such file or folder{looked_from(path)}. "
            "A data set is a COCO .json, a data.yaml, a .pack or a folder"
        )
    if not path.is_dir() and not path.is_file():
        raise DatasetError(f"{path}: a device or pipe, not a data set; give a file or folder")
    for place in nested(path):
        for name, format_ in FORMATS_BY_NAME.items():
            if format in (None, name):
                parts = format_.find(place)
                if parts:
                    return sorted(parts, key=lambda part: part.split)
    raise DatasetError(_describe_nothing_found(path, format))


def nested(path: Path) -> Iterator[Path]:
    """A path, and the only thing in it beside documents if that is a folder (as archives unpack), and so on; not one
    that is named as a part."""
    for _ in range(_MAX_DEPTH):
        yield path
        inside = [one for one in entries(path) if one.suffix.lower() not in _DOCUMENTS]
        if len(inside) != 1 or parse_part(inside[0].name) or not inside[0].is_dir():
            return
        path = inside[0]


def read_part(part: Part) -> Dataset:
    """Read one part, with its faults in `notes` instead of raised."""
    dataset = FORMATS_BY_NAME[part.format].read(part)
    return replace(dataset, notes=(*dataset.notes, *_find_shared_files(dataset)))


def _find_shared_files(dataset: Dataset) -> Iterator[Note]:
    """A fault for every picture whose file is also that of another name: the file of one of them is missing."""
    names: dict[Path, str] = {}
    for picture in dataset.pictures if dataset.pictures and dataset.pictures[0].payload is None else ():
        other = names.setdefault(picture.path, picture.file_name)
        if other != picture.file_name and is_another(picture.file_name, other, picture.path):
            words = f"it is missing; {picture.path} was found, but so it was for {other}"
            yield Note("missing picture", "fault", str(picture.labels), picture.file_name, "", words)


def write_split(part: Part, splits: dict[str, Dataset], out: Path) -> list[Path]:
    """Write parts (name -> pictures of `part`) as lists in the folder `out`; no picture is copied.

    YOLO: out/data.yaml and out/PART.txt; VOC with its own folder as `out`: ImageSets/Main; else out/PART.json in COCO's
    format, which for a COCO set keeps all fields. Raises DatasetError instead of replacing a file.
    """
    paths = split_files(part, splits, out)
    _writer(part, out).write_split(part, splits, out)
    return paths


def split_files(part: Part, splits: Iterable[str], out: Path) -> list[Path]:
    """The files that `write_split` will write. Raises DatasetError if one exists: call it before any work."""
    return new_files(_writer(part, out).split_files(part, splits, out))


def _writer(part: Part, out: Path) -> WritableFormat:
    if part.format == "pack":
        raise ArgumentError(f"{part.source}: a packed set is not split; split the original, then pack its two parts")
    if part.format == "voc" and not (out.exists() and out.samefile(part.source)):
        return coco  # VOC's lists cannot name pictures of another folder
    return WRITABLE_FORMATS.get(part.format, coco)


def _describe_json(path: Path) -> str:
    """What the first .json file at a path has instead of COCO's lists, if there is one."""
    for file in with_suffix(path, ".json", most=1):
        try:
            coco.parse(file)
        except DatasetError as error:
            return f"{error}."
    return ""


def _describe_table(path: Path) -> str:
    """The columns of the only table at a path, or of that of the first part, if any, and those that it needs."""
    files = [file for place in (path, *folders_in(path)) for file in with_suffix(place, ".csv")]
    if len({file.name for file in files}) != 1:
        return ""
    found = first_line(files[0])
    return f"{files[0]}: a table of boxes has the columns filename, class, xmin, ymin, xmax, ymax; found {found:.200}."


def _name_format(path: Path, format: str | None) -> str:
    """The format of the data set at a path, if another one was asked for."""
    with suppress(DatasetError):
        return f"It is a {find_parts(path)[0].format} data set." if format else ""
    return ""


def _describe_labels(path: Path) -> str:
    """What YOLO's labels in a folder, or in one in it, lack; or where they may be."""
    places = [path, *folders_in(path)]
    pictures = [file for place in places for file in entries(place) if is_picture(file)]
    if any(child(place, "labels") for place in places):
        return "There is a labels/ folder: YOLO needs a data.yaml with `names` or a classes.txt, and images/ beside it."
    if any(file.with_suffix(".txt").is_file() for file in pictures):
        return "There are label files beside pictures: YOLO needs a data.yaml with `names` or a classes.txt, too."
    here = any(file.parent == path for file in pictures)
    return "There are pictures, but no labels: give the folder above both." if here else ""


def _describe_nothing_found(path: Path, format: str | None) -> str:
    wanted = f"a {format} data set" if format else "a data set"
    hint = _name_format(path, format) or describe_unread(path) or _describe_json(path)
    hint = hint or describe_damaged(path) or _describe_table(path)
    if is_picture(path) and path.is_file():
        return f"{path}: a picture, not a data set; give the folder of the set, or the file of its annotations"
    if path.is_file():
        known = "COCO, CreateML and VIA .json, data.yaml, obj.data, CVAT .xml, .csv, .pack; for others give the folder"
        return f"{path}: not {wanted}. {hint or f'Known files: {known}'}"
    holds = ", ".join(entry.name + "/" * entry.is_dir() for entry in entries(path)[:12])
    hint = hint or _describe_labels(path)
    return (
        f"{path}: {wanted} was not found in this folder. {hint + ' ' if hint else ''}Looked for "
        f"{format or ', '.join(FORMATS)} "
        f"(docs/data.md shows the folders of each). The folder holds: {holds or 'nothing'}"
    )
