import copy
import io
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd300.detections import Detection, Detections
from ssd300.errors import ArgumentError
from ssd300.labels import COCO, ClassList


def three() -> Detections:
    boxes = [[10, 20, 30, 60], [0, 0, 5.5, 5], [100, 90, 640, 480]]
    return Detections(boxes, [0.9, 0.5, 0.5], [17, 1, 90], COCO, (480, 640), "a b/ü.jpg")


EMPTY = Detections.empty(COCO, (480, 640), "x.png")


def test_empty_keeps_shapes_and_dtypes() -> None:
    assert len(EMPTY) == 0
    assert (EMPTY.boxes_xyxy.shape, EMPTY.boxes_xyxy.dtype) == ((0, 4), np.float32)
    assert (EMPTY.scores.shape, EMPTY.scores.dtype) == ((0,), np.float32)
    assert (EMPTY.class_ids.shape, EMPTY.class_ids.dtype) == ((0,), np.int64)
    assert (EMPTY.positions.shape, EMPTY.positions.dtype) == ((0,), np.int64)
    assert EMPTY.names == ()
    assert list(EMPTY) == []
    assert repr(EMPTY) == "Detections(nothing found; x.png, 640x480)"


@pytest.mark.parametrize(
    "index",
    [slice(None), slice(5, 2), [], np.zeros(0, bool), np.zeros(0, np.int64)],
    ids=["all", "none", "list", "m", "i"],
)
def test_indexing_of_empty_is_empty(index: object) -> None:
    assert EMPTY[index] == EMPTY


@pytest.mark.parametrize(
    ("item", "is_in"),
    [
        ("person", True),
        ("Person", False),
        ("dog", False),
        (three()[2], True),
        (replace(three()[2], score=1), False),
        (1, False),
    ],
)
def test_in_asks_for_a_class_name_or_a_detection(item, is_in) -> None:
    assert item not in EMPTY
    assert (item in three()) is is_in


def test_fields_have_the_stated_types() -> None:
    found = three()
    assert found.names == ("cat", "person", "toothbrush")
    assert found.positions.tolist() == [15, 0, 79]
    assert found.boxes_xyxy.dtype == np.float32
    assert found.image_size_hw == (480, 640)


def test_arrays_are_copies_that_cannot_be_written() -> None:
    boxes = np.array([[0, 0, 1, 1]], np.float32)
    found = Detections(boxes, np.array([0.5], np.float32), np.array([1]), COCO, (2, 2))
    boxes[:] = 7
    assert found.boxes_xyxy.tolist() == [[0, 0, 1, 1]]
    for array in (found.boxes_xyxy, found.scores, found.class_ids):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(AttributeError):
        found.source = "y"


@pytest.mark.parametrize("twin", [lambda d: pickle.loads(pickle.dumps(d)), copy.copy, copy.deepcopy])
def test_pickled_and_copied_twins_are_equal_and_read_only(twin) -> None:
    other = twin(three())
    assert other == three()
    assert not other.boxes_xyxy.flags.writeable


NAN_BOX = [[0, 0, 1, np.nan]]


