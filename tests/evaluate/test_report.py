"""The report: one HTML file that needs nothing else, and its numbers as JSON."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ssd300.data.notes import Note
from ssd300.evaluate.gallery import MOST_BYTES, draw_thumbnail
from ssd300.evaluate.notes import format_count, list_warnings
from ssd300.evaluate.report import report_numbers, write_report
from ssd300.evaluate.run import evaluate
from ssd300.labels import ClassList

TWO = ClassList(("cat", "<b>dog & co</b>"), (7, 3))
A, B, FAR = [10, 10, 60, 60], [100, 100, 150, 160], [400, 300, 500, 400]


@pytest.fixture
def evaluation(make, tmp_path):
    """Right, wrong, missed, crowd and unreadable, in pictures that are hard to compress."""
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    boxes = [
        make.annotations([A, B, FAR], [7, 3, 7], crowd=[False, False, True]),
        make.annotations([A], [3], ignore=[True]),
        make.annotations([A], [7]),
        None,
    ]
    pictures = []
    for i, found in enumerate(boxes, 1):
        Image.fromarray(noise).save(tmp_path / f"{i}.jpg")
        pictures.append(make.picture(i, found, path=tmp_path / f"{i}.jpg"))
    answers = {
        "1.jpg": make.result([A, B], [0.9, 0.8], [7, 7]),
        "2.jpg": make.result([FAR], [0.6], [3]),
        "4.jpg": make.result(),
    }
    return evaluate(make.detector(TWO, answers), make.dataset(pictures, TWO, name="pets <2>"))


class Page(HTMLParser):
    """Collects what a browser would load, and checks that tags are closed in order."""

    OPEN_ENDED = ("meta", "img", "br", "path", "use", "rect", "image", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.loads += [v for k, v in attrs if k in ("src", "href", "xlink:href", "srcset", "data") and v]
        if tag not in self.OPEN_ENDED:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.OPEN_ENDED:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.OPEN_ENDED:
            assert self.open.pop() == tag


def test_the_page_needs_nothing_else(evaluation, tmp_path):
    path = write_report(evaluation, tmp_path / "out", model={"backbone": "resnet18"})
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.loads
    assert all(url.startswith(("data:image/jpeg;base64,", "#")) for url in page.loads)
    assert "script" not in page.tags
    assert "@import" not in text
    assert "url(" not in re.sub(r"url\(#", "", text)
    assert text.count("<svg") == 3
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_the_page_says_what_the_numbers_hide(evaluation, tmp_path):
    text = write_report(evaluation, tmp_path / "out").read_text(encoding="utf-8")
    assert f"AP {evaluation.ap.value:.3f}" in text
    assert "on 4 pictures of pets &lt;2&gt;" in text
    assert "1 crowd box and 1 ignored box may be matched any number of times or not at all" in text
    assert "1 picture could not be read" in text
    assert "&lt;b&gt;dog &amp; co&lt;/b&gt;" in text
    assert "<b>dog" not in text


def test_the_report_says_what_is_odd_about_the_data(evaluation, tmp_path):
    notes = [Note("suspected box format", "noted", "a.json", "", "", "3 boxes do not fit")]
    notes += [Note("picture without label file", "noted", f"{n}.txt", f"{n}.jpg", "", "no label file") for n in "ab"]
    odd = replace(evaluation, dataset=replace(evaluation.dataset, notes=tuple(notes)))
    words = ["a.json: 3 boxes do not fit", "pets <2>: 2 of 4 pictures have no label file and count as without objects"]
    assert report_numbers(odd)["data_notes"] == list_warnings(report_numbers(odd))[:2] == words
    assert report_numbers(evaluation)["data_notes"] == []


@pytest.mark.parametrize(
    ("trained", "warned"),
    [("pets <2>", True), ("pets <2> (train)", True), ("zoo+pets <2> (train)", True), ("pets", False), (None, False)],
)
def test_pictures_that_the_model_has_learned_are_pointed_out(evaluation, trained, warned):
    words = list_warnings(report_numbers(evaluation, model={"training": {"data": trained}}))
    assert any(one.startswith("The model was trained on") for one in words) == warned


def test_the_json_report(evaluation, tmp_path):
    write_report(evaluation, tmp_path, model={"backbone": "resnet18"})
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["metrics"]["AP"] == pytest.approx(evaluation.metrics.ap, abs=1e-6)
    assert told["metrics"]["AP_large"] is None
    assert len(told["metrics"]) == 12
    assert told["interval"]["AP"] == pytest.approx([evaluation.ap.low, evaluation.ap.high], abs=1e-6)
    assert told["dataset"] == {
        "name": "pets <2>",
        "pictures": 4,
        "boxes": 3,
        "crowd_boxes": 1,
        "ignored_boxes": 1,
        "clipped_boxes": 0,
        "refused_boxes": 0,
        "pictures_left_out": 0,
        "classes": 2,
    }
    assert [row["boxes"] for row in told["classes"]] == [2, 1]
    assert told["confusion"]["classes"] == ["cat", "<b>dog & co</b>", "nothing"]
    assert told["error_kinds"]["Cls"]["count"] == 1
    assert [p["picture"] for p in told["worst_pictures"]] == ["1.jpg"]  # at the best threshold, without the unreadable
    assert "3.jpg" in told["failures"][0]["picture"]
    assert told["model"] == {"backbone": "resnet18"}
    assert told["versions"].keys() >= {"ssd300", "numpy", "hotcoco"}
    assert "best_threshold" not in report_numbers(evaluation)


def test_the_json_report_has_the_curves(evaluation, tmp_path):
    write_report(evaluation, tmp_path)
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["recall_points"][:3] == [0, 0.01, 0.02]
    for k, row in enumerate(told["classes"]):
        np.testing.assert_allclose(row["precision_at_recall"], evaluation.metrics.precision[0, :, k], atol=5e-5)
        assert np.mean(row["precision_at_recall"]) == pytest.approx(row["AP50"], abs=1e-4)
    assert np.mean(told["mean_precision_at_recall"]["0.50"]) == pytest.approx(told["metrics"]["AP50"], abs=1e-4)
    assert len(told["mean_precision_at_recall"]) == 10


def test_the_same_evaluation_gives_the_same_page(evaluation, tmp_path):
    first, second = (write_report(evaluation, tmp_path / name).read_bytes() for name in "ab")
    assert first == second


def test_thumbnails_stay_small(evaluation, tmp_path):
    text = write_report(evaluation, tmp_path / "out").read_text(encoding="utf-8")
    pictures = [base64.b64decode(code) for code in re.findall(r"data:image/jpeg;base64,([^\"]+)", text)]
    assert len(pictures) == 1
    assert all(len(data) <= MOST_BYTES for data in pictures)
    assert max(Image.open(BytesIO(pictures[0])).size) <= 640


def test_a_picture_that_vanished_leaves_its_words(make, evaluation, tmp_path):
    for path in tmp_path.glob("*.jpg"):
        path.unlink()
    text = write_report(evaluation, tmp_path / "out").read_text(encoding="utf-8")
    assert "cannot be read" in text
    assert "0 wrong, 1 missed, 1 right" in text


def test_nothing_found_at_all(make, tmp_path):
    data = make.dataset([make.picture(1, make.annotations([A], [7])), make.picture(2)], TWO)
    evaluation = evaluate(make.detector(TWO, {"1.jpg": make.result(), "2.jpg": make.result()}), data)
    text = write_report(evaluation, tmp_path).read_text(encoding="utf-8")
    assert "There are no boxes, or no detections." in text
    assert "nan" not in text
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["metrics"]["AP"] == 0
    assert told["best_threshold"] == dict.fromkeys(("score", "F1", "precision", "recall"))


def test_nothing_right_has_no_best_threshold(make, tmp_path):
    data = make.dataset([make.picture(1, make.annotations([A], [7]))], TWO)
    evaluation = evaluate(make.detector(TWO, {"1.jpg": make.result([A], [0.5], [3])}), data)
    text = write_report(evaluation, tmp_path).read_text(encoding="utf-8")
    assert "All classes together. No detection is right." in text
    assert "nan" not in text
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [row["best_threshold"]["score"] for row in (told, *told["classes"])] == [None] * 3


def test_no_boxes_at_all(make, tmp_path):
    data = make.dataset([make.picture(1)], TWO)
    evaluation = evaluate(make.detector(TWO, {"1.jpg": make.result([A], [0.5], [7])}), data)
    text = write_report(evaluation, tmp_path).read_text(encoding="utf-8")
    assert "nan" not in text
    assert str(evaluation) == "AP undefined, AP50 undefined on 1 picture of random"
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["metrics"]["AP"] is None
    assert told["classes"][0]["precision_at_recall"] == [None] * 101
    assert told["mean_precision_at_recall"]["0.75"] == []
    assert told["interval"]["AP"] == [None, None]


@pytest.mark.parametrize("classes", [1, 8, 9, 30])
def test_few_and_many_classes(make, tmp_path, classes):
    data, results = make.random_case(4, classes=classes)
    answers = {p.file_name: r for p, r in zip(data.pictures, results, strict=True)}
    evaluation = evaluate(make.detector(data.classes, answers), data)
    text = write_report(evaluation, tmp_path).read_text(encoding="utf-8")
    assert text.count("<tr>") > classes
    assert ("20 classes with most boxes" in text) == (classes > 20)
    measured = [c for c, boxes in zip(data.classes.names, evaluation.metrics.boxes_of_class, strict=True) if boxes]
    assert re.findall(r'<g id="class-\d+">\s*<title>([^<]*)</title>', text) == measured  # the curves' names


@pytest.mark.parametrize(("number", "words"), [(0, "0 boxes"), (1, "1 box"), (2, "2 boxes"), (12345, "12,345 boxes")])
def test_counted(number, words):
    assert format_count(number, "box", "boxes") == words


def test_thumbnail_keeps_the_shape(evaluation):
    from ssd300.evaluate.diagnosis import picture_errors

    url = draw_thumbnail(evaluation, picture_errors(evaluation.dataset, evaluation.results, 0, 0.5))
    image = Image.open(BytesIO(base64.b64decode(url.split(",")[1])))
    assert image.width / image.height == pytest.approx(640 / 480, rel=0.02)
