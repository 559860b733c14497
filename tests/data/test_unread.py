"""Formats that are recognized and not read, and the page that names all of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.sets import pictures, write, yolo
from ssd300.cli.results import result_layout
from ssd300.data.load import FORMATS, find_parts, load_dataset
from ssd300.detections import Detections
from ssd300.errors import DatasetError
from ssd300.labels import COCO

UNREAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "tfrecord": (lambda root: write(root / "train.tfrecord-00000-of-00001", "x"), "Datumaro or FiftyOne"),
    "tfrecords": (lambda root: write(root / "train.tfrecords", "x"), "TFRecord"),
    "supervisely": (lambda root: write(root / "meta.json", {"classes": [{"title": "cat"}]}), "Supervisely"),
    "mot, one sequence": (lambda root: write(root / "gt/gt.txt", "1,1,4,6,20,30,1,1,1"), "MOT Challenge"),
    "wider face": (
        lambda root: write(root / "wider_face_split/wider_face_train_bbx_gt.txt", "a.jpg\n1\n4 6 20 30 0 0 0 0 0 0"),
        "WIDER FACE",
    ),
    "datumaro, binary": (lambda root: write(root / "annotations/train.datum", "x"), "Datumaro"),
    "mot": (lambda root: write(root / "MOT17-02/seqinfo.ini", "[Sequence]"), "MOT Challenge"),
    "label studio": (
        lambda root: write(root / "tasks.json", [{"id": 1, "annotations": [{"result": []}]}]),
        "Label Studio task list",
    ),
    "label studio, with pictures": (
        lambda root: write(root / "tasks.json", [{"annotations": [{"result": []}], "data": {"image": "a.jpg"}}]),
        "Label Studio task list",
    ),
    "label studio, small": (
        lambda root: write(
            root / "x.json", [{"image": "a.jpg", "label": [{"rectanglelabels": 1, "original_width": 2}]}]
        ),
        "Label Studio task list",
    ),
    "label studio, predictions": (
        lambda root: write(root / "x.json", [{"data": {"image": "a.jpg"}, "predictions": [{"result": []}]}]),
        "Label Studio task list",
    ),
    "label studio, table": (lambda root: write(root / "x.csv", "image,id,label,annotator\n"), "Label Studio task list"),
    "datumaro, older": (
        lambda root: write(
            root / "annotations/default.json",
            {"categories": {}, "items": [{"annotations": [{"label_id": 0}], "image": {"path": "a.jpg"}}]},
        ),
        "Datumaro",
    ),
    "supervisely, dataset": (
        lambda root: write(root / "ann/a.jpg.json", {"objects": [{"classTitle": 1}]}),
        "Supervisely",
    ),
    "fiftyone": (
        lambda root: write(root / "labels.json", {"classes": [], "labels": {"a": [{"bounding_box": []}]}}),
        "FiftyOne",
    ),
    "darwin": (
        lambda root: write(root / "a.json", {"image": {}, "annotations": [{"bounding_box": {}, "name": "cat"}]}),
        "V7 Darwin",
    ),
    "via 3": (lambda root: write(root / "a.json", {"project": {}, "metadata": {"1": {"xy": []}}}), "VIA 3"),
    "detectron2": (lambda root: write(root / "a.json", [{"annotations": [{"bbox_mode": 0}]}]), "Detectron2"),
    "mmdetection": (lambda root: write(root / "a.json", {"metainfo": {}, "data_list": []}), "MMDetection"),
    "detections": (
        lambda root: write(root / "a.json", [{"image_id": 1, "bbox": [], "score": 1}]),
        "file of detections",
    ),
    "dota": (lambda root: write(root / "train/labelTxt/a.txt", "1 2 3 2 3 4 1 4 plane 0"), "DOTA"),
    "visdrone": (lambda root: write(root / "annotations/a.txt", "684,8,273,116,0,0,0,0"), "VisDrone"),
    "kitti tracking": (
        lambda root: write(root / "training/label_02/0.txt", "0 -1 DontCare" + " -1" * 14),
        "KITTI tracking",
    ),
    "keras": (lambda root: write(root / "train/_annotations.txt", "a.jpg 4,6,24,36,0 1,2,3,4,1"), "Keras YOLO"),
    "dlib": (
        lambda root: write(root / "a.xml", "<dataset><images><image file='a.jpg'/></images></dataset>"),
        "dlib's XML",
    ),
    "matlab": (lambda root: write(root / "devkit/cars_annos.mat", "MATLAB 5.0"), "a file of arrays"),
    "an archive beside": (
        lambda root: [write(root / "images.zip", "PK"), write(root / "meta.json", {"classes": []})],
        "Supervisely",
    ),
    "crowdhuman": (lambda root: write(root / "a.odgt", "{}"), "CrowdHuman"),
    "sagemaker": (lambda root: write(root / "a.manifest", "{}"), "SageMaker"),
    "ndjson": (lambda root: write(root / "a.ndjson", "{}"), "NDJSON, as of Ultralytics or Labelbox"),
    "automl": (lambda root: write(root / "a.csv", "TEST,gs://x/a.jpg,cat,0.1,0.1,,,0.3,0.3,,"), "Vertex AI"),
    "automl without parts": (lambda root: write(root / "a.csv", "gs://x/a.jpg,cat,0.1,0.1,,,0.3,0.3,,"), "Vertex AI"),
    "an archive in a folder": (lambda root: write(root / "pets.zip", "PK"), "an archive"),
    "datumaro": (lambda root: write(root / "default.json", {"dm_format_version": "1.0", "items": []}), "Datumaro"),
    "vott": (
        lambda root: write(root / "x.json", {"asset": {}, "regions": [{"boundingBox": {}}]}),
        "VoTT",
    ),
    "wider": (lambda root: write(root / "wider_face_train_bbx_gt.txt", "a.jpg"), "WIDER FACE"),
    "parquet": (lambda root: write(root / "data/train-0.parquet", "PAR1"), "Parquet"),
    "bdd": (lambda root: write(root / "labels.json", [{"labels": [{"box2d": {}, "category": "car"}]}]), "BDD100K"),
    "hugging face": (lambda root: write(root / "train/metadata.jsonl", "{}"), "of Hugging Face"),
}


@pytest.mark.parametrize("way", UNREAD)
def test_what_is_not_read_is_named_with_the_way_to_convert_it(tmp_path: Path, way: str) -> None:
    make, words = UNREAD[way]
    make(tmp_path)
    with pytest.raises(DatasetError, match=f"It looks like .*{words}"):
        load_dataset(tmp_path)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    write(tmp_path / "pets.zip", "PK")
    with pytest.raises(DatasetError, match="unpack it"):
        load_dataset(tmp_path / "pets.zip")


@pytest.mark.parametrize("parts", [["train"], ["train", "valid"]])
def test_the_columns_of_a_table_that_is_none_are_named(tmp_path: Path, parts: list[str]) -> None:
    for part in parts:
        write(tmp_path / part / "t.csv", "image_id,width,height,bbox\n")
    with pytest.raises(DatasetError, match=r"a table of boxes has the columns .*; found image_id,width,height,bbox"):
        load_dataset(tmp_path)


def test_what_json_files_have_instead_of_a_data_set_is_named(tmp_path: Path) -> None:
    pictures(tmp_path)
    for stem in "abc":
        write(tmp_path / f"{stem}.jpg.json", {"metadata": {}, "instances": []})
    with pytest.raises(DatasetError, match=r"a\.jpg\.json: a COCO annotation file has .*found metadata, instances"):
        load_dataset(tmp_path)


def test_a_picture_is_no_data_set(tmp_path: Path) -> None:
    pictures(tmp_path)
    with pytest.raises(DatasetError, match="There are pictures, but no labels: give the folder above both"):
        load_dataset(tmp_path)
    with pytest.raises(DatasetError, match="a picture, not a data set; give the folder of the set"):
        load_dataset(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        ("", "", "There are label files beside pictures: YOLO needs a data.yaml with `names` or a classes.txt"),
        ("train", "train", "There are label files beside pictures"),
        ("images", "labels", "There is a labels/ folder: YOLO needs a data.yaml with `names` or a classes.txt"),
        ("train/images", "train/labels", "There is a labels/ folder"),
    ],
)
def test_labels_of_yolo_without_a_list_of_classes_are_named(
    tmp_path: Path, images: str, labels: str, words: str
) -> None:
    yolo(tmp_path, images=images, labels=labels)
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(DatasetError, match=words):
        load_dataset(tmp_path)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    assert load_dataset(tmp_path).num_boxes == 4


def test_every_format_is_found_in_an_empty_folder_without_a_word(tmp_path: Path) -> None:
    for format in FORMATS:
        with pytest.raises(DatasetError, match=f"a {format} data set was not found"):
            find_parts(tmp_path, format)


def test_the_page_on_data_sets_names_every_format() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert [format for format in FORMATS if f"`{format}`" not in page and f"\n{format}:" not in page] == []


@pytest.mark.parametrize(
    ("form", "words"), [("fiftyone", "a FiftyOne data set"), ("labelstudio", "a Label Studio task")]
)
def test_predictions_that_detect_writes_are_recognized(tmp_path: Path, form: str, words: str) -> None:
    layout = result_layout(form, many=True, bold=False)
    rows = layout.pieces(Detections([[1, 2, 30, 40]], [0.9], [17], COCO, (48, 64), "a.jpg"))
    write(tmp_path / "labels.json", layout.first + "".join(rows) + layout.last)
    with pytest.raises(DatasetError, match=words):
        load_dataset(tmp_path)
