"""Running a detector over a data set: every picture counted, classes matched by name, nothing swallowed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ssd300.data.notes import Note
from ssd300.errors import ArgumentError, DatasetError
from ssd300.evaluate.run import compare, evaluate, match_classes
from ssd300.labels import ClassList

DATA = ClassList(("cat", "dog"), (7, 3))
MODEL = ClassList(("bird", "dog", "cat"), (1, 2, 3))
A, B, FAR = [10, 10, 60, 60], [100, 100, 150, 160], [400, 300, 500, 400]


@pytest.fixture
def data(make):
    """A cat and a dog, a cat, nothing."""
    return make.dataset(
        [
            make.picture(1, make.annotations([A, B], [7, 3])),
            make.picture(2, make.annotations([A], [7])),
            make.picture(3),
        ],
        DATA,
        name="pets",
    )


@pytest.fixture
def perfect(make):
    """What a perfect model with ids of its own finds."""
    return {
        "1.jpg": make.result([A, B], [0.9, 0.8], [3, 2]),
        "2.jpg": make.result([A], [0.7], [3]),
        "3.jpg": make.result(),
    }


def test_no_pictures(make):
    with pytest.raises(DatasetError, match=r"random has no picture to evaluate on$"):
        evaluate(make.detector(DATA, {}), make.dataset([], DATA))


def test_a_detector_where_the_data_set_is_expected(data):
    with pytest.raises(ArgumentError, match="a data set is named by its path, got object"):
        evaluate(data, object())


def test_ids_of_the_model_are_translated_by_name(make, data, perfect):
    answer = evaluate(make.detector(MODEL, perfect), data)
    assert answer.metrics.ap == pytest.approx(1)
    assert [r.class_ids.tolist() for r in answer.results] == [[7, 3], [7], []]
    assert answer.results[0].classes == DATA
    assert answer.classes.only_in_model == ("bird",)
    assert answer.classes.only_in_data == ()
    assert repr(answer) == f"Evaluation({answer})"
    assert str(answer) == "AP 1.000 [1.000, 1.000], AP50 1.000 [1.000, 1.000] on 3 pictures of pets"
    assert 0 < answer.seconds < 60


def test_detections_of_other_classes_are_counted_apart(make, data, perfect):
    perfect["2.jpg"] = make.result([FAR, A, B], [0.9, 0.7, 0.6], [1, 3, 1])
    answer = evaluate(make.detector(MODEL, perfect), data)
    assert answer.outside == 2
    assert answer.metrics.detections == 3
    assert answer.metrics.ap == pytest.approx(1)


def test_a_class_the_model_does_not_know_is_never_found(make, data, perfect):
    cats_only = ClassList(("cat",), (3,))
    perfect["1.jpg"] = make.result([A], [0.9], [3])
    answer = evaluate(make.detector(cats_only, perfect), data)
    assert answer.classes.only_in_data == ("dog",)
    assert answer.metrics.ap_of_class.tolist() == pytest.approx([1, 0])


@pytest.mark.parametrize(
    ("names", "shown"), [("a", "a;"), ("abcde", "a, b, c, d, e;"), ("abcdef", r"a, b, c, d, e, \.\.\. \(6 in all\);")]
)
def test_no_class_in_common_is_an_error(data, names, shown):
    with pytest.raises(ArgumentError, match=f"no class name in common: the model has {shown}"):
        match_classes(ClassList.from_names([*names]), data)


@pytest.mark.parametrize(
    ("mine", "theirs", "found"),
    [
        (["e\u0301t", "dog"], ["\u00e9t"], {1: 1}),
        (["\u00e9t"], ["dog", "e\u0301t"], {1: 2}),
        (["\u00e9t", "e\u0301t"], ["e\u0301t"], {2: 1}),  # two classes of the model
    ],
)
def test_classes_are_matched_whether_accents_are_composed_or_not(make, mine, theirs, found):
    """Names of a data set that was made on a Mac; the report said that the model does not have them."""
    matched = match_classes(ClassList.from_names(mine), make.dataset([], ClassList.from_names(theirs)))
    assert matched.id_in_data == found
    assert len(matched.only_in_model) == len(mine) - 1
    assert len(matched.only_in_data) == len(theirs) - 1


def test_thresholds_of_the_published_evaluation_by_default(make, data, perfect):
    detector = make.detector(MODEL, perfect)
    wanted = {"score_threshold": 0.05, "iou_threshold": 0.5, "max_detections": 200, "decode": "exact"}
    assert evaluate(detector, data).settings == {**wanted, "published": False}
    assert detector.settings == wanted
    evaluate(detector, data, score_threshold=0.3, iou_threshold=0.45, max_detections=20, decode="fast")
    assert list(detector.settings.values()) == [0.3, 0.45, 20, "fast"]


def test_settings_in_numbers_of_numpy_are_written_as_json(make, data, perfect):
    numbers = {"score_threshold": np.float32(0.25), "max_detections": np.int64(20), "tiles": np.array([64, 70])}
    settings = evaluate(make.detector(MODEL, perfect), data, **numbers, overlap=np.float32(0.5)).settings
    assert json.loads(json.dumps(settings)) == {
        "score_threshold": 0.25,
        "iou_threshold": 0.5,
        "max_detections": 20,
        "decode": "exact",
        "tiles": [64, 70],
        "overlap": 0.5,
        "published": False,
    }


def test_evaluations_are_compared_by_identity_and_not_by_their_arrays(make, data, perfect):
    one, other = (evaluate(make.detector(MODEL, perfect), data) for _ in range(2))
    assert one == one != other
    assert [one, other].index(other) == 1
    assert one.table != other.table
    assert one.metrics != other.metrics


def test_the_published_mode_leaves_pictures_without_boxes_out(make, data, perfect):
    perfect["3.jpg"] = make.result([FAR], [0.95], [3])
    plain = evaluate(make.detector(MODEL, perfect), data)
    published = evaluate(make.detector(MODEL, perfect), data, published=True)
    assert (plain.metrics.pictures, published.metrics.pictures, published.left_out) == (3, 2, 1)
    assert plain.metrics.ap < published.metrics.ap == pytest.approx(1)


def test_the_published_mode_keeps_what_is_known_of_the_data(make, data, perfect):
    note = Note("outside", "clipped", "pets.json", "1", "4", "was cut")
    answer = evaluate(make.detector(MODEL, perfect), replace(data, notes=(note,)), published=True)
    assert answer.dataset.notes == (note,)


def test_nothing_but_pictures_without_boxes(make):
    with pytest.raises(DatasetError, match="no picture to evaluate on with annotations"):
        evaluate(make.detector(DATA, {}), make.dataset([make.picture(1)], DATA), published=True)


def test_a_picture_that_cannot_be_read_counts_as_empty_and_is_told(make, data, perfect):
    del perfect["2.jpg"]
    answer = evaluate(make.detector(MODEL, perfect), data)
    assert list(answer.failures) == [1]
    assert "2.jpg: not a picture" in str(answer.failures[1].error)
    assert answer.metrics.pictures == 3
    assert answer.metrics.recall_of_class.tolist() == [0.5, 1]


def test_no_picture_can_be_read(make, data):
    with pytest.raises(DatasetError, match=r"none of the 3 pictures of pets can be read. First: 1.jpg: not a picture"):
        evaluate(make.detector(MODEL, {}), data)


def test_progress(make, data, perfect):
    steps = []
    evaluate(make.detector(MODEL, perfect), data, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_two_models_on_the_same_pictures(make, data, perfect):
    good = evaluate(make.detector(MODEL, perfect), data)
    poor = evaluate(make.detector(MODEL, {**perfect, "2.jpg": make.result()}), data)
    gain = compare(poor, good)
    assert gain.ap.value == pytest.approx(good.metrics.ap - poor.metrics.ap)
    assert gain.ap.value > 0
    assert compare(good, good).ap.value == 0


def test_other_pictures_with_as_many_boxes_are_not_compared(make, data, perfect):
    moved = make.picture(2, make.annotations([B], [7]))
    other = replace(data, pictures=(data.pictures[0], moved, data.pictures[2]), name="others")
    first, second = (evaluate(make.detector(MODEL, perfect), one) for one in (data, other))
    with pytest.raises(ArgumentError, match=r"2\.jpg of pets and 2\.jpg of others have different boxes"):
        compare(first, second)


def test_a_copy_whose_boxes_are_rounded_is_compared(make, data, perfect):
    shrunk = replace(data.pictures[1], width=320, height=240, annotations=make.annotations([[5, 5, 30, 30.4]], [7]))
    other = replace(data, pictures=(data.pictures[0], shrunk, data.pictures[2]))
    first, second = (evaluate(make.detector(MODEL, perfect), one) for one in (data, other))
    assert compare(first, second).ap.value < 0
