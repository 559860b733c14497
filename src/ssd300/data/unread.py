"""Formats that are recognized but not read, with tools that convert them."""

from collections.abc import Callable
from pathlib import Path

from ssd300.data.files import child, entries, folders_in, with_suffix
from ssd300.data.toolfiles import begins_with, contains, first_line
from ssd300.images.extensions import has_picture_extension


def describe_unread(path: Path) -> str:
    """A sentence with the format of a path and how to convert it; empty if it is not recognized."""
    for what, remedy, recognized in _KNOWN:
        if recognized(path):
            return f"It looks like {what}, which cannot be read: {remedy}."
    return ""


def _files(path: Path, *suffixes: str) -> list[Path]:
    if not path.is_dir():
        return [path] if path.suffix.lower() in suffixes else []
    inside = folders_in(path)
    deeper = [folder for place in inside for folder in folders_in(place)]
    return next((found for places in ([path], inside, deeper) if (found := _all_with(places, suffixes))), [])


def _all_with(places: list[Path], suffixes: tuple[str, ...]) -> list[Path]:
    return [file for place in places for file in with_suffix(place, *suffixes)]


def _tfrecord(path: Path) -> bool:
    return bool(_files(path, ".tfrecord", ".tfrecords")) or any(".tfrecord" in one.name for one in entries(path))


def _json_with(*words: str) -> Callable[[Path], bool]:
    return lambda path: any(contains(file, *words) for file in _files(path, ".json")[:5])


def _supervisely(path: Path) -> bool:
    meta, annotated = (child(path, name) if path.is_dir() else None for name in ("meta.json", "ann"))
    if meta is not None and contains(meta, '"classes"'):
        return True
    return annotated is not None and any(contains(file, '"classTitle"') for file in with_suffix(annotated, ".json")[:5])


def _mot(path: Path) -> bool:
    places = (path, *folders_in(path)) if path.is_dir() else ()
    inside = (child(folder, "gt") for folder in places)
    return any(child(folder, "seqinfo.ini") for folder in places) or any(gt and child(gt, "gt.txt") for gt in inside)


def _label_studio(path: Path) -> bool:
    words = (('"annotations"', '"result"'), ('"predictions"', '"result"'), ('"rectanglelabels"', '"original_width"'))
    files = _files(path, ".json")[:5]
    tables = [file for file in _files(path, ".csv")[:5] if begins_with(file, "annotator")]
    return bool(tables) or any(begins_with(file, *some) for file in files for some in words)


def _archive(path: Path) -> bool:
    return bool(_files(path, ".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"))


def _wider(path: Path) -> bool:
    split = child(path, "wider_face_split") if path.is_dir() else None
    files = _files(split or path, ".txt")
    return any("wider_face" in file.name.lower() and "bbx" in file.name.lower() for file in files)


def _first_words(*suffixes: str, accept: Callable[[list[str]], bool]) -> Callable[[Path], bool]:
    """Whether the first line of one of the first files with an extension is accepted, split at commas and spaces."""
    return lambda path: any(
        accept(first_line(file, 1000).replace(",", " ").split()) for file in _files(path, *suffixes)[:5]
    )


def _visdrone(words: list[str]) -> bool:
    return len(words) == 8 and all(word.lstrip("-").isdigit() for word in words)


def _kitti_tracks(words: list[str]) -> bool:
    return len(words) in (17, 18) and words[0].isdigit() and words[1].lstrip("-").isdigit() and words[2].isalpha()


def _detections(path: Path) -> bool:
    files = _files(path, ".json")[:5]
    return any(first_line(file, 10).startswith("[") and begins_with(file, '"image_id"', '"score"') for file in files)


def _keras(words: list[str]) -> bool:
    return len(words) > 5 and has_picture_extension(words[0]) and all(word.isdigit() for word in words[1:])


def _dlib(path: Path) -> bool:
    return any(begins_with(file, "<dataset", "<image ") for file in _files(path, ".xml")[:5])


def _inside(*names: str) -> Callable[[Path], bool]:
    """Whether a folder, or one in it, has an entry of one of these names."""
    return lambda path: path.is_dir() and any(child(folder, *names) for folder in (path, *folders_in(path)))


