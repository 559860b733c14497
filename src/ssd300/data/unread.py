"""Formats that are recognized but not read, with tools that convert them."""

from collections.abc import Callable
from pathlib import Path
from sys import maxsize

from ssd300.data.files import child, entries, folders_in, with_suffix
from ssd300.data.reading import START, begins_with, contains, first_line, refuse_damaged
from ssd300.errors import DatasetError
from ssd300.images.folders import has_picture_extension


def describe_unread(path: Path) -> str:
    """A sentence with the format of a path and how to convert it; empty if it is not recognized."""
    for what, remedy, recognized in _KNOWN:
        if recognized(path):
            return f"It looks like {what}, which cannot be read: {remedy}."
    return ""


def describe_damaged(path: Path) -> str:
    """A sentence on an annotation file that did not arrive whole; empty if there is none."""
    for file in _files(path, ".json", ".csv", ".xml")[:5]:
        try:
            refuse_damaged(file)
        except DatasetError as error:
            return f"{error}."
    return ""


def _files(path: Path, *suffixes: str) -> list[Path]:
    inside = folders_in(path)
    levels = [[path], inside, [folder for place in inside for folder in folders_in(place)]]
    found = ([file for place in places for file in with_suffix(place, *suffixes)] for places in levels)
    return next(filter(None, found), [])


def _files_hold(suffix: str, *words: str, most: int = maxsize) -> Callable[[Path], bool]:
    """Whether one of the first files with this extension has all words, within its first `most` bytes."""
    return lambda path: any(contains(file, *words, most=most) for file in _files(path, suffix)[:5])


def _json_with(*words: str) -> Callable[[Path], bool]:
    return _files_hold(".json", *words)


