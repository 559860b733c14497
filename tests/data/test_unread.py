"""Formats that are recognized and not read, and the page that names all of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.sets import write
from ssd300.data.load import load_dataset
from ssd300.data.look import FORMATS, find_parts
from ssd300.errors import DatasetError

UNREAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "tfrecord": (lambda root: write(root / "train.tfrecord-00000-of-00001", "x"), "Datumaro or FiftyOne"),
    "tfrecords": (lambda root: write(root / "train.tfrecords", "x"), "TFRecord"),
    "supervisely": (lambda root: write(root / "meta.json", {"classes": [{"title": "cat"}]}), "Supervisely"),
    "mot": (lambda root: write(root / "MOT17-02/seqinfo.ini", "[Sequence]"), "MOT Challenge"),
    "label studio": (
        lambda root: write(root / "tasks.json", [{"id": 1, "annotations": [{"result": []}]}]),
        "Label Studio task list",
    ),
    "datumaro": (lambda root: write(root / "default.json", {"dm_format_version": "1.0", "items": []}), "Datumaro"),
    "vott": (
        lambda root: write(root / "x.json", {"asset": {}, "regions": [{"boundingBox": {}}]}),
        "VoTT",
    ),
    "wider": (lambda root: write(root / "wider_face_train_bbx_gt.txt", "a.jpg"), "WIDER FACE"),
    "parquet": (lambda root: write(root / "data/train-0.parquet", "PAR1"), "Parquet"),
    "bdd": (lambda root: write(root / "labels.json", [{"labels": [{"box2d": {}, "category": "car"}]}]), "BDD100K"),
    "hugging face": (lambda root: write(root / "train/metadata.jsonl", "{}"), "Hugging Face"),
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


def test_every_format_is_found_in_an_empty_folder_without_a_word(tmp_path: Path) -> None:
    for format in FORMATS:
        with pytest.raises(DatasetError, match=f"a {format} data set was not found"):
            find_parts(tmp_path, format)


def test_the_page_on_data_sets_names_every_format() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert [format for format in FORMATS if f"`{format}`" not in page and f"\n{format}:" not in page] == []