@pytest.mark.parametrize(
    ("boxes", "scores", "ids", "size", "message"),
    [
        ([], [], [], (1, 1), r"boxes_xyxy must have shape \[N, 4\], got \[0\]"),
        ([1, 2, 3, 4], [0.5], [1], (1, 1), r"boxes_xyxy must have shape \[N, 4\], got \[4\]"),
        ([[1, 2, 3]], [0.5], [1], (1, 1), r"boxes_xyxy must have shape \[N, 4\], got \[1, 3\]"),
        ([[1, 2, 3, 4]], [], [1], (1, 1), r"scores must have shape \[1\].*got \[0\]"),
        ([[1, 2, 3, 4]], [[0.5]], [1], (1, 1), r"scores must have shape \[1\].*got \[1, 1\]"),
        ([[1, 2, 3, 4]], [0.5], [1, 2], (1, 1), r"class_ids must have shape \[1\].*got \[2\]"),
        ([[1, 2, 3, 4]], [0.5], [1.0], (1, 1), "class_ids must be int64, got float64"),
        ([["a", "b", "c", "d"]], [0.5], [1], (1, 1), "boxes_xyxy must be float32, got <U1"),
        ([[1, 2, 3, 4], [1, 2]], [0.5] * 2, [1] * 2, (1, 1), "boxes_xyxy must be an array, got rows of different"),
        (NAN_BOX, [0.5], [1], (1, 1), "boxes_xyxy must be finite"),
        ([[3, 2, 1, 4]], [0.5], [1], (1, 1), r"left, top, right, bottom, got \[3.0, 2.0, 1.0, 4.0\] in row 0"),
        ([[1, 2, 3, 4]], [np.inf], [1], (1, 1), "scores must be finite"),
        ([[1, 2, 3, 4]] * 2, [0.6, 0.5], [12, 91], (1, 1), "not in it: 12, 91"),
        ([[1, 2, 3, 4]], [0.5], [1], (0, 5), r"image_size_hw must be .* got \(0, 5\)"),
        ([[1, 2, 3, 4]], [0.5], [1], (480, 640, 3), r"image_size_hw must be .* got \(480, 640, 3\)"),
        ([[1, 2, 3, 4]], [0.5], [1], (0.5, 0.5), r"image_size_hw must be .* got \(0.5, 0.5\)"),
        ([[1, 2, 3, 4]], [0.5], [1], ("a", "b"), "image_size_hw must be"),
        ([[1, 2, 3, 4]], [0.5], [1], None, "image_size_hw must be .* got None"),
    ],
)
def test_faults_are_named(boxes, scores, ids, size, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        Detections(boxes, scores, ids, COCO, size)


@pytest.mark.parametrize("index", [0, -3, np.int64(0)])
def test_int_gives_one_detection(index) -> None:
    assert three()[index] == Detection((10.0, 20.0, 30.0, 60.0), pytest.approx(0.9), 17, "cat")
    assert three()[index] == next(iter(three()))


@pytest.mark.parametrize("index", [3, -4, [3], [-4, 0]])
def test_out_of_range_is_an_index_error(index) -> None:
    with pytest.raises(IndexError, match="of 3 detections"):
        three()[index]


@pytest.mark.parametrize(
    ("index", "kept"),
    [
        (slice(1, None), [1, 2]),
        (slice(0, 0), []),
        ([], []),
        ([0, 2], [0, 2]),
        ([2, 0], [2, 0]),
        (slice(None, None, -1), [2, 1, 0]),
        ([-1], [2]),
        ([True, False, True], [0, 2]),
        (np.array([False] * 3), []),
        (np.array([1, 2], np.int32), [1, 2]),
    ],
)
def test_selecting_filters_every_field_alike(index, kept) -> None:
    picked = three()[index]
    assert [list(three())[i] for i in kept] == list(picked)
    assert (picked.classes, picked.image_size_hw, picked.source) == (COCO, (480, 640), "a b/ü.jpg")


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([True, False], r"mask must have shape \[3\], got \[2\]"),
        ([0.5], "got float64"),
        (three().names == "cat", r"mask must have shape \[3\], got \[\]; compare arrays"),
        ("cat", "indices [M], got 'cat'".replace("[", r"\[")),
        ([[0, 1]], r"got int64 \(1, 2\)"),
    ],
)
def test_bad_indices_are_named(index, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        three()[index]


@pytest.mark.parametrize(
    "other",
    [
        EMPTY,
        three()[:2],
        Detections(three().boxes_xyxy + 1, three().scores, three().class_ids, COCO, (480, 640), "a b/ü.jpg"),
        Detections(three().boxes_xyxy, three().scores, [17, 1, 89], COCO, (480, 640), "a b/ü.jpg"),
        Detections(three().boxes_xyxy, three().scores, three().class_ids, COCO, (480, 641), "a b/ü.jpg"),
        Detections(three().boxes_xyxy, three().scores, three().class_ids, COCO, (480, 640), None),
        "something else",
    ],
)
def test_equality_compares_arrays_and_the_rest(other) -> None:
    assert three() == three()
    assert three() != other


def test_own_classes_and_ids() -> None:
    found = Detections([[0, 0, 1, 1]], [1], [700], ClassList(("Größe", "b"), (700, -3)), (1, 1))
    assert found.names == ("Größe",)
    assert found.positions.tolist() == [0]


def test_repr_is_short() -> None:
    many = Detections(np.zeros((9, 4)), np.linspace(0.9, 0.1, 9), [1] * 9, COCO, (1, 1))
    assert repr(many).endswith("person 0.50, 4 more; picture, 1x1)")


def test_scores_may_be_in_any_order() -> None:
    found = Detections([[1, 2, 3, 4]] * 2, [0.5, 0.6], [1, 3], COCO, (10, 10))
    assert found.scores.tolist() == pytest.approx([0.5, 0.6])
    assert found[np.argsort(-found.scores)].names == ("car", "person")


def test_boxes_as_width_and_height() -> None:
    assert Detections.empty(COCO, (10, 10)).boxes_xywh.shape == (0, 4)
    assert Detections([[1, 2, 4, 8]], [0.5], [1], COCO, (10, 10)).boxes_xywh.tolist() == [[1, 2, 3, 6]]


@pytest.mark.parametrize(
    ("box", "cut"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        ([-5, -6, 3, 4], [0, 0, 3, 4]),
        ([15, 2, 25, 99], [15, 2, 20, 10]),
        ([30, 2, 35, 4], [20, 2, 20, 4]),
    ],
)
def test_clipped_boxes_lie_in_the_picture(box, cut) -> None:
    found = Detections([box], [0.5], [1], COCO, (10, 20), "x.png", [3])
    assert found.clipped().boxes_xyxy.tolist() == [cut]
    assert (found.clipped().source, found.clipped().track_ids.tolist()) == ("x.png", [3])


def test_track_ids_are_kept_by_all_that_selects() -> None:
    assert Detections.empty(COCO, (1, 1)).track_ids is None
    found = Detections([[1, 2, 3, 4]] * 3, [0.9, 0.8, 0.7], [1, 1, 3], COCO, (10, 10), "x", [7, 8, 9])
    assert [one.track_id for one in found] == [7, 8, 9]
    assert found[1].track_id == 8
    assert found[found.scores < np.float32(0.85)].track_ids.tolist() == [8, 9]
    assert found[[2, 0]].track_ids.tolist() == [9, 7]
    assert pickle.loads(pickle.dumps(found)) == found
    assert found != replace(found, track_ids=None)
    assert found != replace(found, track_ids=[7, 8, 1])
    with pytest.raises(ArgumentError, match=r"track_ids must have shape \[3\]"):
        replace(found, track_ids=[1])
    with pytest.raises(ArgumentError, match="track_ids must be int64, got float64"):
        replace(found, track_ids=[1.5, 2, 3])


def test_a_picture_in_memory_is_drawn_shown_and_saved_without_a_copy(tmp_path, monkeypatch) -> None:
    pixels = np.full((60, 80, 3), 200, np.uint8)
    found = Detections([[10, 10, 60, 50]], [0.9], [17], COCO, (60, 80), "<array 60x80>", picture=pixels)
    assert found.picture is pixels
    assert found[:1].picture is pixels
    assert found.crop()[0].shape == (40, 50, 3)
    found.save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(found.draw()), np.asarray(Image.open(tmp_path / "a.png")))
    assert Image.open(io.BytesIO(found._repr_png_())).size == (80, 60)
    shown = []
    monkeypatch.setattr(Image.Image, "show", lambda image: shown.append(image.size))
    found.show()
    assert shown == [(80, 60)]
    assert pickle.loads(pickle.dumps(found)).picture is None
    assert replace(found, picture=None)._repr_png_() is None


