"""A model's help for those who label: its boxes as a data set, and which pictures to label next."""

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from command import ssd300
from ssd300.data.autolabel import add_boxes, autolabel, uncertainty
from ssd300.data.load import load_dataset
from ssd300.data.pack import pack_dataset
from ssd300.detections import Detections
from ssd300.labels import COCO, ClassList
from ssd300.options import DetectOptions

pytestmark = pytest.mark.usefixtures("shared_cache")
PICTURES = Path(__file__).parents[2] / "examples/images"


def found_with(scores: list[float]) -> Detections:
    n = len(scores)
    boxes_xyxy = np.tile(np.array([0, 0, 5, 5], np.float32), (n, 1))
    return Detections(boxes_xyxy, np.array(scores, np.float32), np.ones(n, np.int64), COCO, (10, 10))


@pytest.mark.parametrize(
    ("scores", "value"), [([], 0), ([1.0], 0), ([0.5], 1), ([0.9], 0.04), ([0.5, 0.5, 0.25], 2.25)]
)
def test_uncertainty(scores: list[float], value: float) -> None:
    assert uncertainty(found_with(scores)) == pytest.approx(value, abs=1e-6)


def data(*arguments: object) -> subprocess.CompletedProcess[str]:
    return ssd300("data", *arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "new pictures"
    shutil.copytree(PICTURES, pictures)
    return pictures


@pytest.mark.parametrize(("verb", "extra"), [("autolabel", ["--out", "labels.json"]), ("rank", [])])
def test_nothing_to_do_is_an_error(verb: str, extra: list[str], tmp_path: Path) -> None:
    extra = [str(tmp_path / word) if word.endswith(".json") else word for word in extra]
    result = data(verb, tmp_path / "empty", *extra)
    assert (result.returncode, result.stdout) == (2, "")
    assert "no such file" in result.stderr
    assert not (tmp_path / "labels.json").exists()


def test_autolabel_writes_a_set_that_reads_back_with_scores(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"not a picture")
    out = tmp_path / "labels.json"
    result = data("autolabel", folder, "--out", out, "--conf", "0.4")
    assert result.returncode == 1
    assert "broken.jpg" in result.stderr
    dataset = load_dataset(out)
    assert [picture.path.name for picture in dataset.pictures] == ["astronaut.jpg", "chelsea.jpg", "coffee.jpg"]
    scores = np.concatenate([picture.annotations.scores for picture in dataset.pictures])
    assert dataset.num_boxes == len(scores) > 0
    assert scores.min() > 0.4
    assert {box["category_id"] for box in json.loads(out.read_text())["annotations"]} <= set(COCO.ids)


def test_a_file_address_names_a_picture_file(folder: Path) -> None:
    found = Detections.empty(COCO, (400, 600), (folder / "coffee.jpg").as_uri())
    found_by = SimpleNamespace(classes=COCO, detect_many=lambda *sources, **options: iter([found]))
    dataset, _ = autolabel(found_by, [], DetectOptions())  # type: ignore[arg-type]
    assert [picture.path for picture in dataset.pictures] == [folder / "coffee.jpg"]


def test_a_picture_that_is_named_twice_comes_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    named = (folder / "coffee.jpg", folder, tmp_path / "link" / "coffee.jpg", (folder / "chelsea.jpg").as_uri())
    assert len(data("rank", *named).stdout.splitlines()) == 1 + 3
    data("autolabel", *named, "--out", tmp_path / "labels.json")
    names = [one.path.name for one in load_dataset(tmp_path / "labels.json").pictures]
    assert names == ["coffee.jpg", "astronaut.jpg", "chelsea.jpg"]


def test_an_existing_file_is_never_replaced(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.json"
    out.write_text("by hand")
    result = data("autolabel", folder, "--out", out)
    assert result.returncode == 2
    assert "mine.json" in result.stderr
    assert out.read_text() == "by hand"


def test_rank_lists_every_picture_most_uncertain_first(folder: Path) -> None:
    rows = [line.rsplit(",", 2) for line in data("rank", folder).stdout.splitlines()]
    assert rows[0] == ["source", "uncertainty", "detections"]
    assert sorted(Path(row[0]).name for row in rows[1:]) == ["astronaut.jpg", "chelsea.jpg", "coffee.jpg"]
    values = [float(row[1]) for row in rows[1:]]
    assert values == sorted(values, reverse=True)
    assert len(data("rank", folder, "--count", 1).stdout.splitlines()) == 2


def labeled(folder: Path, *boxes: tuple[str, tuple[int, int, int, int]]) -> Path:
    """A COCO set of the astronaut with these (class, xywh)."""
    names = sorted({name for name, _ in boxes}) or ["badge"]
    content = {
        "images": [{"id": 1, "file_name": "new pictures/astronaut.jpg", "width": 512, "height": 512}],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names, 1)],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1 + names.index(name), "bbox": box, "area": box[2] * box[3]}
            for i, (name, box) in enumerate(boxes, 1)
        ],
    }
    path = folder / "mine.json"
    path.write_text(json.dumps(content))
    return path


