"""Formats that are recognized but not read, with tools that convert them."""

from collections.abc import Callable
from pathlib import Path

from ssd300.data.files import child, entries, folders_in, with_suffix
from ssd300.data.toolfiles import begins_with, contains


def describe_unread(path: Path) -> str:
    """A sentence with the format of a path and how to convert it; empty if it is not recognized."""
    for what, remedy, recognized in _KNOWN:
        if recognized(path):
            return f"It looks like {what}, which cannot be read: {remedy}."
    return ""


def _files(path: Path, *suffixes: str) -> list[Path]:
    if not path.is_dir():
        return [path] if path.suffix.lower() in suffixes else []
    return with_suffix(path, *suffixes) or [
        file for folder in folders_in(path) for file in with_suffix(folder, *suffixes)
    ]


def _tfrecord(path: Path) -> bool:
    return bool(_files(path, ".tfrecord", ".tfrecords")) or any(".tfrecord" in one.name for one in entries(path))


def _json_with(*words: str) -> Callable[[Path], bool]:
    return lambda path: any(contains(file, *words) for file in _files(path, ".json")[:5])


def _supervisely(path: Path) -> bool:
    meta = child(path, "meta.json") if path.is_dir() else None
    return meta is not None and begins_with(meta, '"classes"')


def _mot(path: Path) -> bool:
    return path.is_dir() and any(child(folder, "seqinfo.ini") for folder in (path, *folders_in(path)))


def _label_studio(path: Path) -> bool:
    return any(begins_with(file, '"annotations"', '"result"') for file in _files(path, ".json")[:5])


def _archive(path: Path) -> bool:
    return not path.is_dir() and path.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")


def _wider(path: Path) -> bool:
    files = _files(path, ".txt")
    return any("wider_face" in file.name.lower() and "bbx" in file.name.lower() for file in files)


def _has_extension(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: bool(_files(path, *suffixes))


_DATUM = "write it as COCO: `datum convert -if datumaro -f coco`"
_SCALABEL = "convert them with `python -m scalabel.label.to_coco`"
_KNOWN: tuple[tuple[str, str, Callable[[Path], bool]], ...] = (
    ("an archive", "unpack it and give the folder", _archive),
    ("a TFRecord data set", "convert it to COCO with Datumaro or FiftyOne", _tfrecord),
    ("a Supervisely project", "export it as COCO or Pascal VOC, or convert it with Datumaro", _supervisely),
    ("a MOT Challenge sequence", "convert it to COCO with Datumaro (`datum convert -if mot_seq -f coco`)", _mot),
    ("a Label Studio task list", "export it as COCO or YOLO there, or with label-studio-converter", _label_studio),
    ("a Datumaro data set", _DATUM, _json_with('"dm_format_version"')),
    ("a Datumaro data set", _DATUM, _json_with('"items"', '"media_type"')),
    ("a VoTT project", "export it from VoTT as Pascal VOC or CSV", _json_with('"asset"', '"regions"', '"boundingBox"')),
    ("the WIDER FACE lists", "convert them to COCO with Datumaro (`-if wider_face`)", _wider),
    (
        "a Parquet table",
        "save its pictures and a COCO file with the datasets library",
        _has_extension(".parquet", ".arrow"),
    ),
    ("BDD100K or Scalabel labels", _SCALABEL, _json_with('"box2d"', '"category"')),
    ("Hugging Face metadata", "write a COCO file from its `objects`", _has_extension(".jsonl")),
)
