"""The COCO numbers against pycocotools, to the last bit."""

import builtins
from dataclasses import replace

import numpy as np
import pytest

from ssd300.errors import ArgumentError, MissingExtraError
from ssd300.evaluate.coco import STAT_NAMES, coco_metrics, image_numbers, score
from ssd300.evaluate.diagnosis import diagnose
from ssd300.labels import ClassList

TWO = ClassList(("cat", "dog"), (7, 3))


def test_no_pictures(make):
    metrics = coco_metrics(make.dataset([], TWO), [])
    assert metrics.stats.tolist() == [-1] * 12
    assert (metrics.pictures, metrics.boxes, metrics.detections) == (0, 0, 0)


def test_pictures_without_boxes_or_detections(make):
    metrics = coco_metrics(make.dataset([make.picture(5), make.picture(2)], TWO), [make.result(), make.result()])
    assert metrics.stats.tolist() == [-1] * 12
    assert metrics.pictures == 2


@pytest.mark.parametrize("seed", [*range(60), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(60, 200))])
def test_bit_equal_to_pycocotools(make, seed):
    data, results = make.random_case(seed)
    if seed % 20 == 0:
        results = [make.result() for _ in results]
    if seed % 20 == 10:
        data = make.dataset([make.picture(p.image_id) for p in data.pictures], data.classes)
    oracle, scorer = make.pycocotools_score(data, results), score(data, results)
    assert np.array_equal(scorer.eval["precision"], oracle.eval["precision"])
    assert np.array_equal(scorer.eval["recall"], oracle.eval["recall"])
    assert coco_metrics(data, results).stats.tolist() == oracle.stats.tolist()


def test_per_class_numbers_follow_the_order_of_the_classes(make):
    cat, dog = [10, 10, 60, 60], [100, 100, 200, 200]
    data = make.dataset([make.picture(1, make.annotations([cat, dog], [7, 3]))], TWO)
    metrics = coco_metrics(data, [make.result([cat], [0.9], [7])])
    assert metrics.ap_of_class.tolist() == pytest.approx([1, 0])
    assert metrics.ap50_of_class.tolist() == pytest.approx([1, 0])
    assert metrics.recall_of_class.tolist() == [1, 0]
    assert metrics.boxes_of_class.tolist() == [1, 1]
    assert metrics.precision.shape == (10, 101, 2)
    assert metrics.to_dict()["AP"] == metrics.ap == pytest.approx(0.5)
    assert tuple(metrics.to_dict()) == STAT_NAMES


@pytest.mark.parametrize("ids", [(-1, 3), (-5, -7), (0, 1), (2**53, 2**53 + 1), (-(2**62), 2**62)])
def test_ids_of_classes_of_any_size(make, ids):
    cat, dog = [10, 10, 60, 60], [100, 100, 200, 200]
    classes = ClassList(("cat", "d\ud800g"), ids)  # half a character is no UTF-8
    data = make.dataset([make.picture(1, make.annotations([cat, dog], ids))], classes)
    metrics = coco_metrics(data, [make.result([cat, dog], [0.9, 0.8], [ids[0], ids[0]])])
    assert metrics.ap_of_class.tolist() == pytest.approx([1, 0])
    assert diagnose(data, [make.result([cat], [0.9], [ids[0]])]).confusion.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("mark", ["crowd", "ignore"])
def test_crowd_and_ignored_boxes_are_found_any_number_of_times_or_never(make, mark):
    plain, marked = [10, 10, 60, 60], [100, 100, 200, 200]
    boxes = make.annotations([plain, marked], [7, 7], **{mark: [False, True]})
    data = make.dataset([make.picture(1, boxes)], TWO)
    twice = make.result([marked, marked, plain], [0.9, 0.8, 0.7], [7, 7, 7])
    assert coco_metrics(data, [twice]).ap == pytest.approx(1)
    metrics = coco_metrics(data, [make.result([plain], [0.7], [7])])
    assert metrics.ap == pytest.approx(1)
    assert (metrics.boxes, metrics.crowd, metrics.ignored) == (1, int(mark == "crowd"), int(mark == "ignore"))


