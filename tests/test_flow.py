"""The three steps: what they keep of the source, batches, pictures of data sets, one decode a picture."""

import io
import threading
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from PIL import Image

from fake_runtime import FakeRuntime, plain
from ssd300 import ArgumentError, DatasetError, Detections, Detector, Failure, ImageError, many, pipeline
from ssd300.boxes import clip, iou
from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.evaluate.run import evaluate
from ssd300.flow import finish, prepare
from ssd300.images import decode as decode_module
from ssd300.images import resize
from ssd300.images.budget import PixelBudget
from ssd300.labels import COCO
from ssd300.options import DetectKeywords, DetectOptions


@dataclass(frozen=True)
class Packed:
    number: int

    def read(self):
        if self.number == 2:
            raise ImageError("record 2: damaged")
        return plain(self.number)


def picture(folder, number, *, packed=False, width=80):
    path = folder / f"{number}.png"
    if not packed:
        Image.fromarray(plain(number)).save(path)
    truth = Annotations.of(np.array([[0, 0, 20, 20]], np.float32), np.array([17]))
    return Picture(path, number, width, 60, truth, path.name, payload=Packed(number) if packed else None)


def test_options_and_keywords_are_one_list() -> None:
    assert list(DetectKeywords.__annotations__) == [field.name for field in fields(DetectOptions)]


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("count", [0, 1, 4, 30])
def test_many_pictures_come_in_order_and_in_batches(batch_size, count) -> None:
    runtime = FakeRuntime(batch_size)
    found = list(Detector(runtime).detect_many([plain(i) for i in range(count)]))
    assert [len(one) for one in found] == list(range(count))
    assert sum(runtime.calls) == count
    full, rest = divmod(count, batch_size)
    assert sorted(runtime.calls, reverse=True) == [batch_size] * full + [rest] * (rest > 0)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_what_cannot_be_read_has_its_turn_in_a_batch(batch_size) -> None:
    detector = Detector(FakeRuntime(batch_size))
    sources = [plain(0), b"x", plain(2), b"y", b"z", plain(5), plain(6)]
    found = list(detector.detect_many(sources, on_error="yield"))
    assert [isinstance(one, Failure) for one in found] == [isinstance(one, bytes) for one in sources]
    assert [len(found[i]) for i in (0, 2, 5, 6)] == [0, 2, 5, 6]
    assert [isinstance(one, Failure) for one in detector.detect_many([b"x"] * 9, on_error="yield")] == [True] * 9
    answers = detector.detect_many(sources)
    assert len(next(answers)) == 0
    with pytest.raises(ImageError, match="1 byte"):
        next(answers)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ssd300")]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_memory_stays_bounded_in_batches(batch_size) -> None:
    taken = []
    answers = Detector(FakeRuntime(batch_size)).detect_many(taken.append(i) or plain(1) for i in range(1000))
    next(answers)
    assert len(taken) <= 8 * max(batch_size, 2)
    answers.close()