def _has_extension(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: bool(_files(path, *suffixes))


def _has_entry(*names: str) -> Callable[[Path], bool]:
    """Whether a folder, or one in it, has an entry of one of these names."""
    return lambda path: any(child(folder, *names) for folder in (path, *folders_in(path)))


def _first_words(suffix: str, accept: Callable[[list[str]], bool]) -> Callable[[Path], bool]:
    """Whether the first line of one of the first files is accepted, split at commas and spaces."""
    return lambda path: any(
        accept(first_line(file, 1000).replace(",", " ").split()) for file in _files(path, suffix)[:5]
    )


def _visdrone(words: list[str]) -> bool:
    return len(words) == 8 and all(word.lstrip("-").isdigit() for word in words)


def _kitti_tracks(words: list[str]) -> bool:
    return len(words) in (17, 18) and words[0].isdigit() and words[1].lstrip("-").isdigit() and words[2].isalpha()


def _keras(words: list[str]) -> bool:
    return len(words) > 5 and has_picture_extension(words[0]) and all(word.isdigit() for word in words[1:])


def _automl(words: list[str]) -> bool:
    parts = ("TRAIN", "TRAINING", "VALIDATE", "VALIDATION", "TEST", "UNASSIGNED")
    return bool(words) and (words[0] in parts or words[0].startswith("gs://"))


def _tfrecord(path: Path) -> bool:
    return _has_extension(".tfrecord", ".tfrecords")(path) or any(".tfrecord" in one.name for one in entries(path))


def _supervisely(path: Path) -> bool:
    meta, files = child(path, "meta.json"), with_suffix(child(path, "ann"), ".json", most=5)
    return bool(meta and contains(meta, '"classes"')) or any(contains(file, '"classTitle"') for file in files)


def _mot(path: Path) -> bool:
    inside = [child(folder, "gt") for folder in (path, *folders_in(path))]
    return _has_entry("seqinfo.ini")(path) or any(folder and child(folder, "gt.txt") for folder in inside)


def _detections(path: Path) -> bool:
    files = _files(path, ".json")[:5]
    return any(first_line(file, 10).startswith("[") and begins_with(file, '"image_id"', '"score"') for file in files)


def _wider(path: Path) -> bool:
    names = [file.name.lower() for file in _files(child(path, "wider_face_split") or path, ".txt")]
    return any("wider_face" in name and "bbx" in name for name in names)


_STUDIO = "export it as COCO or YOLO there, or with label-studio-converter"
_FIFTYONE = "export it there as COCODetectionDataset"
_DARWIN = "export it as COCO there, or with darwin-py"
_DATUM = "write it as COCO: `datum convert -if datumaro -f coco`"
_COLUMNS = "write it with the columns filename, class, xmin, ymin, xmax, ymax"
_DATASETS = "save its pictures and a COCO file with the datasets library"
_ARRAYS = _has_extension(".mat", ".npz", ".npy", ".h5", ".hdf5", ".pkl")
_SCALABEL = "convert them with `python -m scalabel.label.to_coco`"
_KNOWN: tuple[tuple[str, str, Callable[[Path], bool]], ...] = (
    ("a TFRecord data set", "convert it to COCO with Datumaro or FiftyOne", _tfrecord),
    ("a Supervisely project", "export it as COCO or Pascal VOC, or convert it with Datumaro", _supervisely),
    ("a MOT Challenge sequence", "convert it to COCO with Datumaro (`datum convert -if mot_seq -f coco`)", _mot),
    ("a Label Studio task list", _STUDIO, _files_hold(".csv", "annotator", most=START)),
    ("a Label Studio task list", _STUDIO, _files_hold(".json", '"annotations"', '"result"', most=START)),
    ("a Label Studio task list", _STUDIO, _files_hold(".json", '"predictions"', '"result"', most=START)),
    ("a Label Studio task list", _STUDIO, _files_hold(".json", '"rectanglelabels"', '"original_width"', most=START)),
    ("a Datumaro data set", _DATUM, _json_with('"dm_format_version"')),
    ("a Datumaro data set", _DATUM, _json_with('"items"', '"media_type"')),
    ("a Datumaro data set", _DATUM, _json_with('"items"', '"categories"', '"label_id"')),
    ("a Datumaro data set", _DATUM, _has_extension(".datum")),
    ("a FiftyOne data set", _FIFTYONE, _json_with('"labels"', '"bounding_box"')),  # those of `detect --format`, too
    ("a FiftyOne data set", _FIFTYONE, _json_with('"samples"', '"filepath"')),
    ("a V7 Darwin export", _DARWIN, _json_with('"annotations"', '"bounding_box"', '"name"')),
    ("a VIA 3 project", "export it from VIA as COCO", _json_with('"project"', '"metadata"', '"xy"')),
    ("a list of Detectron2's pictures", "write it as COCO (detectron2.data.datasets)", _json_with('"bbox_mode"')),
    ("a list of MMDetection's pictures", "keep the COCO or VOC files it was made from", _json_with('"data_list"')),
    ("a file of detections", "give the file with `images` and `categories`", _detections),
    ("DOTA labels", "convert them to YOLO OBB, whose outlines are read", _has_entry("labelTxt")),
    ("VisDrone labels", "convert them to YOLO or COCO", _first_words(".txt", _visdrone)),
    ("KITTI tracking labels", "convert them to COCO with Datumaro", _first_words(".txt", _kitti_tracks)),
    ("Keras YOLO labels", "export the data set as YOLO with a data.yaml", _first_words(".txt", _keras)),
    ("dlib's XML", "convert it to COCO or Pascal VOC", _files_hold(".xml", "<dataset", "<image ", most=START)),
    ("CrowdHuman labels", "convert them to COCO", _has_extension(".odgt")),
    ("a SageMaker manifest", "convert it to COCO", _has_extension(".manifest")),
    ("NDJSON, as of Ultralytics or Labelbox", "write it as YOLO or COCO", _has_extension(".ndjson")),
    ("a Vertex AI (AutoML) table", _COLUMNS, _first_words(".csv", _automl)),
    ("a VoTT project", "export it from VoTT as Pascal VOC or CSV", _json_with('"asset"', '"regions"', '"boundingBox"')),
    ("the WIDER FACE lists", "convert them to COCO with Datumaro (`-if wider_face`)", _wider),
    ("a Parquet table", _DATASETS, _has_extension(".parquet", ".arrow")),
    ("BDD100K or Scalabel labels", _SCALABEL, _json_with('"box2d"', '"category"')),
    ("JSON lines, as of Hugging Face or Vertex AI", "write a COCO file from its boxes", _has_extension(".jsonl")),
    ("a file of arrays (MATLAB, NumPy, HDF5 or a pickle)", "write its boxes as COCO or as a table", _ARRAYS),
    ("an archive", "unpack it and give the folder", _has_extension(".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")),
)