def _reverse(make, data, results):
    return replace(data, pictures=data.pictures[::-1]), results[::-1]


def _number_classes_backwards(make, data, results):
    other = ClassList(data.classes.names[::-1], tuple(range(len(data.classes))))
    id_of = {old: other.ids[other.position_of_name[data.classes.name_of_id(old)]] for old in data.classes.ids}
    ids = [np.array([id_of[i] for i in one.class_ids.tolist()], np.int64) for one in results]
    return data.with_classes(other), [replace(one, class_ids=own) for one, own in zip(results, ids, strict=True)]


def _add_a_class(make, data, results):
    return data.with_classes(ClassList((*data.classes.names, "none"), (*data.classes.ids, 99))), results


def _add_a_picture(make, data, results):
    return replace(data, pictures=(*data.pictures, make.picture(10**6))), [*results, make.result()]


def _halve_scores(make, data, results):
    return data, [replace(one, scores=one.scores / 2) for one in results]


@pytest.mark.parametrize("change", [_reverse, _number_classes_backwards, _add_a_class, _add_a_picture, _halve_scores])
@pytest.mark.parametrize("seed", range(3))
def test_numbers_that_stay(make, change, seed):
    data, results = make.random_case(seed)
    before, curve = coco_metrics(data, results), diagnose(data, results).overall
    data, results = change(make, data, results)
    after, new_curve = coco_metrics(data, results), diagnose(data, results).overall
    assert after.stats == pytest.approx(before.stats, abs=1e-12)
    assert new_curve.best_f1 == curve.best_f1
    ap_of = dict(zip(after.classes.names, after.ap_of_class.tolist(), strict=True))
    assert [ap_of[name] for name in before.classes.names] == before.ap_of_class.tolist()


def test_text_ids_keep_their_order_and_integer_ids_are_sorted(make):
    assert image_numbers(make.dataset([make.picture(i) for i in (30, 7, 12)], TWO)).tolist() == [3, 1, 2]
    assert image_numbers(make.dataset([make.picture(i) for i in ("b", "a")], TWO)).tolist() == [1, 2]
    assert image_numbers(make.dataset([], TWO)).tolist() == []


def test_text_ids_count_as_integer_ids_do(make):
    data, results = make.random_case(3)
    order = np.argsort([p.image_id for p in data.pictures])
    named = [make.picture(f"picture {i}", data.pictures[i].annotations) for i in order]
    again = coco_metrics(make.dataset(named, data.classes), [results[i] for i in order])
    assert again.stats.tolist() == coco_metrics(data, results).stats.tolist()


def test_a_missing_result_is_an_error(make):
    with pytest.raises(ArgumentError, match=r"one result per picture.*random has 2 pictures, 1 results"):
        coco_metrics(make.dataset([make.picture(1), make.picture(2)], TWO), [make.result()])


def test_an_unknown_class_id_is_an_error(make):
    with pytest.raises(ArgumentError, match="class id 4, which is not one of the 2 of random"):
        coco_metrics(make.dataset([make.picture(1)], TWO), [make.result([[0, 0, 1, 1]], [0.5], [4])])


def test_without_hotcoco_the_message_names_the_extra(make, monkeypatch):
    real = builtins.__import__

    def blocked(name, *rest, **more):
        if name == "hotcoco":
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(MissingExtraError, match=r"pip install .\.\[eval\]. in a clone"):
        coco_metrics(make.dataset([], TWO), [])


def test_ap50_is_that_of_iou_one_half(make):
    data = make.dataset([make.picture(1, make.annotations([[10, 10, 60, 60]], [1]))], ClassList(("cat",), (1,)))
    metrics = coco_metrics(data, [make.result([[25.8, 10, 75.8, 60]], [0.5], [1])])  # IoU 0.52
    assert [metrics.ap50, metrics.ap50_of_class[0], metrics.ap] == pytest.approx([1, 1, 0.1])