def test_positions_are_read_only_as_the_names_come_from_them() -> None:
    found = Detections([[0, 0, 5, 5]], [0.5], [17], COCO, (9, 9))
    with pytest.raises(ValueError, match="read-only"):
        found.positions[:] += 1


@pytest.mark.parametrize("classes", ["coco", ["cat"], None])
def test_classes_are_a_class_list(classes) -> None:
    with pytest.raises(ArgumentError, match="classes must be a ClassList, such as "):
        Detections([[0, 0, 5, 5]], [0.5], [17], classes, (9, 9))


@pytest.mark.parametrize("size", [(9.5, 9), (float("inf"), 9), ("9", "9"), (9,), 9])
def test_a_size_is_two_whole_numbers(size) -> None:
    with pytest.raises(ArgumentError, match=r"image_size_hw must be \(height, width\) in whole pixels"):
        Detections.empty(COCO, size)
    assert Detections.empty(COCO, (np.float32(9), np.int16(8))).image_size_hw == (9, 8)


def test_numbers_beyond_float32_are_refused_without_a_warning() -> None:
    with pytest.raises(ArgumentError, match="must be finite"):
        Detections([[0, 0, 1e300, 5]], [0.5], [17], COCO, (9, 9))


@pytest.mark.parametrize("source", [Path("a.jpg"), b"a.jpg", np.str_("a.jpg")])
def test_a_path_and_a_numpy_id_become_json(source) -> None:
    found = Detections([[0, 0, 5, 5]], [0.5], [17], COCO, (9, 9), source)
    assert json.loads(found.to_json())["source"] == found.source == "a.jpg"
    assert json.loads(json.dumps(found.to_coco(np.int64(7))))[0]["image_id"] == 7