@pytest.mark.parametrize("batch_size", [1, 4])
def test_map_gives_what_the_call_gives(batch_size) -> None:
    detector = Detector(FakeRuntime(batch_size))
    assert list(detector.map(len, [])) == []
    found = list(detector.map(len, [plain(3), b"x", plain(4)], on_error="yield"))
    assert (found[0], found[2]) == (3, 4)
    assert isinstance(found[1], Failure)
    with pytest.raises(ZeroDivisionError):
        list(detector.map(lambda found: 1 // len(found), [plain(1), plain(0)]))


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("packed", [False, True])
def test_evaluate_reads_pictures_of_data_sets_in_batches(batch_size, packed, tmp_path) -> None:
    pictures = [picture(tmp_path, number, packed=packed) for number in range(1, 22)]
    runtime, seen = FakeRuntime(batch_size), []
    data = Dataset("pack", COCO, tuple(pictures))
    answer = evaluate(Detector(runtime), data, progress=lambda done, total: seen.append((done, total)))
    assert [len(one) for one in answer.results] == [0 if packed and n == 2 else n for n in range(1, 22)]
    assert seen == [(n, 21) for n in range(1, 22)]
    assert max(runtime.calls) == batch_size
    assert {i: str(failure.error) for i, failure in answer.failures.items()} == (
        {1: "record 2: damaged"} if packed else {}
    )


def test_a_picture_of_a_data_set_is_a_source(tmp_path) -> None:
    detector, one = Detector(FakeRuntime(1)), picture(tmp_path, 3)
    found = detector.detect(one)
    assert (len(found), found.source, found.image_size_hw) == (3, str(one.path), (60, 80))
    assert found.picture is one
    assert len(found.crop()) == 3
    assert detector.detect(picture(tmp_path, 4, packed=True)).source == "4.png"


def test_a_picture_of_another_size_than_its_boxes_is_a_failure(tmp_path) -> None:
    pictures = (picture(tmp_path, 1, width=81), picture(tmp_path, 2))
    detector = Detector(FakeRuntime(1))
    message = "is 80x60 after EXIF orientation, but its annotations were made for 81"
    for decode in ("exact", "fast"):
        with pytest.raises(DatasetError, match=message):
            detector.detect(pictures[0], decode=decode)
    answer = evaluate(detector, Dataset("two", COCO, pictures))
    assert list(answer.failures) == [0]
    assert message in str(answer.failures[0].error)


def source_of(kind, folder):
    rgb = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    path = folder / "a.png"
    Image.fromarray(rgb).save(path)
    made = {
        "array": lambda: rgb,
        "bgr": lambda: rgb[..., ::-1],
        "PIL": lambda: Image.open(path),
        "bytes": path.read_bytes,
        "path": lambda: path,
        "stream": lambda: io.BytesIO(path.read_bytes()),
    }
    if kind == "tensor":
        return rgb, pytest.importorskip("torch").from_numpy(rgb)
    return rgb, made[kind]()


@pytest.mark.parametrize("kind", ["array", "bgr", "tensor", "PIL", "bytes", "path", "stream"])
@pytest.mark.parametrize("keep", [False, True])
def test_the_answer_can_be_drawn(kind, keep, tmp_path) -> None:
    rgb, source = source_of(kind, tmp_path)
    found = Detector(FakeRuntime(1)).detect(source, color="bgr" if kind == "bgr" else "rgb", keep_pixels=keep)
    if kind == "stream" and not keep:
        with pytest.raises(ArgumentError, match="pass picture="):
            found.draw()
        return
    whole = replace(found, boxes_xyxy=[[0, 0, 80, 60]], scores=[0.5], class_ids=[1])
    assert np.array_equal(whole.crop()[0], rgb)
    if keep:
        assert isinstance(found.picture, np.ndarray)
    elif kind in ("array", "PIL", "bytes"):
        assert found.picture is source
    if kind == "array":
        assert np.shares_memory(found.picture, rgb)


def test_pixels_read_at_reduced_scale_are_not_kept(tmp_path) -> None:
    Image.fromarray(plain(2, (1600, 2000))).save(tmp_path / "a.jpg")
    for source in (tmp_path / "a.jpg", io.BytesIO((tmp_path / "a.jpg").read_bytes())):
        found = Detector(FakeRuntime(1)).detect(source, decode="fast", keep_pixels=True)
        assert found.draw().size == (2000, 1600)


def plain_agnostic(boxes, probabilities, score_threshold, iou_threshold, most):
    """The reference: every pair of prior and class above the threshold, best first, greedy, whatever the class."""
    pairs = [
        (float(probabilities[k, p]), -k, p)
        for k in range(1, len(probabilities))
        for p in range(len(boxes))
        if probabilities[k, p] > np.float32(score_threshold)
    ]
    kept = []
    for score, k, p in sorted(pairs, key=lambda one: (-one[0], one[1], one[2])):
        if all(iou(boxes[None, p], boxes[None, q])[0, 0] < np.float32(iou_threshold) for _, _, q in kept):
            kept.append((score, -k, p))
    return kept[:most]


@pytest.mark.parametrize("start", [0, *(pytest.param(start, marks=pytest.mark.slow) for start in (250, 500, 750))])
def test_agnostic_nms_and_clip_equal_a_plain_reference(start) -> None:
    for seed in range(start, start + 250):
        draw = np.random.default_rng(seed)
        count, most = int(draw.integers(0, 12)), int(draw.integers(1, 9))
        corners = draw.uniform(-0.4, 1, (count, 2)).astype(np.float32)
        boxes = np.concatenate([corners, corners + draw.uniform(0.2, 0.6, (count, 2)).astype(np.float32)], 1)
        probabilities = draw.uniform(0, 0.5, (4, count)).astype(np.float32)
        threshold, size_hw = float(draw.choice([0.1, 0.3, 0.5])), (int(draw.integers(1, 900)), 640)
        options = DetectOptions(0.2, threshold, most, labels=COCO.names[:3], agnostic_nms=True, clip=seed % 2 == 0)
        padded = np.zeros((81, count), np.float32)
        padded[:4] = probabilities
        made = replace(prepare(plain(0), options), size_hw=size_hw)
        found = finish((boxes, padded), made, options, COCO)
        expected = plain_agnostic(boxes, probabilities, 0.2, threshold, most)
        assert found.scores.tolist() == [score for score, _, _ in expected]
        assert found.class_ids.tolist() == [COCO.ids[k - 1] for _, k, _ in expected]
        pixels = boxes[[p for _, _, p in expected]] * np.array([640, size_hw[0]] * 2, np.float32)
        assert np.array_equal(found.boxes_xyxy, clip(pixels, 640, size_hw[0]) if seed % 2 == 0 else pixels)


def test_labels_in_any_letter_case_and_as_ids() -> None:
    for labels in (["CAT"], "cat", [17], 17, "17", ["Cat", 17], iter(["cat"]), np.array([17]), np.array(17)):
        assert DetectOptions(labels=labels).rows(COCO).tolist() == [0, 16]
    for labels in ([], b"cat", [b"cat"], np.array([17.0]), np.array([True]), [["cat"]]):
        with pytest.raises(ArgumentError, match=r"labels must be class names or ids, got|labels is empty"):
            DetectOptions(labels=labels)
    with pytest.raises(ArgumentError, match="unknown class name 'catt': did you mean 'cat'"):
        DetectOptions(labels="catt").rows(COCO)


def test_options_given_whole_can_be_changed() -> None:
    detector = Detector(FakeRuntime(1))
    assert len(detector.detect(plain(5), DetectOptions(max_detections=3))) == 3
    assert len(detector.detect(plain(5), DetectOptions(max_detections=3), max_detections=2)) == 2
    with pytest.raises(ArgumentError, match="unknown option 'scores': did you mean 'score_threshold'"):
        detector.detect(plain(5), scores=1)


def test_a_detector_says_what_it_is() -> None:
    assert repr(Detector(FakeRuntime(1))) == "Detector('fake', runtime='fake', precision='f32', 80 classes)"
    with pytest.raises(ArgumentError, match="expected the name of a model, its file or a Runtime, got int"):
        Detector(5)
    assert isinstance(Detector(FakeRuntime(1)).detect(plain(0)), Detections)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_pixels_that_are_kept_count_as_in_flight_until_they_are_drawn(batch_size, tmp_path, monkeypatch) -> None:
    """Side by side they are held within the budget; what waits for a batch is small, or read again."""
    budget = PixelBudget(1)
    for module in (decode_module, resize, many):
        monkeypatch.setattr(module, "IN_FLIGHT", budget)
    monkeypatch.setattr(many, "WAITING_PIXELS", 60 * 80)
    for name, size_hw in (("small", (60, 80)), ("large", (61, 80))):
        Image.fromarray(plain(1, size_hw)).save(tmp_path / f"{name}.png")
    sources = [tmp_path / "small.png", tmp_path / "large.png", (tmp_path / "large.png").read_bytes()] * 3

    def seen(found):
        assert found.draw().size == (80, found.image_size_hw[0])
        return budget.taken, isinstance(found.picture, np.ndarray)

    answers = list(Detector(FakeRuntime(batch_size)).map(seen, sources, keep_pixels=True))
    one_by_one = [(60 * 80, True), (61 * 80, True), (61 * 80, True)]
    assert answers == (one_by_one if batch_size == 1 else [(0, True), (0, False), (0, False)]) * 3
    assert budget.taken == 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_call_may_detect_in_other_files(batch_size, tmp_path, monkeypatch) -> None:
    """Its threads would wait for the pixels of the picture that is kept until they have answered."""
    budget = PixelBudget(1)
    for module in (decode_module, resize, many, pipeline):
        monkeypatch.setattr(module, "IN_FLIGHT", budget)
    for name, objects in (("a", 2), ("b", 3)):
        Image.fromarray(plain(objects)).save(tmp_path / f"{name}.png")
    other = Detector(FakeRuntime(batch_size))

    def count(found):
        return len(found), [len(one) for one in other.detect_many(tmp_path)]

    answers = list(Detector(FakeRuntime(1)).map(count, [tmp_path / "b.png"] * 6, keep_pixels=True))
    assert answers == [(3, [2, 3])] * 6
    assert budget.taken == 0