def _has_extension(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: bool(_files(path, *suffixes))


_FIFTYONE = "export it there as COCODetectionDataset"
_DARWIN = "export it as COCO there, or with darwin-py"
_DATUM = "write it as COCO: `datum convert -if datumaro -f coco`"
AUTOML = ("TRAIN", "TRAINING", "VALIDATE", "VALIDATION", "TEST", "UNASSIGNED")
_SCALABEL = "convert them with `python -m scalabel.label.to_coco`"
_KNOWN: tuple[tuple[str, str, Callable[[Path], bool]], ...] = (
    ("a TFRecord data set", "convert it to COCO with Datumaro or FiftyOne", _tfrecord),
    ("a Supervisely project", "export it as COCO or Pascal VOC, or convert it with Datumaro", _supervisely),
    ("a MOT Challenge sequence", "convert it to COCO with Datumaro (`datum convert -if mot_seq -f coco`)", _mot),
    ("a Label Studio task list", "export it as COCO or YOLO there, or with label-studio-converter", _label_studio),
    ("a Datumaro data set", _DATUM, _json_with('"dm_format_version"')),
    ("a Datumaro data set", _DATUM, _json_with('"items"', '"media_type"')),
    ("a Datumaro data set", _DATUM, _json_with('"items"', '"categories"', '"label_id"')),
    ("a Datumaro data set", _DATUM, _has_extension(".datum")),
    ("a FiftyOne data set", _FIFTYONE, _json_with('"classes"', '"labels"', '"bounding_box"')),
    ("a FiftyOne data set", _FIFTYONE, _json_with('"samples"', '"filepath"')),
    ("a V7 Darwin export", _DARWIN, _json_with('"annotations"', '"bounding_box"', '"name"')),
    ("a VIA 3 project", "export it from VIA as COCO", _json_with('"project"', '"metadata"', '"xy"')),
    ("a list of Detectron2's pictures", "write it as COCO (detectron2.data.datasets)", _json_with('"bbox_mode"')),
    ("a list of MMDetection's pictures", "keep the COCO or VOC files it was made from", _json_with('"data_list"')),
    ("a file of detections", "give the file with `images` and `categories`", _detections),
    ("DOTA labels", "convert them to YOLO OBB, whose outlines are read", _inside("labelTxt")),
    ("VisDrone labels", "convert them to YOLO or COCO", _first_words(".txt", accept=_visdrone)),
    ("KITTI tracking labels", "convert them to COCO with Datumaro", _first_words(".txt", accept=_kitti_tracks)),
    ("Keras YOLO labels", "export the data set as YOLO with a data.yaml", _first_words(".txt", accept=_keras)),
    ("dlib's XML", "convert it to COCO or Pascal VOC", _dlib),
    ("CrowdHuman labels", "convert them to COCO", _has_extension(".odgt")),
    ("a SageMaker manifest", "convert it to COCO", _has_extension(".manifest")),
    ("Ultralytics' NDJSON", "export the data set as YOLO", _has_extension(".ndjson")),
    (
        "a Vertex AI (AutoML) table",
        "write it with the columns filename, class, xmin, ymin, xmax, ymax",
        _first_words(".csv", accept=lambda words: words[:1] != [] and words[0] in AUTOML),
    ),
    ("a VoTT project", "export it from VoTT as Pascal VOC or CSV", _json_with('"asset"', '"regions"', '"boundingBox"')),
    ("the WIDER FACE lists", "convert them to COCO with Datumaro (`-if wider_face`)", _wider),
    (
        "a Parquet table",
        "save its pictures and a COCO file with the datasets library",
        _has_extension(".parquet", ".arrow"),
    ),
    ("BDD100K or Scalabel labels", _SCALABEL, _json_with('"box2d"', '"category"')),
    ("JSON lines, as of Hugging Face", "write a COCO file from its `objects`", _has_extension(".jsonl")),
    (
        "a file of arrays (MATLAB, NumPy, HDF5 or a pickle)",
        "write its boxes as COCO or as a table",
        _has_extension(".mat", ".npz", ".npy", ".h5", ".hdf5", ".pkl"),
    ),
    ("an archive", "unpack it and give the folder", _archive),
)