BADGE, PERSON = (90, 320, 60, 60), (9, 7, 427, 505)  # xywh; the model finds the person there


@pytest.mark.parametrize(
    ("mine", "known", "counts"),
    [
        (("Person", "person"), ["person", "Person", "cat"], {"person": 1, "Person": 1, "cat": 0}),
        (
            ("me\u0301", "person"),
            ["m\u00e9", "person", "cat"],
            {"m\u00e9": 1, "person": 1, "cat": 0},
        ),  # one, as a Mac spells it
    ],
)
def test_which_names_are_one_class_of_the_model(folder: Path, mine, known, counts) -> None:
    """Not those of the model itself that differ in letter case."""
    dataset = load_dataset(labeled(folder, (mine[0], BADGE), (mine[1], PERSON)))
    classes = ClassList.from_names(known)
    found_by = SimpleNamespace(
        classes=classes,
        detect_many=lambda pictures, *_, **__: [Detections.empty(classes, (512, 512)) for _ in pictures],
    )
    labels, _ = add_boxes(found_by, dataset, DetectOptions())  # type: ignore[arg-type]
    assert labels.boxes_per_class() == counts


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([], ["person"]),
        ([("badge", BADGE)], ["badge", "person"]),
        ([("badge", BADGE), ("Person", (0, 0, 50, 50))], ["badge", "person"]),  # one class in another letter case
        ([("astronaut", PERSON)], ["astronaut"]),  # the model's box is of an object that a person named
    ],
)
def test_a_model_adds_its_other_classes_to_a_person_s(folder: Path, tmp_path: Path, boxes, expected) -> None:
    out = tmp_path / "both.json"
    result = data("autolabel", "--add-to", labeled(tmp_path, *boxes), "--out", out, "--conf", "0.45")
    assert (result.returncode, result.stdout) == (0, f"{out}\n"), result.stderr
    assert f"boxes: {len(boxes)} kept, 0 clipped, 0 refused" in result.stderr
    dataset = load_dataset(out)
    [picture] = dataset.pictures
    found = picture.annotations
    assert [dataset.classes.name_of_id(i) for i in found.class_ids] == expected
    assert found.scores[: len(boxes)].tolist() == [1] * len(boxes)
    assert (found.scores[len(boxes) :] < 1).all()
    assert dataset.classes.names[:80] == COCO.names
    assert len(dataset.classes) == 80 + sum(name in ("badge", "astronaut") for name, _ in boxes or [("badge", BADGE)])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "one of the two"),
        (["new pictures", "--add-to", "mine.json"], "one of the two"),
        (["--add-to", "mine.json", "--labels", "person"], "nothing to add"),
        (["--add-to", "mine.pack"], "add to the original, then pack"),
        (["--add-to", "twice/mine.json"], "are one class of the model: Person, person; merge them"),
    ],
)
def test_what_autolabel_refuses(folder: Path, tmp_path: Path, monkeypatch, arguments, words) -> None:
    monkeypatch.chdir(tmp_path)
    mine = load_dataset(labeled(tmp_path, ("person", PERSON)))
    pack_dataset(mine, Path("mine.pack"))
    Path("twice").mkdir()
    labeled(Path("twice"), ("person", PERSON), ("Person", BADGE))
    (Path("twice") / "new pictures").symlink_to(folder)
    result = data("autolabel", *arguments, "--out", "both.json")
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert not (tmp_path / "both.json").exists()
